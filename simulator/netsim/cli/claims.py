"""`netsim claims`: the claims of the DeepSeek-V3 hardware story, beside what is computed."""

from __future__ import annotations

import os

from netsim.cli.options import Csv, Force, Json, Output, Processes, Quiet
from netsim.cli.output import answer, needs_folder, say_written


def claims(
    jobs: Processes = None,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the published claims: each beside what netsim computes, a verdict, and where it stops being true."""
    from netsim.analysis.codesign.claims import claims as ask
    from netsim.cli.progress import progress_bar
    from netsim.reports.codesign.claims_page import document
    from netsim.reports.comparison import files
    from netsim.reports.terminal.claims_table import print_claims

    needs_folder(output, csv=csv, force=force)
    if output is not None:
        files.prepare(output, force)
    with progress_bar("checking claims", quiet) as report:
        record = ask(jobs or os.cpu_count() or 1, report)
    if output is not None:
        say_written(output, files.write(output, record, csv, document), quiet)
    answer(record, json, quiet, print_claims)
