"""`netsim share`: several jobs on one fabric, and how much each slows the others."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Gpus, Json, Quiet, Routing, Seed, Sets, TopologyName

if TYPE_CHECKING:
    from netsim.specs.case import Case
    from netsim.specs.jobs import JobSpec
    from netsim.tenants import Tenant
    from netsim.topologies import Topology


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
    from netsim.cli.progress import progress_bar
    from netsim.reports.sharing import sharing

    fabric, tenants = _tenants(file, topology, gpus, routing, sets)
    with progress_bar("simulating", quiet) as report:
        record = sharing(fabric, tenants, seed=seed, folded=fold, progress=report)
    if json:
        print(jsonlib.dumps(record, indent=1))
    elif not quiet:
        _print(record)


def _tenants(
    file: str, topology: str, gpus: int, routing: str | None, sets: list[str] | None
) -> tuple[Topology, list[Tenant]]:
    """The fabric, and every job laid out on its hosts."""
    from netsim.catalog import display, find
    from netsim.errors import NetsimError
    from netsim.simulate import lay_out
    from netsim.specs.base import read_toml, validate
    from netsim.specs.case import parse_overrides, sort_overrides
    from netsim.specs.idle import refuse, refuse_idle
    from netsim.specs.jobs import JobsSpec
    from netsim.tenants import Tenant, assign_hosts
    from netsim.topologies import build
    from netsim.workloads.plan import make_plan

    path = find("jobs", file)
    where = display(path)
    spec = validate(JobsSpec, read_toml(path), where)
    overrides = parse_overrides(sets or [])
    for section, keys in sort_overrides(overrides).items():
        if keys and section in ("workload", "profile", "prices"):
            raise NetsimError(
                f"--set {section}.{next(iter(keys))}: has no effect here: a job's `set` holds its keys"
            )
    refuse_idle(overrides, "weak")
    for job in spec.jobs:
        refuse_idle(job.set, "weak")
    cases = [_case(job, where, n, topology, routing, overrides) for n, job in enumerate(spec.jobs)]
    for case in cases:
        refuse(case.idle)
    for job, case in zip(spec.jobs, cases, strict=True):
        if case.hardware != cases[0].hardware:
            raise NetsimError(
                f"{where}: job {job.name!r} runs on {case.hardware.name}, {spec.jobs[0].name!r} on "
                f"{cases[0].hardware.name}: must be the same hosts"
            )
    fabric = build(cases[0].topology, cases[0].hardware, gpus)
    hosts = assign_hosts(spec.jobs, fabric.hosts, fabric.gpus_per_host, where)
    jobs = [
        lay_out(case, make_plan(case.workload, job.gpus)) for case, job in zip(cases, spec.jobs, strict=True)
    ]
    return fabric, [
        Tenant(job.name, case, laid, own)
        for job, case, laid, own in zip(spec.jobs, cases, jobs, hosts, strict=True)
    ]


def _case(
    job: JobSpec, where: str, number: int, topology: str, routing: str | None, overrides: dict[str, Any]
) -> Case:
    from netsim.errors import NetsimError
    from netsim.specs.case import make_case, sort_overrides

    for section, keys in sort_overrides(job.set).items():
        if keys and section not in ("workload", "profile"):
            rule = f"is of the {section}, which all jobs share: give it with --set"
            raise NetsimError(f"{where}: jobs.{number}.set.{next(iter(keys))}: {rule}")
    more = {} if routing is None else {"topology.routing": routing}
    return make_case(topology, job.workload, profile=job.profile, overrides={**overrides, **more, **job.set})


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
