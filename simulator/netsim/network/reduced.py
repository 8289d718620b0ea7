"""A network without its copies of components, and its classes as those of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit
from netsim.network.coloured import Coloured, Groups, make_coloured
from netsim.network.copies import Copies
from netsim.network.flows import Column, FlowTable
from netsim.network.quotient import Folded


def without_copies(n: Coloured, copies: Copies) -> Coloured:
    """The network of the components that are kept, whose nodes keep their order."""
    batch, link, actor = (np.flatnonzero(twin == np.arange(twin.size)) for twin in copies)
    flows = n.batch_ptr[batch], n.batch_ptr[batch + 1]
    hops = n.link_ptr[flows[0]], n.link_ptr[flows[1]]
    roles = n.actor_ptr[batch], n.actor_ptr[batch + 1]
    table = FlowTable(
        link_ptr=_pointers(n.link_ptr, *flows),
        link_ids=_places(copies.link)[_taken(n.link_ids, *hops)],
        link_share=_of(n.share, *hops),
        batch_ptr=_pointers(n.batch_ptr, batch, batch + 1),
        unit_share=_of(n.size, *flows),
        rate_cap=_of(n.cap, *flows),
        weight=_of(n.weight, *flows),
    )
    groups = Groups(
        actor_ptr=_pointers(n.actor_ptr, batch, batch + 1),
        actor_ids=_places(copies.actor)[_taken(n.actor_ids, *roles)],
        label=_taken(n.label, *roles),
        actor_color=n.actor_color[actor],
    )
    return make_coloured(n.capacity[link], table, groups, n.batch_color[batch], n.link_color[link])


def with_copies(n: Coloured, copies: Copies, folded: Folded) -> Folded:
    """The quotient of the kept components as that of the whole: every node is of the class of its counterpart."""
    batch, link, actor = (_places(twin)[twin] for twin in copies)
    return replace(
        folded,
        flow_class=_lifted(folded.flow_class, n.batch_ptr, copies.batch, batch),
        link_class=folded.link_class[link],
        batch_class=folded.batch_class[batch],
        actor_class=folded.actor_class[actor],
    )


def _places(twin: NDArray[np.int32]) -> NDArray[np.int32]:
    """The number of each kept node among those that are kept."""
    return np.cumsum(twin == np.arange(twin.size), dtype=np.int32) - np.int32(1)


def _of(numbers: Column, begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
    if numbers.step:
        return np.asarray(_taken(numbers.values, begin, end))
    return np.broadcast_to(numbers.values, (int((end - begin).sum()),))


@njit(cache=True)
def _taken(values, begin, end):  # type: ignore[no-untyped-def]
    """The entries of all ranges, one range after another."""
    count = 0
    for i in range(begin.size):
        count += end[i] - begin[i]
    found = np.empty(count, values.dtype)
    at = 0
    for i in range(begin.size):
        for k in range(begin[i], end[i]):
            found[at] = values[k]
            at += 1
    return found


@njit(cache=True)
def _pointers(ptr, begin, end):  # type: ignore[no-untyped-def]
    """CSR pointers of the rows in all ranges."""
    count = 1
    for i in range(begin.size):
        count += end[i] - begin[i]
    found = np.zeros(count, np.int64)
    at = 0
    for i in range(begin.size):
        for row in range(begin[i], end[i]):
            found[at + 1] = found[at] + ptr[row + 1] - ptr[row]
            at += 1
    return found


@njit(cache=True)
def _lifted(flow_class, batch_ptr, twin, place):  # type: ignore[no-untyped-def]
    """(n_flows,) classes, given those of the kept flows: batch b copies batch `twin[b]`, the `place[b]`-th kept."""
    first = np.zeros(batch_ptr.size, np.int64)  # kept flow of each kept batch
    at = 0
    for b in range(twin.size):
        if twin[b] == b:
            first[place[b]] = at
            at += batch_ptr[b + 1] - batch_ptr[b]
    found = np.empty(batch_ptr[-1], np.int32)
    for b in range(twin.size):
        shift = first[place[b]] - batch_ptr[b]
        for f in range(batch_ptr[b], batch_ptr[b + 1]):
            found[f] = flow_class[f + shift]
    return found
