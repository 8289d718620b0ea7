"""`netsim import`: files of other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from netsim.cli.options import Force, Json, Quiet

What = Annotated[str, typer.Argument(help="A file, or its kind before it; or `list`.")]
File = Annotated[Path | None, typer.Argument(help="The file, where its kind is named.")]
Stem = Annotated[
    Path | None, typer.Option("-o", "--output", help="Name of the files to write, without .toml.")
]
Text = Annotated[str | None, typer.Option(help="Fabric of a measured job or benchmark. [default: by kind]")]
Count = Annotated[int | None, typer.Option("--gpus", "-n", min=1, help="GPUs, where the file does not say.")]
HostOf = Annotated[
    str | None, typer.Option("--hardware", help="Host preset or TOML, where the file does not say.")
]
Lender = Annotated[str | None, typer.Option("--workload", "-w", help="Job that lends what the file lacks.")]
Nodes = Annotated[str | None, typer.Option("--nodes", help="Nodes of a job, as n[0-3,7], in its order.")]


def import_(
    what: What, file: File = None, topology: Text = None, gpus: Count = None, hardware: HostOf = None,
    workload: Lender = None, nodes: Nodes = None, output: Stem = None, force: Force = False, json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Read a benchmark log, a training log, a fabric, a placement or a trace of another tool."""
    from netsim.api.files import import_file
    from netsim.cli.output import answer
    from netsim.importers.kinds import print_kinds
    from netsim.importers.report import Wanted
    from netsim.reports.terminal.imports import print_import

    if what == "list":
        sys.stdout.write(print_kinds(json))
        return
    wanted = Wanted(topology, gpus, hardware, workload, nodes)
    kind, path = (None, Path(what)) if file is None else (what, file)
    answer(import_file(path, kind, wanted=wanted, output=output, force=force), json, quiet, print_import)
