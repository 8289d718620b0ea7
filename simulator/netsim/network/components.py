"""Batches that share no link, however indirectly, never feel each other: each component runs to its end by itself.

The rates of a component depend on its own flows and links only (the inequalities of `netsim.network.maxmin`
separate), so the order in which components run changes nothing, while the state of one stays in the cache.
"""

import numpy as np

from netsim.kernels import njit
from netsim.network.events import TIME_TOLERANCE, advance, next_end, start, take_done
from netsim.network.state import LAST


@njit(cache=True, _nrt=False, forceinline=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True)
def unite(parent, ptr, ids, n_ids):  # type: ignore[no-untyped-def]
    """Union-find: rows of a CSR that hold the same id become one set, whose root is its first row."""
    last = np.full(n_ids, -1, np.int32)  # the last row that held each id: most often the one at hand
    for row in range(ptr.size - 1):
        for k in range(ptr[row], ptr[row + 1]):
            before = last[ids[k]]
            if before == row:
                continue
            last[ids[k]] = row
            if before >= 0:
                mine, other = _root(parent, row), _root(parent, before)
                parent[max(mine, other)] = min(mine, other)


@njit(cache=True)
def number_sets(parent):  # type: ignore[no-untyped-def]
    """(rows,) the set of each row, numbered by first appearance, and how many there are."""
    label = np.empty(parent.size, np.int32)
    count = 0
    for row in range(parent.size):
        root = _root(parent, row)
        if root == row:
            label[row] = count
            count += 1
        else:
            label[row] = label[root]
    return label, count


@njit(cache=True)
def component_of_batch(s):  # type: ignore[no-untyped-def]
    """(n_batches,) the component of each batch, numbered by first appearance; one without links is its own."""
    first = np.empty(s.batch.size, np.int64)
    for b in range(s.batch.size):
        first[b] = s.plan[s.batch[b].first].first
    parent = np.arange(s.batch.size - 1)
    unite(parent, first, s.hop_link, s.link.size)
    return number_sets(parent)[0]


@njit(cache=True)
def run_to_end(s, order, start_s):  # type: ignore[no-untyped-def]
    """Start every batch at its time (`order` sorts them) and run until nothing moves."""
    one = np.empty(1, np.int64)
    i = 0
    while True:
        due = next_end(s)
        take_done(s)
        begin = start_s[order[i]] if i < order.size else np.inf
        now = min(due, begin)
        if now == np.inf:
            return
        if due <= now + TIME_TOLERANCE * abs(now):
            advance(s, now)
        while i < order.size and start_s[order[i]] <= now:
            one[0] = order[i]
            start(s, now, one, 1.0, 1.0)
            i += 1


@njit(cache=True)
def run_by_component(s, order, start_s):  # type: ignore[no-untyped-def]
    """Start every batch at its time (`order` sorts them), and run one component after another until nothing moves."""
    label = component_of_batch(s)
    mine = np.argsort(label[order], kind="mergesort")  # by component, then as `order` has them
    i = 0
    while i < mine.size:
        j = i
        while j < mine.size and label[order[mine[j]]] == label[order[mine[i]]]:
            j += 1
        s.clock[LAST] = -np.inf
        run_to_end(s, order[mine[i:j]], start_s)
        i = j
