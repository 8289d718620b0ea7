"""`netsim collective`: one collective on an idle fabric, over message sizes or expert-parallel widths."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Output, Quiet
from netsim.cli.output import needs_folder, say_written
from netsim.specs.requests import CollectiveRequest

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking("topology", "gpus", "host", "routing", "seed", "overrides", request=CollectiveRequest, gpus=64)
def collective(
    question: Question,
    request: CollectiveRequest,
    output: Output = None,
    csv: bool = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time a collective on an otherwise idle fabric, in the columns of nccl-tests or of DeepEP's tables."""
    from netsim.analysis.collective import rows_of, warnings
    from netsim.collectives.request import setup_of
    from netsim.errors import NetsimError
    from netsim.reports import collective as report
    from netsim.reports.terminal.collective_tables import print_collective

    if json and csv:
        raise NetsimError("--json --csv: choose one")
    needs_folder(output, force=force)
    setup = setup_of(question, request)
    if output is not None:
        report.prepare(output, force)
    rows = rows_of(setup, request)
    for line in [] if quiet else warnings(rows, request):
        print(line, file=sys.stderr)
    if output is not None:
        say_written(output, report.write(output, rows, setup), quiet)
    if json or csv:
        sys.stdout.write(report.to_json(rows) if json else report.to_csv(rows))
    elif not quiet:
        print_collective(rows)
