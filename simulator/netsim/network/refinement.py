"""Colour refinement of the flow-link graph: which flows, links, batches and actors nothing tells apart.

Four kinds of nodes: flows meet links (edge label: the share) and their batch; batches meet actors (edge label: the
role). In a round every node mixes its colour with the multiset of (label, colour) around it; the multiset is a sum of
64-bit mixed words, so a round is one pass over the incidences and no order matters. Rounds go on while the number of
colours grows. Two different multisets may in principle collide, so the result is checked afterwards, exactly
(`netsim.network.folding`); a collision means another salt, never a wrong answer.

Source: colour refinement is one-dimensional Weisfeiler-Leman (Weisfeiler and Leman 1968); the mixing function is
splitmix64 (Steele, Lea and Flood 2014).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Colours = NDArray[np.uint64]


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
def _round(link_ptr, link_ids, share, batch_ptr, actor_ptr, actor_ids, label, flow, link, batch, actor):  # type: ignore[no-untyped-def]
    """One round of all four kinds, in place; every node sees the colours of the round before."""
    to_link = np.zeros(link.size, np.uint64)
    to_actor = np.zeros(actor.size, np.uint64)
    for b in range(batch.size):
        from_flows = np.uint64(0)
        for f in range(batch_ptr[b], batch_ptr[b + 1]):
            mine = flow[f]
            from_links = np.uint64(0)
            for k in range(link_ptr[f], link_ptr[f + 1]):
                c = link_ids[k]
                from_links += mix(link[c], share[k])
                to_link[c] += mix(mine, share[k])
            from_flows += mix(mine, np.uint64(1))
            flow[f] = mix(mix(mine, from_links), batch[b])
        from_actors = np.uint64(0)
        for k in range(actor_ptr[b], actor_ptr[b + 1]):
            from_actors += mix(actor[actor_ids[k]], label[k])
            to_actor[actor_ids[k]] += mix(batch[b], label[k])
        batch[b] = mix(mix(batch[b], from_flows), from_actors)
    mix_all(link, to_link)
    mix_all(actor, to_actor)


def refine(
    link_ptr: NDArray[np.int64],
    link_ids: NDArray[np.int32],
    link_share: NDArray[np.float64],
    batch_ptr: NDArray[np.int64],
    actor_ptr: NDArray[np.int64],
    actor_ids: NDArray[np.int64],
    label: NDArray[np.int64],
    flow: Colours,
    link: Colours,
    batch: Colours,
    actor: Colours,
) -> list[NDArray[np.int32]]:
    """Classes of flows, links, batches and actors in the coarsest equitable partition of the initial colours.

    Source: Berkholz, Bonsma and Grohe, Tight lower and upper bounds for the complexity of canonical colour refinement,
    2017, for the definitions.
    """
    nodes = [flow.copy(), link.copy(), batch.copy(), actor.copy()]
    shares, labels = words(link_share), words(label)
    seen = 0
    while True:
        classes, counts = zip(*(number(colours) for colours in nodes), strict=True)
        if sum(counts) == seen:
            return list(classes)
        seen = sum(counts)
        _round(link_ptr, link_ids, shares, batch_ptr, actor_ptr, actor_ids, labels, *nodes)


def words(values: NDArray[np.generic]) -> Colours:
    """The bits of 8-byte numbers as words; -0.0 counts as 0.0."""
    wide = values.astype(np.float64) + 0.0 if values.dtype.kind == "f" else values.astype(np.int64)
    return np.ascontiguousarray(wide).view(np.uint64)
