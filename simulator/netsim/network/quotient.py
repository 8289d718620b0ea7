"""The quotient of a network by a partition of its nodes, if the partition is equitable; that is checked exactly.

Every node is compared with the first of its class: links with equal capacity and colour, and equal sums of shares of
each flow class; flows with equal size, cap and weight, and equal sums of shares on each link class; batches with equal
colour and as many flows of each class; and actors and batches with equal roles of each other's classes. Sums of equal
shares are equal up to the order in which they were added (relative 1e-12); all else is compared bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit
from netsim.network.coloured import Coloured
from netsim.network.flows import FlowTable
from netsim.network.refinement import Classes, refine


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


def coarsest_quotient(network: Coloured) -> Folded:
    """The quotient by the coarsest equitable partition."""
    for salt in range(4):
        folded = quotient(network, refine(network, salt))
        if folded is not None:
            return folded
    raise RuntimeError("colour refinement collided four times in a row: a defect, not chance")


def quotient(n: Coloured, classes: tuple[Classes, Classes, Classes, Classes]) -> Folded | None:
    """The quotient by classes of flows, links, batches and actors, numbered by first appearance.

    None when the partition is not equitable.
    """
    flow, link, batch, actor = classes
    flow_first, link_first, batch_first = first_members(flow), first_members(link), first_members(batch)
    numbers = [(column.values, flow, flow_first) for column in (n.size, n.cap, n.weight) if column.step]
    numbers += [(n.capacity, link, link_first)]
    colours = [(n.link_color, link, link_first), (n.batch_color, batch, batch_first)]
    if not all(_constant(*each) for each in numbers) or not all(_constant(*each) for each in colours):
        return None
    if not _actors_alike(n, batch, actor):
        return None
    sizes = _batch_sizes(n.batch_ptr, batch, flow, batch_first, flow_first.size)
    if not sizes.size:
        return None
    ok, ptr, ids, share = _sums(n, flow, link, flow_first, link_first)
    if not ok:
        return None
    of_class = (column.values[flow_first * column.step] for column in (n.size, n.cap, n.weight))
    table = FlowTable(ptr, ids, share, np.concatenate(([0], np.cumsum(sizes[1:]))), *of_class)
    return Folded(table, n.capacity[link_first], flow, link, batch, actor)


@njit(cache=True)
def first_members(classes):  # type: ignore[no-untyped-def]
    """The first member of each class, of classes numbered by first appearance."""
    n = 0
    for i in range(classes.size):
        n = max(n, classes[i] + 1)
    first = np.empty(n, np.int64)
    n = 0
    for i in range(classes.size):
        if classes[i] == n:
            first[n] = i
            n += 1
    return first


@njit(cache=True)
def _constant(values, classes, first):  # type: ignore[no-untyped-def]
    """Whether members of one class have one value."""
    differ = False
    for i in range(classes.size):
        differ |= values[i] != values[first[classes[i]]]
    return not differ


def _actors_alike(n: Coloured, batch: Classes, actor: Classes) -> bool:
    """Whether batches of a class have the same roles of actor classes, and actors of a class the same of batches."""
    if not actor.size:
        return True
    batch_of = np.repeat(np.arange(batch.size), np.diff(n.actor_ptr))
    return (
        _constant(n.actor_color, actor, first_members(actor))
        and _alike(batch, batch_of, actor[n.actor_ids], n.label)
        and _alike(actor, n.actor_ids, batch[batch_of], n.label)
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
def _batch_sizes(batch_ptr, batch_class, flow_class, batch_first, n_flow):  # type: ignore[no-untyped-def]
    """0, then the flow classes of each batch class; nothing when batches of a class differ in their flows."""
    sizes = np.zeros(batch_first.size + 1, np.int64)
    home = np.empty(n_flow, np.int64)  # batch class of each flow class
    count = np.zeros(n_flow, np.int64)  # its flows in the first batch of that class
    for kind in range(batch_first.size):
        for f in range(batch_ptr[batch_first[kind]], batch_ptr[batch_first[kind] + 1]):
            c = flow_class[f]
            if count[c] == 0:
                home[c] = kind
                sizes[kind + 1] += 1
            elif home[c] != kind:
                return sizes[:0]
            count[c] += 1
    seen = np.zeros(n_flow, np.int64)
    for b in range(batch_class.size):
        met = 0
        for f in range(batch_ptr[b], batch_ptr[b + 1]):
            c = flow_class[f]
            if count[c] == 0 or home[c] != batch_class[b]:
                return sizes[:0]
            met += seen[c] == 0
            seen[c] += 1
        if met != sizes[batch_class[b] + 1]:
            return sizes[:0]
        for f in range(batch_ptr[b], batch_ptr[b + 1]):
            if seen[flow_class[f]] != 0 and seen[flow_class[f]] != count[flow_class[f]]:
                return sizes[:0]
            seen[flow_class[f]] = 0
    for c in range(1, n_flow):
        if home[c] < home[c - 1]:  # flows of a batch class stand together
            return sizes[:0]
    return sizes


@njit(cache=True)
def _sums(net, flow_class, link_class, flow_rep, link_rep):  # type: ignore[no-untyped-def]
    """Whether sums of shares are those of the first flow and link of each class; and the CSR of the quotient."""
    link_ptr, link_ids, link_share, step = net.link_ptr, net.link_ids, net.share.values, net.share.step
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
            flow_sum[i] += link_share[k * step]
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
            mine[i - ptr[c]] += link_share[k * step]
            total[first[link] + row[i]] += link_share[k * step]
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
