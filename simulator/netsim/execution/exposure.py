"""Communication that compute hides, and communication that it does not, of every exchange of a step.

An exchange is *exposed* while its rank computes nothing, whichever queue it is in: experts, tensor and context
parallelism, pipeline sends, gradients, parameters, and the norm of the gradient at the end. Exchanges of a rank that
run side by side count once in the exposed seconds, and each for itself in the hidden share.

A joint exchange begins for all when the last of its members has arrived: what the others wait for until then is skew,
not communication. A send is its sender's; the receiver's wait for it is part of the bubble. Left out: whether the step
would be shorter without an exposed exchange (in a bubble it would not; `--explain` simulates that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.workloads.tasks import COMPUTE, JOINT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Exposure(NamedTuple):
    """Means over ranks: seconds with an exchange and no compute; share of exchange time with compute beside it."""

    exposed_s: float
    hidden_fraction: float


def exposure(
    actor: Ints, queue: Ints, work: Ints, name: NDArray[np.str_], start_s: Floats, end_s: Floats, groups: Ints
) -> Exposure:
    """What of the exchanges of task instances, in columns, is hidden.

    groups : (actors,) ranks that each stands for
    """
    begin_s = np.where(np.isin(name, JOINT), _last_arrival(work, start_s), start_s)
    exposed = hidden = moved = 0.0
    for number, ranks in enumerate(groups.tolist()):
        mine = actor == number
        compute, transfer = mine & (queue == COMPUTE), mine & (queue != COMPUTE)
        busy = busy_before(start_s[compute], end_s[compute])
        begin, end = begin_s[transfer], end_s[transfer]
        hidden += ranks * float((busy(end) - busy(begin)).sum())
        moved += ranks * float((end - begin).sum())
        first, last = _union(begin, end)
        exposed += ranks * float((last - first - (busy(last) - busy(first))).sum())
    return Exposure(exposed / float(groups.sum()), hidden / moved if moved else 1.0)


def _last_arrival(work: Ints, start_s: Floats) -> Floats:
    """When the last task of the same work started, for each."""
    last = np.full(int(work.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(last, work, start_s)
    return np.asarray(last[work])


def _union(begin_s: Floats, end_s: Floats) -> tuple[Floats, Floats]:
    """The intervals that others cover in part, as intervals that do not touch.

    >>> [x.tolist() for x in _union(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0]))]
    [[0.0, 5.0], [3.0, 6.0]]
    """
    order = np.argsort(begin_s, kind="stable")
    begin, reached = begin_s[order], np.maximum.accumulate(end_s[order])
    opens = np.ones(begin.size, dtype=bool)
    opens[1:] = begin[1:] > reached[:-1]
    closes = np.append(opens[1:], True)[: begin.size]
    return begin[opens], reached[closes]


def busy_before(start_s: Floats, end_s: Floats) -> Callable[[Floats], Floats]:
    """A function of time: how long an in-order queue has been busy until then."""
    if not start_s.size:
        return np.zeros_like
    edges = np.column_stack([start_s, end_s]).ravel()
    busy = np.column_stack([np.zeros_like(start_s), end_s - start_s]).ravel().cumsum()
    return lambda t: np.interp(t, edges, busy)
