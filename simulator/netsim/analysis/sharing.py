"""Jobs that share a fabric: each job's step alone and beside the others, and what became slower."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netsim.errors import NetsimError
from netsim.specs.base import read_toml, validate
from netsim.specs.case import Case, make_case, sort_overrides, with_option
from netsim.specs.catalog import display, find
from netsim.specs.idle import refuse, refuse_idle
from netsim.specs.jobs import JobSpec, JobsSpec
from netsim.specs.paths import near, placed
from netsim.specs.question import Question
from netsim.topologies import Topology, build
from netsim.training.result import collective_statistics, phases, step_time_s
from netsim.training.simulate import Step, lay_out
from netsim.training.tenants import Tenant, assign_hosts, simulate_together
from netsim.workloads.plan import make_plan


def make_tenants(file: str, question: Question) -> tuple[Topology, list[Tenant]]:
    """The fabric of the question, and every job of a preset or TOML of `[[jobs]]` laid out on its hosts; overrides are
    of the fabric and its hosts.

    Raises NetsimError (SpecError) for a name, key or value that is wrong or has no effect.
    """
    path = find("jobs", file)
    where = display(path)
    spec = validate(JobsSpec, read_toml(path), where)
    given = with_option(question.overrides, "topology.routing", question.routing)
    for section, keys in sort_overrides(given).items():
        if keys and section in ("workload", "profile", "prices"):
            raise NetsimError(
                f"--set {section}.{next(iter(keys))}: has no effect here: a job's `set` holds its keys"
            )
    refuse_idle(given, "weak")
    for job in spec.jobs:
        refuse_idle(job.set, "weak")
    cases = [_case(job, where, path.parent, n, question.topology, given) for n, job in enumerate(spec.jobs)]
    for case in cases:
        refuse(case.idle)
    for job, case in zip(spec.jobs, cases, strict=True):
        if case.hardware != cases[0].hardware:
            raise NetsimError(
                f"{where}: job {job.name!r} runs on {case.hardware.name}, {spec.jobs[0].name!r} on "
                f"{cases[0].hardware.name}: must be the same hosts"
            )
    fabric = build(cases[0].topology, cases[0].hardware, question.gpus)
    hosts = assign_hosts(spec.jobs, fabric.hosts, fabric.gpus_per_host, where)
    jobs = [
        lay_out(case, make_plan(case.workload, job.gpus)) for case, job in zip(cases, spec.jobs, strict=True)
    ]
    return fabric, [
        Tenant(job.name, case, laid, own)
        for job, case, laid, own in zip(spec.jobs, cases, jobs, hosts, strict=True)
    ]


def _case(
    job: JobSpec, where: str, folder: Path, number: int, topology: str, given: Mapping[str, Any]
) -> Case:
    for section, keys in sort_overrides(job.set).items():
        if keys and section not in ("workload", "profile"):
            rule = f"is of the {section}, which all jobs share: give it with --set"
            raise NetsimError(f"{where}: jobs.{number}.set.{next(iter(keys))}: {rule}")
    return make_case(
        topology, near(job.workload, folder), profile=near(job.profile, folder),
        overrides={**given, **placed(job.set, folder)},
    )  # fmt: skip


def sharing(
    topology: Topology,
    tenants: Sequence[Tenant],
    *,
    seed: int = 0,
    folded: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """One record: every job alone on its hosts, all together, and the slow-down of each."""
    done = 0

    def run(these: Sequence[Tenant]) -> list[Step]:
        nonlocal done
        found = simulate_together(topology, these, seed=seed, folded=folded)
        done += 1
        if progress is not None:
            progress(done, len(tenants) + 1)
        return found

    alone = [run([tenant])[0] for tenant in tenants]
    together = run(tenants) if len(tenants) > 1 else alone
    ends = sorted(step_time_s(step) for step in together)
    rows = [_job(t, a, b, ends) for t, a, b in zip(tenants, alone, together, strict=True)]
    free = topology.hosts - sum(tenant.hosts.size for tenant in tenants)
    return {
        "schema": 1,
        "topology": {
            "name": topology.name,
            "gpus": topology.gpus,
            "hosts": topology.hosts,
            "idle_hosts": free,
        },
        "jobs": rows,
        "provenance": {"seed": seed, "spec_sha256": {t.name: t.case.sha256() for t in tenants}},
    }


def _job(tenant: Tenant, alone: Step, together: Step, ends: Sequence[float]) -> dict[str, Any]:
    before, after = step_time_s(alone), step_time_s(together)
    others = [end for end in ends if end != after] or [after]
    was = {c.kind: c.mean_s for c in collective_statistics(alone)}
    return {
        "name": tenant.name,
        "model": tenant.case.workload.model.name,
        "parallelism": tenant.job.plan.describe(),
        "gpus": tenant.job.plan.gpus,
        "hosts": ranges(tenant.hosts.tolist()),
        "alone_s": before,
        "together_s": after,
        "slowdown": after / before,
        "shared_fraction": min(1.0, max(others) / after),
        "exposed_comm_s": [phases(alone).exposed_s, phases(together).exposed_s],
        "collectives": [
            {
                "kind": c.kind,
                "alone_ms": was[c.kind] * 1e3,
                "together_ms": c.mean_s * 1e3,
                "slowdown": c.mean_s / was[c.kind] if was[c.kind] else None,
                "bottleneck": c.bottleneck,
            }
            for c in collective_statistics(together)
        ],
    }


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in short.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ",".join(f"{p[0]}-{p[-1]}" if p.size > 1 else f"{p[0]}" for p in parts)
