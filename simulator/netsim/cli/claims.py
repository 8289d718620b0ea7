"""`netsim claims`: the claims of the DeepSeek-V3 hardware story, beside what is computed."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from netsim.cli.options import Force, Json, Output, Quiet, needs_folder

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes; the numbers stay the same. [default: all cores]"),
]


def claims(
    jobs: Jobs = None,
    output: Output = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV too (with -o).")] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check the published claims: each beside what netsim computes, a verdict, and where it stops being true."""
    from netsim.cli.progress import progress_bar
    from netsim.reports.codesign.claims import claims as ask
    from netsim.reports.codesign.claims_page import document
    from netsim.reports.comparison import files
    from netsim.reports.rundir import to_json

    needs_folder(output, csv=csv, force=force)
    if output is not None:
        files.prepare(output, force)
    with progress_bar("checking claims", quiet) as report:
        record = ask(jobs or os.cpu_count() or 1, report)
    if output is not None:
        written = files.write(output, record, csv, document)
        if not quiet:
            print(f"wrote {', '.join(f.name for f in written)} to {output}", file=sys.stderr)
    if json:
        sys.stdout.write(to_json(record))
    elif not quiet:
        _print(record)


def _print(record: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for name in ("claim", "netsim computes", "verdict", "until"):
        table.add_column(name, no_wrap=name == "verdict")
    for row in record["tables"]["claims"]:
        table.add_row(row["claim"], row["computed"], row["verdict"], row["until"])
    console = Console(width=max(120, Console().width), highlight=False)
    console.print(table)
    for sentence in record["wall"]:
        console.print(sentence)
