"""`netsim export`: traffic for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Quiet

if TYPE_CHECKING:
    from netsim.specs.question import Question

Form = Annotated[str, typer.Argument(help="htsim, goal, chakra, simgrid, simai or astra.")]
What = Annotated[str, typer.Argument(help="step, incast, or a collective: all_to_all, all_reduce, ...")]
Size = Annotated[str | None, typer.Option("--size", help="Size of the collective. [default: 1GiB]")]
Algorithm = Annotated[str | None, typer.Option("--algorithm", "-a", help="Algorithm of the collective.")]
Group = Annotated[int | None, typer.Option("--group-size", help="Groups of so many ranks, all at once.")]
Library = Annotated[
    str | None, typer.Option("--protocol", help="Library: a preset or a TOML. [default: nccl]")
]
Phase = Annotated[
    str | None, typer.Option("--phase", help="One transfer of the step: dispatch, combine, ...")
]
Folder = Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")]


@asking(
    "topology", "gpus", "workload", "hardware", "profile", "routing", "schedule", "seed", "overrides", gpus=64
)
def export(
    question: Question, form: Form, what: What = "step", size: Size = None, algorithm: Algorithm = None,
    group_size: Group = None, protocol: Library = None, phase: Phase = None, output: Folder = Path("export"),
    force: Force = False, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Write the traffic of a step, of one of its phases or of a collective for another simulator."""
    from netsim.api.files import export_traffic
    from netsim.cli.output import answer
    from netsim.reports.terminal.imports import print_export

    record = export_traffic(
        form, what, question, output, size=size, algorithm=algorithm, group_size=group_size, phase=phase,
        protocol=protocol, force=force,
    )  # fmt: skip
    answer({**record, "folder": str(output)}, json, quiet, print_export)
