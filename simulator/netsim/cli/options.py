"""Options that several commands share, each spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TopologyName = Annotated[
    str,
    typer.Option(
        "--topology", "-t", help="Fabric: a preset (netsim topology list), a TOML, or a CSV of cables."
    ),
]
Gpus = Annotated[int, typer.Option("--gpus", "-n", help="GPUs in the cluster.")]
Model = Annotated[str, typer.Option("--model", "-m", help="Model: a workload preset or a TOML file.")]
WorkloadName = Annotated[str, typer.Option("--workload", "-w", help="Job: a preset or a TOML file.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Compute profile: a preset or a TOML file. [default: the workload's]"),
]
Routing = Annotated[
    str | None,
    typer.Option(
        "--routing", help="ecmp, adaptive, static; on a Dragonfly also valiant, ugal. [default: the fabric's]"
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule", help="1f1b, interleaved, zb1p, dualpipe, dualpipe_v. [default: the workload's]"
    ),
]
Placement = Annotated[
    str | None,
    typer.Option(
        "--placement",
        metavar="POLICY|CSV",
        help="Ranks to GPUs: contiguous, spread, random (whole hosts), or a CSV of rank,host,gpu.",
    ),
]
GpuHour = Annotated[
    float | None,
    typer.Option("--gpu-hour-usd", help="Rent of a GPU, $ an hour. [default: the price book's]"),
]
Scaling = Annotated[
    str,
    typer.Option(
        "--scaling", help="weak: micro-batches a pipeline stay; strong: the batch of the workload stays."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a spec key, e.g. switch.radix=128. Repeatable."
    ),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="FAULT",
        help='What breaks when, e.g. "plane 3 down at 40%", "nic host12.3 degraded to 50% at 1s", or a TOML of '
        "[[faults]]. Repeatable; each is also simulated alone.",
    ),
]
FaultRate = Annotated[
    float | None,
    typer.Option("--fault-rate", min=0.0, help="Draw faults at this many times the rates of --reliability."),
]
Reliability = Annotated[
    str | None,
    typer.Option(
        "--reliability", help="Failure rates: a preset (llama3, hpn, rsc1) or a TOML file. [default: llama3]"
    ),
]
Fold = Annotated[
    bool, typer.Option("--fold/--no-fold", help="Share the execution of ranks that cannot be told apart.")
]
Spec = Annotated[
    Path | None,
    typer.Option(
        "--spec",
        help="The spec.toml of a run: the same question again, but for what --set and options change.",
    ),
]


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("must name a folder; . is this one")
    return Path(text)


Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        parser=_folder,
        metavar="DIR",
        help="Write result.json, spec.toml and tables into this folder.",
    ),
]
HostName = Annotated[
    str, typer.Option("--hardware", help="Host: a preset (h800, h200, nvl72, ...) or a TOML file.")
]
Hardware = Annotated[
    str | None,
    typer.Option(
        "--hardware", help="Host: a preset (h800, h200, nvl72, ...) or a TOML file. [default: the job's]"
    ),
]
Prices = Annotated[
    str, typer.Option("--prices", help="Price book: a preset (published, street_2026) or a TOML file.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Write the tables as CSV too (with -o).")]
Processes = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes; the numbers stay the same. [default: all cores]"),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a result that is already there.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress.")]


def given(context: typer.Context) -> dict[str, str]:
    """Parameters that stand on the command line, and how each is spelled there at its longest."""
    return {
        param.name: max(param.opts, key=len)
        for param in context.command.params
        if param.name and getattr(context.get_parameter_source(param.name), "name", "") == "COMMANDLINE"
    }


def refuse_beside_list(context: typer.Context, *argument: str) -> None:
    """Only --json goes with `list`; `argument` is where that word stands."""
    from netsim.errors import NetsimError

    for name, option in given(context).items():
        if name not in (*argument, "json"):
            raise NetsimError(f"{option}: has no effect on list")
