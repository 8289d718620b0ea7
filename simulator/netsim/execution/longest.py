"""Longest paths through a graph of instants: when each instant is, and which one before it sets it.

    t[v] = max over edges (u, v) of t[u] + length[edge],    0 for an instant without edges

Edges stand in columns, sorted by the instant that they lead to. Linear in edges.

Source: Kahn, CACM 5 (1962), topological sorting; Kelley and Walker 1959, critical-path method.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def topological_order(ptr: Ints, source: Ints) -> Ints:
    """Instants so that each comes behind all that it waits for.

    ptr, source : edges to instant v are ptr[v]..ptr[v + 1], and come from `source`

    >>> topological_order(np.array([0, 1, 1, 3]), np.array([1, 0, 1])).tolist()  # 1 -> 0 -> 2, 1 -> 2
    [1, 0, 2]
    """
    nodes = len(ptr) - 1
    by_source = np.argsort(source, kind="stable")
    target = np.repeat(np.arange(nodes), np.diff(ptr))[by_source]
    out_ptr = np.searchsorted(source[by_source], np.arange(nodes + 1))
    order: Ints = _order(np.diff(ptr), out_ptr, target)
    assert len(order) == nodes, "an execution that ended has no cycle"
    return order


@njit(cache=True)
def _order(missing: Any, out_ptr: Any, target: Any) -> Any:
    order = np.empty(missing.size, np.int64)
    count = 0
    for v in range(missing.size):
        if missing[v] == 0:
            order[count] = v
            count += 1
    at = 0
    while at < count:
        for e in range(out_ptr[order[at]], out_ptr[order[at] + 1]):
            missing[target[e]] -= 1
            if missing[target[e]] == 0:
                order[count] = target[e]
                count += 1
        at += 1
    return order[:count]


@njit(cache=True)
def longest(order: Any, ptr: Any, source: Any, length: Any) -> Any:
    """(times, edges): when each instant is, and the edge that sets it (-1: none); of equal ones the first."""
    times = np.zeros(order.size)
    by = np.full(order.size, -1, np.int64)
    for v in order:
        for e in range(ptr[v], ptr[v + 1]):
            at = times[source[e]] + length[e]
            if by[v] < 0 or at > times[v]:
                times[v] = at
                by[v] = e
    return times, by
