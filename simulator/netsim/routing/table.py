"""The links that flows cross, as one CSR table; and trunks, which stand for parallel cables with equal
shares.

A *trunk* is a pseudo-link behind the cables: all uplinks of a leaf (all up-cables of the spines of a pod), or
the same downwards. It is exact, not an approximation, when its cables have equal capacity c and every flow on
it spreads equally over them: with n cables and flows of rates r_f,

    sum_f r_f / n <= c  on each cable     is the same inequality as     sum_f r_f <= n c  on the trunk,

so the feasible rates, and the max-min fair ones among them, are the same. A trunk whose cables differ (a
degraded one) is replaced by its cables.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.topologies import LINK_KINDS

Ints = NDArray[np.int64]

TRUNK_UP, TRUNK_DOWN = len(LINK_KINDS), len(LINK_KINDS) + 1
#: names of links and trunks by number
KINDS = (*LINK_KINDS, "trunk_up", "trunk_down")


class Trunks(NamedTuple):
    """Trunks of a fabric, those upwards and then those downwards: first cable and number of cables."""

    first: Ints
    size: Ints


def over_trunks(combine: np.ufunc, values: NDArray[np.float64], trunks: Trunks) -> NDArray[np.float64]:
    """A ufunc reduced over the cables of each trunk.

    >>> over_trunks(np.add, np.arange(6.0), Trunks(np.array([1, 4]), np.array([2, 2])))
    array([3., 9.])
    """
    if not trunks.size.size:
        return np.zeros(0)
    bounds = np.column_stack([trunks.first, trunks.first + trunks.size]).ravel()
    reduced = combine.reduceat(np.append(values, 0.0), bounds)
    return np.asarray(reduced[::2], dtype=np.float64)


@dataclass(frozen=True)
class PathTable:
    """Flows over links; read-only. The trunks are links n_links, n_links + 1, ... of the topology's.

    ptr : (n_flows + 1,) flow f crosses the links ptr[f]:ptr[f + 1], in path order
    link_ids : (nnz,) links crossed, each at most once a flow
    share : (nnz,) part of the flow's bytes on the link
    latency_s : (n_flows,) idle latency of the path
    capacity : (n_links + n_trunks,) bytes/s, what the solver needs
    kind : (n_links + n_trunks,) number of the name in `KINDS`
    trunk_first, trunk_size : (n_trunks,) the cables of a trunk are trunk_first : trunk_first + trunk_size
    """

    ptr: NDArray[np.int64]
    link_ids: NDArray[np.int32]
    share: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    capacity: NDArray[np.float64]
    kind: NDArray[np.int8]
    trunk_first: Ints
    trunk_size: Ints

    def __post_init__(self) -> None:
        for field in fields(self):
            getattr(self, field.name).flags.writeable = False

    @property
    def n_flows(self) -> int:
        return self.ptr.size - 1

    @property
    def link_kind(self) -> NDArray[np.str_]:
        """Name of the kind of every link and trunk."""
        return np.array(KINDS)[self.kind]

    def path(self, flow: int) -> NDArray[np.int32]:
        """The links of one flow."""
        return self.link_ids[self.ptr[flow] : self.ptr[flow + 1]]


def expand(table: PathTable, trunks: NDArray[np.bool_]) -> PathTable:
    """The same flows with the chosen trunks replaced by their cables, (n_trunks,) bool."""
    first_trunk = table.capacity.size - table.trunk_first.size
    trunk = table.link_ids.astype(np.int64) - first_trunk
    chosen = np.flatnonzero(trunk >= 0)
    chosen = chosen[trunks[trunk[chosen]]]
    count = np.ones(trunk.size, dtype=np.int64)
    count[chosen] = table.trunk_size[trunk[chosen]]
    first = table.link_ids.astype(np.int64)
    first[chosen] = table.trunk_first[trunk[chosen]]
    end = np.concatenate([[0], np.cumsum(count)])
    within = np.arange(end[-1]) - np.repeat(end[:-1], count)
    return replace(
        table,
        ptr=end[table.ptr],
        link_ids=(np.repeat(first, count) + within).astype(np.int32),
        share=np.repeat(table.share / count, count),
    )


def merge(table: PathTable, parts: int) -> PathTable:
    """Every `parts` consecutive flows as one flow that spreads its bytes equally over them.

    The merged flow's links come in the order in which its parts first cross them.
    """
    flows = table.n_flows // parts
    flow = np.repeat(np.arange(table.n_flows) // parts, np.diff(table.ptr))
    key = flow * table.capacity.size + table.link_ids
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    share = np.bincount(group, weights=table.share / parts)
    kept = first[order]
    return replace(
        table,
        ptr=np.searchsorted(flow[kept], np.arange(flows + 1)),
        link_ids=table.link_ids[kept],
        share=np.asarray(share[order], dtype=np.float64),
        latency_s=table.latency_s.reshape(flows, parts).max(axis=1),
    )


def splice(table: PathTable, flows: Ints, other: PathTable) -> PathTable:
    """The table with the paths of some flows taken from another, whose flow n is flow `flows[n]` of this one."""
    count = np.diff(table.ptr)
    count[flows] = np.diff(other.ptr)
    ptr = np.concatenate([[0], np.cumsum(count)])
    kept = np.ones(table.n_flows, dtype=bool)
    kept[flows] = False
    links, share = np.empty(ptr[-1], dtype=np.int32), np.empty(ptr[-1])
    for rows, part in ((np.flatnonzero(kept), table), (flows, other)):
        own = part.ptr[:-1][rows] if part is table else part.ptr[:-1]
        size = count[rows]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        at, of = np.repeat(ptr[rows], size) + within, np.repeat(own, size) + within
        links[at], share[at] = part.link_ids[of], part.share[of]
    latency = table.latency_s.copy()
    latency[flows] = other.latency_s
    return replace(table, ptr=ptr, link_ids=links, share=share, latency_s=latency)
