"""Jobs that share a fabric: each job's step alone and beside the others, and what became slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netsim.result import collective_statistics, phases, step_time_s
from netsim.simulate import Step
from netsim.tenants import Tenant, simulate_together
from netsim.topologies import Topology


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
