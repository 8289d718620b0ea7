"""What ranks that are not alike make of a step: who is slow, who waits for whom, and how far it spreads.

Compute is a GPU's own: the sum of its blocks. A wait is the time between a rank's arrival at an exchange (or send) and
that of the last rank of its stage group; compute may run on meanwhile, as in the notify waits of the H800 trace. A
pair's length is that of its stage group, from the first start to the last end. `spread` compares with the same step of
equal ranks: a slow rank adds compute where it sits, and idle time on every pipeline rank that waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.reports.bubble import without_variation
from netsim.result import Columns, chunk_spans, step_time_s
from netsim.simulate import Job, Step, simulate_job
from netsim.workloads.stages import job_order
from netsim.workloads.tasks import COMPUTE


def skew(step: Step) -> dict[str, Any]:
    """Compute, pairs and waits over all GPUs, and the slowest GPU. The step must have been made with a variation."""
    ranks, execution = step.ranks, step.execution
    assert ranks is not None
    assert execution.wait_s is not None
    assert execution.last_rank is not None
    busy, pairs = _own_compute(step)
    weight = step.traffic.multiplicity
    actor, rank = np.unravel_index(int(busy.argmax()), busy.shape)
    columns = Columns(step)
    mine = (columns.actor == actor) & (columns.queue == COMPUTE)
    spans = [(s.end_s - s.start_s)[s.phase == "1F1B"] for s in chunk_spans(step, columns)]
    return {
        "compute_s": _quantiles(np.repeat(busy, weight, axis=0)),
        "wait_s": _quantiles(np.repeat(execution.wait_s, weight, axis=0)),
        "pair_ms": _quantiles(
            1e3 * np.concatenate([np.tile(s, w) for s, w in zip(spans, weight, strict=True)])
        ),
        "pair_compute_ms": _quantiles(1e3 * pairs),
        "slowest": {
            "gpu": int(ranks.gpu[actor, rank]),
            "pipeline_rank": int(step.traffic.representative[actor, 0]),
            "compute_s": float(busy[actor, rank]),
            "last_fraction": float((execution.last_rank[mine] == rank).mean()),
        },
    }


def _own_compute(step: Step) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(actors, ranks) compute seconds in the step, and those of every rank in every overlapped pair."""
    ranks, columns = step.ranks, Columns(step)
    assert ranks is not None
    busy = np.zeros(ranks.gpu.shape)
    of_chunk: dict[tuple[int, int], NDArray[np.float64]] = {}
    for instance in np.flatnonzero(columns.queue == COMPUTE).tolist():
        seconds, actor = ranks.seconds(instance), int(columns.actor[instance])
        busy[actor] += seconds
        chunk = int(columns.chunk[instance])
        if step.graph.chunks[chunk].phase == "1F1B":
            of_chunk[actor, chunk] = of_chunk.get((actor, chunk), 0.0) + seconds
    return busy, np.concatenate([*of_chunk.values(), np.zeros(0)])


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    if not values.size:
        return {"p50": 0.0, "p99": 0.0, "most": 0.0}
    p50, p99, most = np.percentile(values, [50, 99, 100]).tolist()
    return {"p50": p50, "p99": p99, "most": most}


def spread(step: Step) -> list[dict[str, float]]:
    """Seconds that the variation adds to each pipeline rank, means over its GPUs.

    `compute_s` of its own; `inside_s` idle inside chunks, mostly for slower ranks of the own group; `bubble_s` between
    chunks, for other pipeline ranks.
    """
    case = without_variation(step.case)
    order = job_order(case.workload, step.plan)
    job = Job(step.plan, order, step.stages)
    alike = simulate_job(case, step.topology, job, seed=step.seed, folded=step.folded)
    names = ("compute_s", "inside_s", "bubble_s")
    return [
        {"pipeline_rank": n, **dict(zip(names, row.tolist(), strict=True))}
        for n, row in enumerate(_use_of_time(step) - _use_of_time(alike))
    ]


def _use_of_time(step: Step) -> NDArray[np.float64]:
    """(pipeline, 3) seconds of compute, idle inside chunks, and outside; means over the GPUs of a pipeline rank."""
    columns, weight, rank = Columns(step), step.traffic.multiplicity, step.traffic.representative[:, 0]
    if step.ranks is None:
        own = np.bincount(columns.actor, np.nan_to_num(step.program.seconds), minlength=weight.size)
    else:
        own = _own_compute(step)[0].mean(axis=1)
    inside = np.array([(s.end_s - s.start_s).sum() for s in chunk_spans(step, columns)])
    uses = np.column_stack([own, inside - own, step_time_s(step) - inside])
    return np.column_stack([np.bincount(rank, use * weight) / np.bincount(rank, weight) for use in uses.T])
