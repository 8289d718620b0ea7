"""`netsim goodput`: what failures, checkpoints and repairs leave of a long run."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    case_from,
    needs_folder,
)

if TYPE_CHECKING:
    from netsim.specs.reliability import ReliabilitySpec

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
    from netsim.goodput.study import Policy, Question
    from netsim.goodput.study import goodput as answer
    from netsim.reports import rundir
    from netsim.specs.idle import refuse

    needs_folder(output, force=force)
    table, rest = _table(reliability, sets)
    _refuse_idle(rest, scaling)
    case = case_from(topology, workload, profile, routing, schedule, rest)
    refuse(case.idle)
    policy = Policy(
        interval_s=None
        if checkpoint_interval == "auto"
        else _time("--checkpoint-interval", checkpoint_interval),
        write_s=None if checkpoint_time is None else _time("--checkpoint-time", checkpoint_time, zero=True),
        restart_s=_time("--restart", restart, zero=True),
        spares=spares,
    )
    if output is not None:
        rundir.prepare(output, force)
    question = Question(case, gpus, table, policy, days, runs, seed, scaling)  # type: ignore[arg-type]
    with progress_bar("simulating", quiet) as report:
        record = answer(question, report)
    if output is not None:
        _write(output, record)
    if json:
        print(jsonlib.dumps(record, indent=1))
    elif not quiet:
        _print(record)


def _table(name: str, sets: list[str] | None) -> tuple[ReliabilitySpec, list[str]]:
    """The reliability table with its own `--set reliability.*`, and the other overrides."""
    from netsim.specs import load
    from netsim.specs.case import parse_overrides
    from netsim.specs.reliability import ReliabilitySpec

    mine = [item for item in sets or [] if item.startswith("reliability.")]
    rest = [item for item in sets or [] if not item.startswith("reliability.")]
    overrides = {key.removeprefix("reliability."): value for key, value in parse_overrides(mine).items()}
    return load(ReliabilitySpec, "reliability", name, overrides), rest


def _refuse_idle(sets: list[str], scaling: str) -> None:
    """Keys that no answer here depends on."""
    from netsim.errors import NetsimError
    from netsim.specs.case import parse_overrides, sort_overrides
    from netsim.specs.idle import refuse_idle

    overrides = parse_overrides(sets)
    refuse_idle(overrides, scaling, ["failover.forwarding"])
    for key in sort_overrides(overrides)["prices"]:
        raise NetsimError(f"--set prices.{key}: has no effect on goodput")


def _time(option: str, text: str, zero: bool = False) -> float:
    from netsim.errors import NetsimError
    from netsim.units import parse

    try:
        seconds = parse(text, "seconds")
    except ValueError as error:
        raise NetsimError(f"{option} {text}: {error}") from None
    if not (seconds >= 0 if zero else seconds > 0) or seconds == float("inf"):
        raise NetsimError(f"{option} {text}: must be {'at least' if zero else 'more than'} 0 s, and finite")
    return seconds


def _write(folder: Path, record: dict[str, Any]) -> None:
    from netsim.errors import NetsimError
    from netsim.goodput.figure import figure
    from netsim.reports.plots import svg

    try:
        (folder / "result.json").write_text(jsonlib.dumps(record, indent=1) + "\n", "utf-8")
        (folder / "goodput.svg").write_text(svg(figure(record)), "utf-8")
    except OSError as error:
        raise NetsimError(f"-o {folder}: cannot be written: {error.strerror}") from None
    print(f"wrote result.json, goodput.svg to {folder}", file=sys.stderr)


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
