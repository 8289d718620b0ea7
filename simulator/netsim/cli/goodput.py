"""`netsim goodput`: what failures, checkpoints and repairs leave of a long run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Quiet
from netsim.cli.output import answer, needs_folder, say_written

if TYPE_CHECKING:
    from netsim.specs.question import Question

Interval = Annotated[
    str, typer.Option("--checkpoint-interval", help="Work between checkpoints, e.g. 30min; auto: the best.")
]
Write = Annotated[
    str | None,
    typer.Option("--checkpoint-time", help="How long one stops the job. [default: model state at 2 TB/s]"),
]


@asking(
    "topology", "gpus", "workload", "hardware", "profile", "routing", "schedule", "scaling", "reliability", "seed",
    "overrides",
)  # fmt: skip
def goodput(
    question: Question,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days of the sampled runs.")] = 30,
    checkpoint_interval: Interval = "auto",
    checkpoint_time: Write = None,
    restart: Annotated[str, typer.Option("--restart", help="From a failure until work goes on.")] = "10min",
    spares: Annotated[int, typer.Option("--spares", min=0, max=10_000, help="Spare hosts.")] = 0,
    runs: Annotated[int, typer.Option("--runs", min=2, max=100_000, help="Sampled runs.")] = 1000,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write result.json and goodput.svg into this folder."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Goodput over days: which parts stop the job, which only slow it, and how often to checkpoint."""
    from netsim.analysis.uncertainty.serving import add_goodput_intervals
    from netsim.cli.progress import progress_bar
    from netsim.reliability.request import make_request
    from netsim.reliability.study import goodput as ask
    from netsim.reports import rundir
    from netsim.reports.terminal.goodput_tables import print_goodput

    needs_folder(output, force=force)
    request = make_request(
        question, days=days, checkpoint_interval=checkpoint_interval,
        checkpoint_time=checkpoint_time, restart=restart, spares=spares, runs=runs,
    )  # fmt: skip
    if output is not None:
        rundir.prepare(output, force)
    with progress_bar("simulating", quiet) as report:
        record = ask(request, report)
    add_goodput_intervals(record, request.case, request.gpus)
    if output is not None:
        say_written(output, _write(output, record), quiet)
    answer(record, json, quiet, print_goodput)


def _write(folder: Path, record: dict[str, Any]) -> list[Path]:
    from netsim.reports.goodput_figure import figure
    from netsim.reports.plots import svg
    from netsim.reports.rundir import to_json, write_files
    from netsim.specs.output import begin_folder

    begin_folder(folder)
    return write_files(folder, {"goodput.svg": svg(figure(record)), "result.json": to_json(record)})
