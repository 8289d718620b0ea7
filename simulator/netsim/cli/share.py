"""`netsim share`: several jobs on one fabric, and how much each slows the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.asking import asking
from netsim.cli.options import Json, Quiet
from netsim.cli.output import answer

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking("topology", "gpus", "routing", "folded", "seed", "overrides")
def share(
    question: Question,
    file: Annotated[
        str, typer.Argument(help="A TOML with [[jobs]]: name, gpus, workload, placement or hosts, set.")
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run several jobs on one fabric at once and compare each with itself alone."""
    from netsim.analysis.sharing import make_tenants, sharing
    from netsim.cli.progress import progress_bar
    from netsim.reports.terminal.share_tables import print_sharing

    fabric, tenants = make_tenants(file, question)
    with progress_bar("simulating", quiet) as report:
        record = sharing(fabric, tenants, seed=question.seed, folded=question.folded, progress=report)
    answer(record, json, quiet, print_sharing)
