"""What ranks that are not alike make of a step: who is slow, who waits for whom, and how far it spreads.

Compute is a GPU's own: the sum of its blocks. A wait is the time between a rank's arrival at an exchange (or send) and
that of the last rank of its stage group; compute may run on meanwhile, as in the notify waits of the H800 trace. A
pair's length is that of its stage group, from the first start to the last end.
`netsim.analysis.spread` compares with the same step of equal ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.training.result import Columns, chunk_spans
from netsim.training.simulate import Step
from netsim.workloads.tasks import COMPUTE


def skew(step: Step) -> dict[str, Any]:
    """Compute, pairs and waits over all GPUs, and the slowest GPU. The step must have been made with a variation."""
    ranks, execution = step.ranks, step.execution
    assert ranks is not None
    assert execution.wait_s is not None
    assert execution.last_rank is not None
    busy, pairs = own_compute(step)
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


def own_compute(step: Step) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
