"""Components that are copies of an earlier one, node by node, so that a network need not be folded once for each.

Two components of the flow-link graph are compared as they stand: batches in order, in each its flows in order, in
each its links in order. The n-th link of one is then the counterpart of the n-th of the other, and if that is a
one-to-one map (of links, and of actors), and all numbers, colours and roles agree, the components are isomorphic. No
isomorphism is searched for: what stands in another order is no copy here and is folded with the rest, to the same
classes. What joins components besides links is part of them: flows of one batch, and batches of one actor, are in one.

*Why the classes are the same.* Colour refinement gives a node a colour that depends on its own component only, and
nodes that correspond under an isomorphism the same colour, in every round. So two nodes of the whole network have one
colour exactly if their counterparts have one among the components that are kept.

A component is compared with at most `TRIES` others of its size, which bounds the work; copies that are not found cost
time only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit
from netsim.network.coloured import Coloured
from netsim.network.components import number_sets, unite
from netsim.network.refinement import mix

TRIES = 8
NONE = -1


class Copies(NamedTuple):
    """The node that each batch, link and actor is a copy of: itself for those that are kept."""

    batch: NDArray[np.int32]
    link: NDArray[np.int32]
    actor: NDArray[np.int32]


def find_copies(network: Coloured) -> Copies | None:
    """Which components are copies of earlier ones; None when there is none."""
    label, count = _components(network)
    if count < 2:
        return None
    copies, found = _find(network, label, count)
    return Copies(*copies) if found else None


@njit(cache=True)
def _components(n):  # type: ignore[no-untyped-def]
    """Component of each batch, numbered by first appearance, and how many there are."""
    first = np.empty(n.batch_ptr.size, np.int64)
    for b in range(first.size):
        first[b] = n.link_ptr[n.batch_ptr[b]]
    parent = np.arange(first.size - 1)
    unite(parent, first, n.link_ids, n.capacity.size)
    unite(parent, n.actor_ptr, n.actor_ids, n.actor_color.size)
    return number_sets(parent)


@njit(cache=True)
def _by_component(label, count):  # type: ignore[no-untyped-def]
    """CSR component -> batches, ascending."""
    ptr = np.zeros(count + 1, np.int64)
    for c in label:
        ptr[c + 1] += 1
    ptr = np.cumsum(ptr)
    batches, at = np.empty(label.size, np.int64), ptr.copy()
    for b in range(label.size):
        batches[at[label[b]]] = b
        at[label[b]] += 1
    return ptr, batches


@njit(cache=True)
def _find(n, label, count):  # type: ignore[no-untyped-def]
    """`Copies` as a tuple, and whether there are any."""
    twins = (
        np.arange(label.size).astype(np.int32),
        np.full(n.capacity.size, NONE, np.int32),
        np.full(n.actor_color.size, NONE, np.int32),
    )
    taken = np.full(n.capacity.size, NONE, np.int32), np.full(n.actor_color.size, NONE, np.int32)
    ptr, batches = _by_component(label, count)
    bits = 1
    while 1 << bits < 2 * count:
        bits += 1
    last = np.full(1 << bits, NONE)  # kept component of each hash, the latest
    before = np.full(count, NONE)  # the one before it
    attempt = 0
    found = False
    for c in range(count):
        mine = batches[ptr[c] : ptr[c + 1]]
        slot = _size_hash(n, mine) >> np.uint64(64 - bits)
        other, tries = last[slot], 0
        while other != NONE and tries < TRIES:
            attempt += 1
            if _is_copy(n, mine, batches[ptr[other] : ptr[other + 1]], twins, taken, attempt):
                break
            other = before[other]
            tries += 1
        if other != NONE and tries < TRIES:
            found = True
            continue
        before[c] = last[slot]
        last[slot] = c
        _keep(n, mine, twins)
    for twin in twins:
        for i in range(twin.size):
            if twin[i] == NONE:  # crossed by no flow, or without a batch
                twin[i] = i
    return twins, found


@njit(cache=True, _nrt=False)
def _size_hash(n, batches):  # type: ignore[no-untyped-def]
    """Components of different size seldom have the same."""
    word = np.uint64(batches.size)
    for b in batches:
        first, end = n.batch_ptr[b], n.batch_ptr[b + 1]
        word = mix(word, np.uint64(n.link_ptr[end] - n.link_ptr[first]))
        word = mix(mix(word, np.uint64(end - first)), np.uint64(n.batch_color[b]))
    return word


@njit(cache=True, _nrt=False)
def _keep(n, batches, twins):  # type: ignore[no-untyped-def]
    """Links and actors of a component are their own counterparts."""
    _, link, actor = twins
    for b in batches:
        for k in range(n.link_ptr[n.batch_ptr[b]], n.link_ptr[n.batch_ptr[b + 1]]):
            link[n.link_ids[k]] = n.link_ids[k]
        for k in range(n.actor_ptr[b], n.actor_ptr[b + 1]):
            actor[n.actor_ids[k]] = n.actor_ids[k]


@njit(cache=True, _nrt=False)
def _is_copy(n, mine, other, twins, taken, attempt):  # type: ignore[no-untyped-def]
    """Whether the component of batches `mine` equals the kept one of `other`; its twins are set if so, only then."""
    batch, link, actor = twins
    if mine.size != other.size:
        return False
    for i in range(mine.size):
        if not _numbers_agree(n, mine[i], other[i]):
            return False
    for i in range(mine.size):
        if not (
            _links_agree(n, mine[i], other[i], link, taken[0], attempt)
            and _actors_agree(n, mine[i], other[i], actor, taken[1], attempt)
        ):
            for b in mine[: i + 1]:
                for k in range(n.link_ptr[n.batch_ptr[b]], n.link_ptr[n.batch_ptr[b + 1]]):
                    link[n.link_ids[k]] = NONE
                for k in range(n.actor_ptr[b], n.actor_ptr[b + 1]):
                    actor[n.actor_ids[k]] = NONE
            return False
    for i in range(mine.size):
        batch[mine[i]] = other[i]
    return True


@njit(cache=True, _nrt=False)
def _numbers_agree(n, b, o):  # type: ignore[no-untyped-def]
    """Whether two batches have equal colours, flows of equal numbers and lengths, and equal shares, in order."""
    first, of_first = n.batch_ptr[b], n.batch_ptr[o]
    flows = n.batch_ptr[b + 1] - first
    hop, of_hop = n.link_ptr[first], n.link_ptr[of_first]
    if n.batch_color[b] != n.batch_color[o] or flows != n.batch_ptr[o + 1] - of_first:
        return False
    if not (
        _same(n.size, first, of_first, flows)
        and _same(n.cap, first, of_first, flows)
        and _same(n.weight, first, of_first, flows)
    ):
        return False
    differ = False
    for f in range(1, flows + 1):
        differ |= n.link_ptr[first + f] - hop != n.link_ptr[of_first + f] - of_hop
    return not differ and _same(n.share, hop, of_hop, n.link_ptr[first + flows] - hop)


@njit(cache=True, _nrt=False)
def _same(column, i, j, count):  # type: ignore[no-untyped-def]
    """Whether `count` entries from i on and from j on are equal."""
    differ = False
    for k in range(count if column.step else 0):
        differ |= column.values[i + k] != column.values[j + k]
    return not differ


@njit(cache=True, _nrt=False)
def _links_agree(n, b, o, twin, taken, attempt):  # type: ignore[no-untyped-def]
    """Whether the links of batch b go with those of o, one to one, in capacity and colour."""
    first, end = n.link_ptr[n.batch_ptr[b]], n.link_ptr[n.batch_ptr[b + 1]]
    shift = n.link_ptr[n.batch_ptr[o]] - first
    for k in range(first, end):
        mine, other = n.link_ids[k], n.link_ids[k + shift]
        if twin[mine] == other:
            continue
        if twin[mine] != NONE or taken[other] == attempt:
            return False
        if n.capacity[mine] != n.capacity[other] or n.link_color[mine] != n.link_color[other]:
            return False
        twin[mine] = other
        taken[other] = attempt
    return True


@njit(cache=True, _nrt=False)
def _actors_agree(n, b, o, twin, taken, attempt):  # type: ignore[no-untyped-def]
    """Whether the actors of batch b go with those of o, one to one, in role and colour."""
    first, end = n.actor_ptr[b], n.actor_ptr[b + 1]
    if end - first != n.actor_ptr[o + 1] - n.actor_ptr[o]:
        return False
    shift = n.actor_ptr[o] - first
    for k in range(first, end):
        mine, other = n.actor_ids[k], n.actor_ids[k + shift]
        if n.label[k] != n.label[k + shift]:
            return False
        if twin[mine] == other:
            continue
        if twin[mine] != NONE or taken[other] == attempt or n.actor_color[mine] != n.actor_color[other]:
            return False
        twin[mine] = other
        taken[other] = attempt
    return True
