"""`netsim sweep`: a study of many runs, as one table and its pictures."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Json, Quiet, Sets, refuse_beside_list

if TYPE_CHECKING:
    from netsim.studies.sweep import Outcome
    from netsim.studies.workers import Workers

Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=1024, help="Worker processes on this machine.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Compute on a Dask cluster: tcp://host:port of its scheduler."),
]
Timeout = Annotated[
    float, typer.Option("--scheduler-timeout", min=0.1, help="Seconds in which a scheduler must answer.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Run a study of more than 100,000 points.")]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="KEY=A,B,C",
        help="Values of a spec key, or of topology, workload, hardware, profile, prices, gpus, scaling, seed.",
    ),
]


def sweep(
    context: typer.Context,
    study: Annotated[
        str | None, typer.Argument(help="A TOML file, a study that ships, or `list`. [default: only --vary]")
    ] = None,
    vary: Vary = None,
    topology: Annotated[str | None, typer.Option("--topology", "-t", help="Fabric of every point.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", "-n", help="GPUs of every point.")] = None,
    workload: Annotated[str | None, typer.Option("--workload", "-w", help="Job of every point.")] = None,
    sets: Sets = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of the study; a point's own is its child.")
    ] = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    scheduler_timeout: Timeout = 10.0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the study. [default: runs/NAME]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Forget the points that the folder holds.")] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a study: every combination of what varies, as one table with pictures.

    Finished points are on disk at once: run the same command again after an interrupt, and only the rest is computed.
    A combination that cannot be built is a row that says why. Exit status 1 when a point failed.
    """
    if study == "list":
        refuse_beside_list(context, "study")
        _list(json)
        return 0
    from netsim.cli.study_progress import study_progress
    from netsim.errors import NetsimError
    from netsim.reports.terminal.sweep_tables import print_outcome
    from netsim.specs.case import parse_overrides
    from netsim.studies.spec import check_size, count_points, make_study, parse_vary
    from netsim.studies.sweep import sweep as run

    options = {"topology": topology, "gpus": gpus, "workload": workload}
    base = {key: value for key, value in options.items() if value is not None}
    spec = make_study(study, parse_vary(vary or []), base | parse_overrides(sets or []), seed)
    check_size(count_points(spec), yes)
    workers = workers_from(jobs, scheduler, scheduler_timeout)
    folder = output or Path("runs") / spec.name
    with study_progress(count_points(spec), quiet) as report:
        outcome = run(spec, folder, workers, fresh=force, report=report)
    files = _write_extras(folder, outcome)
    if not quiet:
        _say_where(folder, outcome, files)
    if json:
        sys.stdout.write((folder / "table.json").read_text("utf-8"))
    elif not quiet:
        print_outcome(outcome)
    if not outcome.ok and not outcome.count("failed"):
        raise NetsimError(f"no point of the study can be built; the first: {outcome.records[0]['reason']}")
    if outcome.count("failed"):
        print(f"netsim: {_failed(outcome)}", file=sys.stderr)
    return int(outcome.count("failed") > 0)


def workers_from(jobs: int, scheduler: str | None, timeout_s: float) -> Workers:
    """Who computes; Raises NetsimError when the options contradict each other."""
    from netsim.errors import NetsimError
    from netsim.studies.workers import Workers

    if scheduler is not None and jobs != 1:
        raise NetsimError(f"--jobs {jobs}: has no effect with --scheduler, whose workers are used")
    if scheduler is None and timeout_s != 10.0:
        raise NetsimError("--scheduler-timeout: is about a --scheduler")
    return Workers(jobs, scheduler, timeout_s)


def _list(json: bool) -> None:
    import json as jsonlib

    from netsim.reports.terminal.rows import print_rows
    from netsim.specs.catalog import study_names
    from netsim.studies.spec import count_points, find_study, load_study

    specs = [load_study(find_study(name)) for name in study_names()]
    rows = [{"name": s.name, "points": count_points(s), "description": s.description} for s in specs]
    if json:
        print(jsonlib.dumps(rows, indent=1))
        return
    told = [(spec.name, spec.description, f"{count_points(spec)}") for spec in specs]
    print_rows([("study", "", "points"), *told], left=2)


def _write_extras(folder: Path, outcome: Outcome) -> list[Path]:
    """The study as it was run, its pictures and its findings."""
    import tomli_w

    from netsim.reports.plots import save_png, svg
    from netsim.reports.study_plots import pictures
    from netsim.specs.output import write_text_whole, write_whole
    from netsim.studies.findings import findings

    study = tomli_w.dumps(outcome.spec.model_dump(mode="json", exclude_none=True))
    written = [write_text_whole(folder / "study.toml", study)]
    marks = len(outcome.records)
    for name, figure in pictures(outcome.spec, outcome.records).items():
        # thousands of marks make an SVG that no browser likes
        if marks > 1000:
            written.append(write_whole(folder / f"{name}.png", partial(save_png, figure)))
        else:
            written.append(write_text_whole(folder / f"{name}.svg", svg(figure)))
    text = f"# {outcome.spec.name}\n\n{outcome.spec.description}\n\n" if outcome.spec.description else ""
    text = (text or f"# {outcome.spec.name}\n\n") + "".join(f"* {line}\n" for line in findings(outcome))
    written.append(write_text_whole(folder / "findings.md", text))
    return written


def _say_where(folder: Path, outcome: Outcome, files: list[Path]) -> None:
    names = ["table.parquet", "table.csv", "table.json", *(file.name for file in files)]
    print(f"{outcome.computed} points computed, {outcome.reused} were there already", file=sys.stderr)
    print(f"wrote {', '.join(names)} to {folder}", file=sys.stderr)


def _failed(outcome: Outcome) -> str:
    first = next(record for record in outcome.records if record["status"] == "failed")
    return (
        f"{outcome.count('failed')} points failed, the first: {first['reason']}; run again to try them again"
    )
