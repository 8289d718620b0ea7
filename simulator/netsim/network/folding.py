"""Folding: flows that nothing tells apart become one flow with a multiplicity.

Take a partition of flows and links into classes that is *equitable*: links of class L have one capacity and carry,
from each flow class F, the same sum of shares ``S_LF``; flows of class F have one weight, cap and size and cross links
of the same classes. The quotient network has one link per L, one flow per F and shares ``S_LF``.

*The quotient has the right rates.* Give every flow the rate of its class in the max-min allocation of the quotient.
A link of class L then carries ``sum_F S_LF x_F <= capacity``, as in the quotient. A flow of class F has in the quotient
a bottleneck: its cap, or a link class L, full, on which no class has a larger level; every flow of F crosses a link of
class L, which is full too and carries flows of the same classes. So every flow has a bottleneck, and an allocation in
which every flow has one is *the* max-min allocation: it is unique (`netsim.maxmin`).

*The partition may be static.* Let the classes be equitable over all registered batches, batches being part of the
partition (flows of one class belong to batches of one class), and let batches of one class start together. By
induction over events: between two events, the active flows are a union of flow classes; restricted to any union of
flow classes the partition stays equitable (each ``S_LF`` is either kept whole or dropped); so flows of a class have
equal rates, have sent equal bytes and end together, and a batch class ends together. What starts next is again a union
of batch classes, if the actors that decide it act alike: actors are in the partition as well.

Symmetry may be missing: a fault, a hash collision or a skewed size only makes more classes, in the extreme one each.

Left out: symmetry in time (a class whose batches start one after the other), and changed capacities of single links;
give such a link its own colour before folding.

Source: equitable partitions, Godsil and Royle, Algebraic Graph Theory, 2001, section 9.3; fractional symmetries of
linear programs, Grohe, Kersting, Mladenov and Selman, Dimension reduction via colour refinement, ESA 2014.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from netsim.maxmin import check_capacity
from netsim.network.flows import FlowTable
from netsim.network.fluid import drain
from netsim.network.refinement import Colours, mix_all, refine, words

Classes = NDArray[np.int32]


@dataclass(frozen=True)
class Groups:
    """Which actors decide over which batches (CSR batch -> actors), and in which role.

    Parameters
    ----------
    actor_ptr : (n_batches + 1,)
    actor_ids : (n_memberships,) in 0..n_actors
    label : (n_memberships,) integer role, e.g. 0 sender, 1 receiver
    actor_color : (n_actors,) integers; actors of different colour are never folded together
    """

    actor_ptr: NDArray[np.int64]
    actor_ids: NDArray[np.int64]
    label: NDArray[np.int64]
    actor_color: NDArray[np.int64]


@dataclass(frozen=True)
class Folded:
    """A quotient network and the way back.

    Parameters
    ----------
    table, capacity : the quotient: one flow per flow class, one link per link class, one batch per batch class
    flow_class, link_class, batch_class, actor_class : (n_flows,), (n_links,), (n_batches,), (n_actors,) class of each
    flow_count, link_count, batch_count, actor_count : members of each class
    """

    table: FlowTable
    capacity: NDArray[np.float64]
    flow_class: Classes
    link_class: Classes
    batch_class: Classes
    actor_class: Classes

    @property
    def flow_count(self) -> NDArray[np.int64]:
        return np.bincount(self.flow_class, minlength=self.table.n_flows)

    @property
    def link_count(self) -> NDArray[np.int64]:
        return np.bincount(self.link_class, minlength=self.capacity.size)

    @property
    def batch_count(self) -> NDArray[np.int64]:
        return np.bincount(self.batch_class, minlength=self.table.n_batches)

    @property
    def actor_count(self) -> NDArray[np.int64]:
        return np.bincount(self.actor_class)


def fold(
    capacity: NDArray[np.float64],
    table: FlowTable,
    groups: Groups | None = None,
    batch_color: ArrayLike | None = None,
    link_color: ArrayLike | None = None,
) -> Folded:
    """The quotient of a network by its coarsest equitable partition.

    Parameters
    ----------
    capacity : (n_links,) bytes/s
    table : all flows that may ever run
    groups : actors, when batches are to be folded across actors that cannot be told apart
    batch_color : (n_batches,) integers; batches of different colour are never folded together. Default: every batch
        its own colour without `groups` (nothing is known about who starts together), one colour for all with them
    link_color : (n_links,) integers, e.g. a link that will fail later

    Raises
    ------
    ValueError
        when an array has the wrong shape, or a capacity is negative or NaN.

    Examples
    --------
    Eight equal flows, two on each of four equal links, started together: one flow with share 2 on one link.

    >>> table = FlowTable.from_batches([([[i % 4] for i in range(8)], 10.0)])
    >>> folded = fold(np.full(4, 5.0), table)
    >>> folded.table.link_share.tolist(), folded.flow_count.tolist(), folded.link_count.tolist()
    ([2.0], [8], [4])
    >>> drain(folded.capacity, folded.table)[folded.flow_class].tolist() == drain(np.full(4, 5.0), table).tolist()
    True
    """
    cap = np.ascontiguousarray(capacity, np.float64)
    check_capacity(cap)
    if table.link_ids.size and table.link_ids.max() >= cap.size:
        raise ValueError(f"link id {table.link_ids.max()} in the table, but there are {cap.size} links")
    if groups is None:
        none = np.zeros(0, np.int64)
        groups = Groups(np.zeros(table.n_batches + 1, np.int64), none, none, none)
        of_batch = np.arange(table.n_batches) if batch_color is None else np.asarray(batch_color, np.int64)
    else:
        of_batch = np.asarray(0 if batch_color is None else batch_color, np.int64)
    of_batch = np.broadcast_to(of_batch, (table.n_batches,))
    of_link = np.broadcast_to(np.asarray(0 if link_color is None else link_color, np.int64), cap.shape)
    _check_groups(groups, table.n_batches)
    for salt in range(4):
        folded = _fold_with(cap, table, groups, of_batch, of_link, salt)
        if folded is not None:
            return folded
    raise RuntimeError("colour refinement collided four times in a row: a defect, not chance")


def drain_folded(
    capacity: NDArray[np.float64], table: FlowTable, start_s: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """`netsim.network.fluid.drain` by way of the quotient: the same finish times, (n_flows,)."""
    begin = np.zeros(table.n_batches) if start_s is None else np.asarray(start_s, np.float64)
    _, color = np.unique(begin, return_inverse=True)
    folded = fold(capacity, table, batch_color=color)
    start = np.zeros(folded.table.n_batches)
    start[folded.batch_class] = begin
    finish: NDArray[np.float64] = drain(folded.capacity, folded.table, start)[folded.flow_class]
    return finish


def _check_groups(groups: Groups, n_batches: int) -> None:
    ptr, ids = groups.actor_ptr, groups.actor_ids
    if ptr.size != n_batches + 1 or ptr[0] != 0 or ptr[-1] != ids.size or (np.diff(ptr) < 0).any():
        raise ValueError(f"actor_ptr must rise from 0 to len(actor_ids) over {n_batches} batches")
    if groups.label.size != ids.size:
        raise ValueError(f"{groups.label.size} labels for {ids.size} memberships")
    if ids.size and not (ids.min() >= 0 and ids.max() < groups.actor_color.size):
        raise ValueError(f"actor ids {ids.min()}..{ids.max()}, must be in 0..{groups.actor_color.size - 1}")


def _fold_with(
    capacity: NDArray[np.float64],
    table: FlowTable,
    groups: Groups,
    batch_color: NDArray[np.int64],
    link_color: NDArray[np.int64],
    salt: int,
) -> Folded | None:
    """Refine with one salt; None when the exact check finds a hash collision."""
    batch = _initial(salt, table.n_batches, words(batch_color))
    flow = _initial(salt, table.n_flows, words(table.size_bytes), words(table.rate_cap), words(table.weight))
    link = _initial(salt, capacity.size, words(capacity), words(link_color))
    actor = _initial(salt, groups.actor_color.size, words(groups.actor_color))
    actor_ptr = np.ascontiguousarray(groups.actor_ptr, np.int64)
    actor_ids = np.ascontiguousarray(groups.actor_ids, np.int64)
    label = np.ascontiguousarray(groups.label, np.int64)
    arrays = (table.link_ptr, table.link_ids, table.link_share, table.batch_ptr, actor_ptr, actor_ids, label)
    flow_class, link_class, batch_class, actor_class = refine(*arrays, flow, link, batch, actor)
    n_flow, n_link, n_batch = (int(c.max(initial=-1)) + 1 for c in (flow_class, link_class, batch_class))
    link_rep, flow_rep, batch_rep = (
        _first(c, n) for c, n in ((link_class, n_link), (flow_class, n_flow), (batch_class, n_batch))
    )
    ok = _actors_alike(batch_class, actor_class, actor_ptr, actor_ids, label)
    ok = ok and all(
        (values == values[rep][classes]).all()
        for values, rep, classes in (
            (capacity, link_rep, link_class),
            (link_color, link_rep, link_class),
            (batch_color, batch_rep, batch_class),
            (table.size_bytes, flow_rep, flow_class),
            (table.rate_cap, flow_rep, flow_class),
            (table.weight, flow_rep, flow_class),
        )
    )
    if not ok:
        return None
    ok, ptr, ids, share = _quotient(
        *(table.link_ptr, table.link_ids, table.link_share, flow_class, link_class, flow_rep, link_rep)
    )
    sizes = _batch_sizes(table.batch_ptr, batch_class, flow_class, n_batch, n_flow)
    if not ok or sizes is None:
        return None
    quotient = FlowTable(
        link_ptr=ptr,
        link_ids=ids,
        link_share=share,
        batch_ptr=np.concatenate(([0], np.cumsum(sizes))),
        size_bytes=table.size_bytes[flow_rep],
        rate_cap=table.rate_cap[flow_rep],
        weight=table.weight[flow_rep],
    )
    return Folded(quotient, capacity[link_rep], flow_class, link_class, batch_class, actor_class)


def _initial(salt: int, n: int, *of: Colours) -> Colours:
    colours = np.full(n, salt, np.uint64)
    for word in of:
        mix_all(colours, word)
    return colours


def _first(classes: Classes, n: int) -> NDArray[np.int64]:
    """(n,) the first member of each class."""
    first = np.zeros(n, np.int64)
    first[classes[::-1]] = np.arange(classes.size - 1, -1, -1)
    return first


def _actors_alike(
    batch_class: Classes,
    actor_class: Classes,
    actor_ptr: NDArray[np.int64],
    actor_ids: NDArray[np.int64],
    label: NDArray[np.int64],
) -> bool:
    """Whether batches of a class have the same roles of actor classes, and actors of a class the same of batches."""
    batch_of = np.repeat(np.arange(batch_class.size), np.diff(actor_ptr))
    return _alike(batch_class, batch_of, actor_class[actor_ids], label) and _alike(
        actor_class, actor_ids, batch_class[batch_of], label
    )


def _alike(classes: Classes, node: NDArray[np.int64], other: Classes, label: NDArray[np.int64]) -> bool:
    """Whether nodes of one class have equal multisets of (other, label)."""
    order = np.lexsort((label, other, node))
    rows = np.stack([other[order], label[order]], axis=1)
    ptr = np.searchsorted(node[order], np.arange(classes.size + 1))
    seen: dict[int, bytes] = {}
    return all(
        seen.setdefault(kind, mine) == mine
        for kind, mine in ((int(c), rows[ptr[i] : ptr[i + 1]].tobytes()) for i, c in enumerate(classes))
    )


@njit(cache=True)
def _quotient(link_ptr, link_ids, link_share, flow_class, link_class, flow_rep, link_rep):  # type: ignore[no-untyped-def]
    """CSR of the quotient, and whether the partition is equitable: every flow and link is compared with its first."""
    n_flow, n_link = flow_rep.size, link_rep.size
    ptr = np.zeros(n_flow + 1, np.int64)
    width = 0
    for c in range(n_flow):  # link classes of each flow class, as its first flow meets them
        ptr[c + 1] = ptr[c] + link_ptr[flow_rep[c] + 1] - link_ptr[flow_rep[c]]
    ids = np.empty(ptr[n_flow], np.int32)
    flow_sum = np.zeros(ptr[n_flow])
    at = 0
    for c in range(n_flow):
        ptr[c] = at
        for k in range(link_ptr[flow_rep[c]], link_ptr[flow_rep[c] + 1]):
            kind = link_class[link_ids[k]]
            i = ptr[c]
            while i < at and ids[i] != kind:
                i += 1
            if i == at:
                ids[at] = kind
                at += 1
            flow_sum[i] += link_share[k]
        width = max(width, at - ptr[c])
    ptr[n_flow] = at
    degree = np.zeros(n_link, np.int64)  # flow classes per link class
    row = np.empty(at, np.int64)  # place of a quotient incidence among those of its link class
    for i in range(at):
        row[i] = degree[ids[i]]
        degree[ids[i]] += 1
    first = np.zeros(link_class.size + 1, np.int64)
    for c in range(link_class.size):
        first[c + 1] = first[c] + degree[link_class[c]]
    total = np.zeros(first[link_class.size])  # per link, the shares of each flow class
    mine = np.zeros(width)
    ok = True
    for f in range(link_ptr.size - 1):
        c = flow_class[f]
        mine[: ptr[c + 1] - ptr[c]] = 0.0
        for k in range(link_ptr[f], link_ptr[f + 1]):
            link = link_ids[k]
            i = ptr[c]
            while i < ptr[c + 1] and ids[i] != link_class[link]:
                i += 1
            if i == ptr[c + 1]:
                return False, ptr, ids[:at], flow_sum[:at]
            mine[i - ptr[c]] += link_share[k]
            total[first[link] + row[i]] += link_share[k]
        for i in range(ptr[c], ptr[c + 1]):
            ok = ok and _close(mine[i - ptr[c]], flow_sum[i])
    for c in range(link_class.size):
        rep = link_rep[link_class[c]]
        for i in range(degree[link_class[c]]):
            ok = ok and _close(total[first[c] + i], total[first[rep] + i])
    share = np.empty(at)
    for i in range(at):
        share[i] = total[first[link_rep[ids[i]]] + row[i]]
    return ok, ptr, ids[:at], share


@njit(cache=True, _nrt=False)
def _close(a, b):  # type: ignore[no-untyped-def]
    """Equal sums of equal shares, added in another order."""
    return abs(a - b) <= 1e-12 * b


def _batch_sizes(
    batch_ptr: NDArray[np.int64], batch_class: Classes, flow_class: Classes, n_batch: int, n_flow: int
) -> NDArray[np.int64] | None:
    """(n_batch,) flow classes of each batch class; None when batches of a class differ in their flows."""
    kind = np.repeat(batch_class, np.diff(batch_ptr))
    home = np.zeros(n_flow, np.int32)
    home[flow_class] = kind
    if (home[flow_class] != kind).any() or (np.diff(home) < 0).any():
        return None
    sizes = np.bincount(home, minlength=n_batch)
    place = np.concatenate(([0], np.cumsum(sizes)))  # first flow class of each batch class
    first = np.concatenate(([0], np.cumsum(sizes[batch_class])))  # first count of each batch
    offset = np.repeat(first[:-1] - place[batch_class], np.diff(batch_ptr))
    counts = np.bincount(offset + flow_class, minlength=first[-1])
    of_batch = np.repeat(np.arange(batch_class.size), sizes[batch_class])
    of_first = (
        first[_first(batch_class, n_batch)[batch_class[of_batch]]] + np.arange(first[-1]) - first[of_batch]
    )
    return sizes if (counts == counts[of_first]).all() else None
