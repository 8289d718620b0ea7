"""Batches that share no link, however indirectly, never feel each other: each component runs to its end by itself.

The rates of a component depend on its own flows and links only (the inequalities of `netsim.maxmin` separate), so the
order in which components run changes nothing, while the state of one stays in the cache.
"""

import numpy as np
from numba import njit

from netsim.network.events import run_to_end
from netsim.network.state import LAST


@njit(cache=True, _nrt=False, forceinline=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True)
def component_of_batch(plan, hop_link, batch, n_links):  # type: ignore[no-untyped-def]
    """(n_batches,) the component of each batch, numbered by first appearance; union-find over links."""
    parent = np.arange(n_links)
    label = np.full(batch.size - 1, -1)
    for b in range(batch.size - 1):
        first, end = plan[batch[b].first].first, plan[batch[b + 1].first].first
        if first == end:
            continue
        root = _root(parent, hop_link[first])
        for h in range(first + 1, end):
            other = _root(parent, hop_link[h])
            if other != root:  # the smaller number stays, so that numbering does not depend on the order
                root, other = min(root, other), max(root, other)
                parent[other] = root
    number = np.full(n_links, -1)
    count = 0
    for b in range(batch.size - 1):
        first = plan[batch[b].first].first
        if first == plan[batch[b + 1].first].first:
            label[b] = 0  # crosses nothing: wherever
            continue
        root = _root(parent, hop_link[first])
        if number[root] < 0:
            number[root] = count
            count += 1
        label[b] = number[root]
    return label


@njit(cache=True)
def run_by_component(s, order, start_s):  # type: ignore[no-untyped-def]
    """Start every batch at its time (`order` sorts them), and run one component after another until nothing moves."""
    label = component_of_batch(s.plan, s.hop_link, s.batch, s.link.size)
    mine = np.argsort(label[order], kind="mergesort")  # by component, then as `order` has them
    i = 0
    while i < mine.size:
        j = i
        while j < mine.size and label[order[mine[j]]] == label[order[mine[i]]]:
            j += 1
        s.clock[LAST] = -np.inf
        run_to_end(s, order[mine[i:j]], start_s)
        i = j
