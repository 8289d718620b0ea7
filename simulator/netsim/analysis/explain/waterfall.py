"""From the ideal to the answer: what each cause adds to the step of the mean rank, until it is the step.

    ideal                    FLOPs of the mean rank at the peak of their format
    efficiency of a class    what kernels bound by tensor cores or SMs take beyond that, alone on a rested GPU
    memory-bound operators   kernels bound by HBM, whole
    launches and gaps        kernels bound by their launch, and idle time behind kernels
    beside exchanges         what compute takes longer with transfers resident, and for SMs that they hold
    power limit              what it takes longer than on a rested GPU
    optimizer                the update
    schedule                 bubble with stages that are all as long as the mean one, and no exchange
    uneven stages            what stages add that are not
    exposed ...              what each kind of exchange adds, one after the other, tensor exchanges first
    slower ranks             what ranks add that are not like the mean one

The last six run the executed graph again (`execution.recorded`), each with one thing more, so the bars add up to the
step exactly; among exchanges the order matters a little. Left out: that exchanges which are taken away no longer slow
the others.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy
from netsim.analysis.explain.operators import pieces, times_run
from netsim.workloads.tasks import CONTEXT_TRANSFERS, EXPERT_TRANSFERS, SENDS, TENSOR_TRANSFERS

Floats = NDArray[np.float64]
#: kinds of exchanges in the order in which they are given back; what is left comes last, gradients and their norm
EXPOSED = {
    "tensor": TENSOR_TRANSFERS,
    "context": CONTEXT_TRANSFERS,
    "expert": EXPERT_TRANSFERS,
    "pipeline": SENDS,
    "parameter": ("parameter_gather", "all_gather"),
    "host": ("host",),
}
LAST = "gradient"


def waterfall(found: Anatomy) -> list[dict[str, Any]]:
    """Bars {part, name, seconds, end_s}: each begins where the one before ends, and the last ends at the step."""
    bars = [*_compute(found), *_waiting(found)]
    end, rows = 0.0, []
    for part, name, seconds in bars:
        end += seconds
        rows.append({"part": part, "name": name, "seconds": seconds, "end_s": end})
    return rows


def _compute(found: Anatomy) -> list[tuple[str, str, float]]:
    """The mean rank's compute, from its FLOPs up."""
    ideal = optimizer = memory = launch = beside = power = 0.0
    slack: dict[str, float] = defaultdict(float)
    for work, times in zip(found.works, times_run(found).tolist(), strict=True):
        if not times or work not in found.step.timing.blocks:
            continue
        if work.name == "optimizer":
            optimizer += times * found.step.timing.blocks[work].seconds
            continue
        for piece in pieces(found.step, work):
            ideal += times * piece.ideal_s
            beside += times * piece.beside_s
            power += times * piece.power_s
            launch += times * piece.gap_s
            more = times * (piece.alone_s - piece.ideal_s)
            if piece.bound == "compute":
                slack[piece.op.kind] += more
            elif piece.bound == "memory":
                memory += more
            else:
                launch += more
    held = _mean_rank(found, _alike_s(found)) - _mean_rank(found, found.block_s[found.work])
    classes = sorted(slack.items(), key=lambda item: -item[1])
    return [
        ("ideal", "FLOPs at peak", ideal),
        *(("efficiency", kind, seconds) for kind, seconds in classes if seconds),
        ("memory", "memory-bound operators", memory),
        ("launch", "launches and gaps", launch),
        ("beside", "beside exchanges", beside + held),
        ("power", "power limit", power),
        ("optimizer", "optimizer", optimizer),
    ]


def _waiting(found: Anatomy) -> list[tuple[str, str, float]]:
    """What the mean rank waits for: differences between runs of the graph with one thing more."""
    alike = _alike_s(found)
    busy = np.where(found.computes, alike, 0.0)
    even, marks = _even(found, busy)
    steps = [("schedule", "schedule", even, marks), ("uneven", "uneven stages", busy, None)]
    own = busy
    for name, kinds in EXPOSED.items():
        mine = np.isin(found.name, kinds)
        if mine.any():
            own = np.where(mine, alike, own)
            steps.append(("exposed", name, own, None))
    steps.append(("exposed", LAST, alike, None))
    if found.step.ranks is not None:
        steps.append(("skew", "slower ranks", found.graph.own_s, None))
    before, rows = _mean_rank(found, busy), []
    for part, name, seconds, lag_s in steps:
        after = found.graph.end_s(seconds, lag_s)
        rows.append((part, name, after - before))
        before = after
    return [row for row in rows if row[2] or row[0] != "exposed"]


def _mean_rank(found: Anatomy, own_s: Floats) -> float:
    """Seconds of compute of the mean rank."""
    mine = found.computes
    weight = found.groups_in[found.actor[mine]] / float(found.groups_in.sum())
    return float((own_s[mine] * weight).sum())


def _alike_s(found: Anatomy) -> Floats:
    """Durations of tasks, where ranks differ those of the mean one."""
    own = found.graph.own_s
    if found.step.ranks is None:
        return own
    return np.where(found.computes, np.nan_to_num(found.step.program.seconds), own)


def _even(found: Anatomy, own_s: Floats) -> tuple[Floats, Floats]:
    """Durations and marks with the work of every phase spread evenly over the stages that have any."""
    graph = found.step.graph
    stage = np.array(graph.stage)[found.step.instances.task]
    phase = np.array([work.phase or work.name for work in found.works])[found.work]
    factor = np.ones(len(own_s))
    weight = found.groups_in[found.actor].astype(float)
    for each in np.unique(phase[found.computes]):
        mine = np.flatnonzero(found.computes & (phase == each))
        sums = np.bincount(stage[mine], weights=(own_s * weight)[mine])
        some = sums > 0.0
        if some.any():
            factor[mine] = np.where(some, sums[some].mean() / np.where(some, sums, 1.0), 1.0)[stage[mine]]
    ends = np.where(found.graph.task >= 0, found.graph.task, 0)
    other = found.graph.source % max(found.graph.tasks, 1)
    block = np.where(found.computes[ends], ends, other)
    marks = found.graph.lag_s * np.where(found.graph.lag_s > 0.0, factor[block], 1.0)
    return own_s * factor, marks
