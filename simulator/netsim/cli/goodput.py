"""`netsim goodput`: what failures, checkpoints and repairs leave of a long run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netsim.cli.options import (
    Force,
    Gpus,
    Json,
    Profile,
    Quiet,
    Routing,
    Scaling,
    Schedule,
    Seed,
    Sets,
    TopologyName,
    WorkloadName,
)
from netsim.cli.output import answer, needs_folder, say_written

Reliability = Annotated[
    str, typer.Option("--reliability", help="What fails how often: a preset (llama3, hpn, rsc1) or a TOML.")
]
Interval = Annotated[
    str, typer.Option("--checkpoint-interval", help="Work between checkpoints, e.g. 30min; auto: the best.")
]
Write = Annotated[
    str | None,
    typer.Option("--checkpoint-time", help="How long one stops the job. [default: model state at 2 TB/s]"),
]


def goodput(
    topology: TopologyName = "mpft",
    gpus: Gpus = 2048,
    workload: WorkloadName = "deepseek-v3",
    profile: Profile = None,
    routing: Routing = None,
    schedule: Schedule = None,
    scaling: Scaling = "weak",
    reliability: Reliability = "llama3",
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days of the sampled runs.")] = 30,
    checkpoint_interval: Interval = "auto",
    checkpoint_time: Write = None,
    restart: Annotated[str, typer.Option("--restart", help="From a failure until work goes on.")] = "10min",
    spares: Annotated[int, typer.Option("--spares", min=0, max=10_000, help="Spare hosts.")] = 0,
    runs: Annotated[int, typer.Option("--runs", min=2, max=100_000, help="Sampled runs.")] = 1000,
    seed: Seed = 0,
    sets: Sets = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write result.json and goodput.svg into this folder."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Goodput over days: which parts stop the job, which only slow it, and how often to checkpoint."""
    from netsim.cli.progress import progress_bar
    from netsim.reliability.request import make_question
    from netsim.reliability.study import goodput as ask
    from netsim.reports import rundir
    from netsim.specs.case import parse_overrides

    needs_folder(output, force=force)
    question = make_question(
        topology, gpus, workload, profile=profile, routing=routing, schedule=schedule,
        scaling=scaling,  # type: ignore[arg-type]
        reliability=reliability, days=days, checkpoint_interval=checkpoint_interval, checkpoint_time=checkpoint_time,
        restart=restart, spares=spares, runs=runs, seed=seed, overrides=parse_overrides(sets or []),
    )  # fmt: skip
    if output is not None:
        rundir.prepare(output, force)
    with progress_bar("simulating", quiet) as report:
        record = ask(question, report)
    if output is not None:
        say_written(output, _write(output, record), quiet)
    answer(record, json, quiet, _print)


def _write(folder: Path, record: dict[str, Any]) -> list[Path]:
    from netsim.errors import NetsimError
    from netsim.reports.goodput_figure import figure
    from netsim.reports.plots import svg
    from netsim.reports.rundir import to_json

    try:
        (folder / "result.json").write_text(to_json(record), "utf-8")
        (folder / "goodput.svg").write_text(svg(figure(record)), "utf-8")
    except OSError as error:
        raise NetsimError(f"-o {folder}: cannot be written: {error.strerror}") from None
    return [folder / "result.json", folder / "goodput.svg"]


def _print(record: dict[str, Any]) -> None:
    from netsim.cli.rows import print_rows

    fabric, policy, expected = record["topology"], record["policy"], record["goodput"]
    sampled, stops, best = record["sampled"], record["stops"], record["best_interval_s"]
    print(
        f"{record['workload']['name']} on {fabric['gpus']:,} GPUs over {fabric['name']}: "
        f"goodput {expected['total']:.1%} in the long run, {sampled['mean']:.1%} over {sampled['days']} days "
        f"({sampled['p5'][-1]:.1%} to {sampled['p95'][-1]:.1%} in nine of ten runs)"
    )
    print(
        f"= {expected['running']:.2%} not waiting for repairs x {expected['saved']:.2%} of it saved x "
        f"{expected['speed']:.3%} of full speed; {expected['steps_per_day']:,.0f} steps a day of "
        f"{record['workload']['steps_per_day']:,.0f}"
    )
    print(
        f"Stops {stops['per_day']:.2f} times a day; a checkpoint of {policy['checkpoint_s']:.1f} s after every "
        f"{policy['checkpoint_interval_s'] / 60:.1f} min of work, restart {policy['restart_s'] / 60:.1f} min, "
        f"{policy['spares']} spare hosts; a host without a NIC "
        f"{'sends over its others' if policy['forwarding'] else 'stops the job'}"
    )
    if best is not None:
        exact, young, daly = (f"{best[name] / 60:.1f}" for name in ("exact", "young", "daly"))
        print(f"Best interval: {exact} min (Young {young}, Daly {daly})")
    print(
        "By spares: "
        + ", ".join(f"{row['spares']}: {row['goodput']:.1%}" for row in record["by_spares"])
        + "\n"
    )
    head = ["part", "effect", "count", "MTBF", "a day", "repair", "away", "speed then"]
    rows = [head]
    for part in record["parts"]:
        slowed = part["effect"] == "slows"
        rows.append(
            [
                part["part"],
                part["effect"],
                f"{part['count']:,}",
                f"{part['mtbf_days'] / 365.25:.1f} y",
                f"{part['failures_per_day']:.3f}",
                f"{part['repair_h']:.0f} h",
                f"{part['mean_away']:.3f}",
                f"{part['speed_while_away']:.2%}" if slowed else "",
            ]
        )
    print_rows(rows, left=2)
    print(
        "\neffect: host, goes on with a spare host; restart, on the same; wait, when it is repaired; slows, goes on"
    )
