"""Routes of a fabric of any shape: at every switch towards the neighbours that are nearer to the target.

adaptive  at every switch equal parts over all cables that lead nearer
ecmp      a hash of the flow picks one of them at every switch
static    the number of the target endpoint picks it

In a balanced tree this is what `netsim.routing.tree` has in closed form. Left out: paths that are not shortest, and
weights for cables of unequal speed (the slow one binds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from netsim.routing.hashing import pick
from netsim.routing.steps import Pairs, Routers, Step
from netsim.routing.table import Trunks
from netsim.topologies import LinkKind, Topology
from netsim.topologies.custom import Mesh

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def trunks(topology: Topology) -> Trunks:
    """The parallel cables of each adjacency, one way and the other."""
    mesh: Mesh = topology.structure
    up, down = topology.first(LinkKind.UP), topology.first(LinkKind.DOWN)
    return Trunks(np.concatenate([up + mesh.first_cable, down + mesh.first_cable]), np.tile(mesh.cables, 2))


def _nearer(mesh: Mesh, here: Ints, target: Ints) -> tuple[Ints, Ints]:
    """Row and neighbour entry of every step that brings (here, target) nearer."""
    count = mesh.first[here + 1] - mesh.first[here]
    row = np.repeat(np.arange(here.size), count)
    entry = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + mesh.first[here[row]]
    good = mesh.distance[mesh.peer[entry], target[row]] == mesh.distance[here, target][row] - 1
    return row[good], entry[good]


def _spray(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterator[Step]:
    mesh: Mesh = topology.structure
    switch = topology.endpoint_switch
    pair, here, part = np.arange(pairs.source.size), switch[pairs.source], np.ones(pairs.source.size)
    while pair.size:
        target = switch[pairs.target[pair]]
        row, entry = _nearer(mesh, here, target)
        cables = mesh.cables[mesh.adjacency[entry]]
        share = part[row] * cables / np.bincount(row, cables, minlength=pair.size)[row]
        way = np.where(mesh.ahead[entry], 0, mesh.cables.size)
        yield Step(pair[row], topology.n_links + mesh.adjacency[entry] + way, share)
        # paths that meet at a switch go on together
        key, index = np.unique(pair[row] * switch_count(mesh) + mesh.peer[entry], return_inverse=True)
        pair, here = np.divmod(key, switch_count(mesh))
        part = np.bincount(index, share, minlength=key.size).astype(np.float64)
        going = here != switch[pairs.target[pair]]
        pair, here, part = pair[going], here[going], part[going]


def switch_count(mesh: Mesh) -> int:
    """Switches of the fabric."""
    return len(mesh.distance)


def _single(topology: Topology, pairs: Pairs, choose: Callable[[Ints, Ints, int], Ints]) -> Iterator[Step]:
    """One path; `choose` picks below a number, for some pairs, at a hop."""
    mesh: Mesh = topology.structure
    switch = topology.endpoint_switch
    pair, here, hop = np.arange(pairs.source.size), switch[pairs.source], 1
    while pair.size:
        row, entry = _nearer(mesh, here, switch[pairs.target[pair]])
        cables = mesh.cables[mesh.adjacency[entry]]
        total = np.bincount(row, cables, minlength=pair.size).astype(np.int64)
        wanted = choose(total, pair, hop)
        before = np.cumsum(cables) - cables
        start = np.cumsum(total) - total
        at = np.searchsorted(before, start + wanted, side="right") - 1
        cable = mesh.first_cable[mesh.adjacency[entry[at]]] + start + wanted - before[at]
        way = np.where(mesh.ahead[entry[at]], topology.first(LinkKind.UP), topology.first(LinkKind.DOWN))
        yield Step(pair, way + cable, np.ones(pair.size))
        here = mesh.peer[entry[at]]
        going = here != switch[pairs.target[pair]]
        pair, here, hop = pair[going], here[going], hop + 1


def _hashed(topology: Topology, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Step]:
    def choose(number: Ints, pair: Ints, hop: int) -> Ints:
        return pick(number, hop, *(word if word.size == 1 else word[pair] for word in words))

    return _single(topology, pairs, choose)


def _by_destination(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    return _single(topology, pairs, lambda number, pair, _hop: pairs.target[pair] % number)


ROUTERS = Routers({"adaptive": _spray, "ecmp": _hashed, "static": _by_destination}, trunks)
