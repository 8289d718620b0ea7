"""Compute that slows while exchanges hold SMs of its GPU, when the exchanges or the compute take another time.

A task of `seconds` that ran beside exchanges took own = seconds + extra. The extra time goes with how long SMs were
held (`execution.pace`), so it shrinks as the exchanges beside the task do, each by its SMs and the time that it was
beside; it does not shrink with the task. Left out: that an exchange which ends sooner may begin beside another task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy

Floats = NDArray[np.float64]


def kept(found: Anatomy, own_s: Floats) -> Floats:
    """(n,) the share of a task's extra time that is left when transfers take `own_s`; 1 where none was beside it."""
    program = found.step.program
    share = np.ones(len(program))
    sms = np.array([*(float(t.sms) for t in program.transfers), 0.0])[program.transfer]
    old = found.graph.own_s
    ratio = np.where(old > 0.0, own_s / np.where(old > 0.0, old, 1.0), 1.0)
    start, end = found.step.execution.start_s, found.step.execution.end_s
    extra = np.zeros(len(program)) if found.extra_s is None else found.extra_s
    for actor in range(len(found.groups_in)):
        mine = found.actor == actor
        moves, tasks = np.flatnonzero(mine & (sms > 0.0)), np.flatnonzero(mine & (extra > 0.0))
        if not moves.size or not tasks.size:
            continue
        weights = np.column_stack([sms[moves], sms[moves] * ratio[moves]])
        times, held = _integral(start[moves], end[moves], weights)
        both = [np.interp(end[tasks], times, h) - np.interp(start[tasks], times, h) for h in held.T]
        share[tasks] = np.where(both[0] > 0.0, both[1] / np.where(both[0] > 0.0, both[0], 1.0), 1.0)
    return share


def _integral(start_s: Floats, end_s: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Times, and integrals up to them of the weights (intervals, kinds) under way: piecewise linear.

    >>> times, sums = _integral(np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.array([[1.0], [2.0]]))
    >>> times.tolist(), sums[:, 0].tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 6.0])
    """
    times = np.concatenate([start_s, end_s])
    order = np.argsort(times, kind="stable")
    rate = np.concatenate([weights, -weights])[order].cumsum(axis=0)
    times = times[order]
    steps = np.diff(times, prepend=times[:1])[:, None] * np.vstack(
        [np.zeros((1, weights.shape[1])), rate[:-1]]
    )
    return times, steps.cumsum(axis=0)
