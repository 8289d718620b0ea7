"""`netsim share`: several jobs on one fabric, and how much each slows the others."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from netsim.cli.options import Gpus, Json, Quiet, Routing, Seed, Sets, TopologyName
from netsim.cli.output import answer


def share(
    file: Annotated[
        str, typer.Argument(help="A TOML with [[jobs]]: name, gpus, workload, placement or hosts, set.")
    ],
    topology: TopologyName = "mpft",
    gpus: Gpus = 2048,
    routing: Routing = None,
    seed: Seed = 0,
    sets: Sets = None,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Share the execution of ranks that cannot be told apart.")
    ] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run several jobs on one fabric at once and compare each with itself alone."""
    from netsim.analysis.sharing import make_tenants, sharing
    from netsim.cli.progress import progress_bar
    from netsim.specs.case import parse_overrides

    fabric, tenants = make_tenants(file, topology, gpus, routing, parse_overrides(sets or []))
    with progress_bar("simulating", quiet) as report:
        record = sharing(fabric, tenants, seed=seed, folded=fold, progress=report)
    answer(record, json, quiet, _print)


def _print(record: dict[str, Any]) -> None:
    from netsim.cli.rows import print_rows

    fabric = record["topology"]
    print(
        f"{fabric['gpus']:,} GPUs over {fabric['name']}, {fabric['idle_hosts']} of {fabric['hosts']} hosts idle\n"
    )
    rows = [["job", "gpus", "plan", "alone_s", "together_s", "slowdown", "shared"]]
    for job in record["jobs"]:
        times = (f"{job['alone_s']:.3f}", f"{job['together_s']:.3f}", f"{job['slowdown']:.4f}")
        plan = job["parallelism"].replace(" ", "_")
        rows.append([job["name"], f"{job['gpus']:,}", plan, *times, f"{job['shared_fraction']:.0%}"])
    print_rows(rows, left=1)
    print("\nslowest collectives beside the others")
    rows = [["job", "collective", "alone_ms", "together_ms", "slowdown", "bound_by"]]
    for job in record["jobs"]:
        moved = [c for c in job["collectives"] if c["slowdown"] is not None]
        for row in sorted(moved, key=lambda c: -c["slowdown"])[:3]:
            times = (f"{row['alone_ms']:.2f}", f"{row['together_ms']:.2f}", f"{row['slowdown']:.3f}")
            rows.append([job["name"], row["kind"], *times, row["bottleneck"]])
    print_rows(rows, left=2)
