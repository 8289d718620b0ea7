"""Colour refinement of the flow-link graph: which flows, links, batches and actors nothing tells apart.

Four kinds of nodes: flows meet links (edge label: the share) and their batch; batches meet actors (edge label: the
role). In a round every node mixes its colour with the multiset of (label, colour) around it; the multiset is a sum of
64-bit mixed words, so a round is one pass over the incidences and no order matters. Two different multisets may in
principle collide, so the result is checked afterwards, exactly (`netsim.network.quotient`); a collision means another
salt, never a wrong answer.

*When it ends.* A round refines the flows by the links and batches before it, and those by the flows before it. Once two
rounds in a row split no link, batch or actor, the flows of the last two rounds were refined by the same partition, so
they are the same, and the next round would split nothing: flows, which are many, need not be counted in between.

Source: colour refinement is one-dimensional Weisfeiler-Leman (Weisfeiler and Leman 1968); the mixing function is
splitmix64 (Steele, Lea and Flood 2014). Berkholz, Bonsma and Grohe, Tight lower and upper bounds for the complexity of
canonical colour refinement, 2017, for the definitions.
"""

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit
from netsim.network.coloured import Coloured

Colours = NDArray[np.uint64]
Classes = NDArray[np.int32]


@njit(cache=True, _nrt=False)
def mix(a, b):  # type: ignore[no-untyped-def]
    """A 64-bit word that depends on both words and their order."""
    z = (a ^ (b * np.uint64(0x9E3779B97F4A7C15))) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def mix_all(colours, words):  # type: ignore[no-untyped-def]
    """`colours` after taking in one word each, in place."""
    for i in range(colours.size):
        colours[i] = mix(colours[i], words[i])


@njit(cache=True)
def number(colours):  # type: ignore[no-untyped-def]
    """Classes (n,) int32 numbered by first appearance, and how many there are."""
    bits = 10
    keys = np.zeros(1 << bits, np.uint64)
    values = np.full(1 << bits, -1, np.int32)
    classes = np.empty(colours.size, np.int32)
    n = 0
    for i in range(colours.size):
        at = colours[i] >> np.uint64(64 - bits)
        while values[at] >= 0 and keys[at] != colours[i]:
            at = (at + np.uint64(1)) & np.uint64(values.size - 1)
        if values[at] < 0:
            keys[at] = colours[i]
            values[at] = n
            n += 1
            if 2 * n > values.size:
                bits += 2
                keys, values = _grow(keys, values, bits)
            classes[i] = n - 1
        else:
            classes[i] = values[at]
    return classes, n


@njit(cache=True)
def _grow(old_keys, old_values, bits):  # type: ignore[no-untyped-def]
    keys = np.zeros(1 << bits, np.uint64)
    values = np.full(1 << bits, -1, np.int32)
    for i in range(old_values.size):
        if old_values[i] >= 0:
            at = old_keys[i] >> np.uint64(64 - bits)
            while values[at] >= 0:
                at = (at + np.uint64(1)) & np.uint64(values.size - 1)
            keys[at] = old_keys[i]
            values[at] = old_values[i]
    return keys, values


@njit(cache=True)
def _round(n, share, label, flow, link, batch, actor):  # type: ignore[no-untyped-def]
    """One round of all four kinds, in place; every node sees the colours of the round before.

    Most shares are as the first: what a link tells its flows, and a flow its links, is then mixed once for all.
    """
    usual = share[0] if share.size else np.uint64(0)
    told = np.zeros((link.size, 2), np.uint64)  # to and from the flows of each link
    for c in range(link.size):
        told[c, 0] = mix(link[c], usual)
    to_actor = np.zeros(actor.size, np.uint64)
    for b in range(batch.size):
        from_flows = np.uint64(0)
        from_batch = mix(batch[b], np.uint64(2))
        for f in range(n.batch_ptr[b], n.batch_ptr[b + 1]):
            mine = mix(flow[f], usual)
            around = from_batch
            for k in range(n.link_ptr[f], n.link_ptr[f + 1]):
                c = n.link_ids[k]
                if share[k * n.share.step] == usual:
                    around += told[c, 0]
                    told[c, 1] += mine
                else:
                    around += mix(link[c], share[k])
                    told[c, 1] += mix(flow[f], share[k])
            from_flows += mine
            flow[f] = mix(mine, around)
        from_actors = np.uint64(0)
        for k in range(n.actor_ptr[b], n.actor_ptr[b + 1]):
            from_actors += mix(actor[n.actor_ids[k]], label[k])
            to_actor[n.actor_ids[k]] += mix(batch[b], label[k])
        batch[b] = mix(mix(batch[b], from_flows), from_actors)
    for c in range(link.size):
        link[c] = mix(link[c], told[c, 1])
    mix_all(actor, to_actor)


def refine(n: Coloured, salt: int) -> tuple[Classes, Classes, Classes, Classes]:
    """Classes of flows, links, batches and actors in the coarsest equitable partition of the colours and numbers."""
    flow = _initial(
        salt, n.link_ptr.size - 1, *(column.values for column in (n.size, n.cap, n.weight) if column.step)
    )
    link = _initial(salt, n.capacity.size, n.capacity, n.link_color)
    batch, actor = (
        _initial(salt, n.batch_color.size, n.batch_color),
        _initial(salt, n.actor_color.size, n.actor_color),
    )
    share, label = _words(n.share.values), _words(n.label)
    seen, unsplit = 0, 0
    while True:
        few = [number(colours) for colours in (link, batch, actor)]
        count = sum(classes for _, classes in few)
        unsplit = unsplit + 1 if count == seen else 0
        if unsplit == 2:
            (links, _), (batches, _), (actors, _) = few
            return number(flow)[0], links, batches, actors
        seen = count
        _round(n, share, label, flow, link, batch, actor)


def _initial(salt: int, n: int, *of: NDArray[np.generic]) -> Colours:
    colours = np.full(n, salt, np.uint64)
    for values in of:
        mix_all(colours, _words(values))
    return colours


def _words(values: NDArray[np.generic]) -> Colours:
    """The bits of 8-byte numbers as words; -0.0 counts as 0.0."""
    return np.ascontiguousarray(values + 0 if values.dtype.kind == "f" else values).view(np.uint64)
