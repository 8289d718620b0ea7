"""How far a difference between ranks spreads: the step beside the same step of equal ranks.

A slow rank adds compute where it sits, and idle time on every pipeline rank that waits for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.bubble import without_variation
from netsim.training.result import Columns, chunk_spans, step_time_s
from netsim.training.simulate import Job, Step, simulate_job
from netsim.training.skew import own_compute
from netsim.workloads.stages import job_order


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
        own = own_compute(step)[0].mean(axis=1)
    inside = np.array([(s.end_s - s.start_s).sum() for s in chunk_spans(step, columns)])
    uses = np.column_stack([own, inside - own, step_time_s(step) - inside])
    return np.column_stack([np.bincount(rank, use * weight) / np.bincount(rank, weight) for use in uses.T])
