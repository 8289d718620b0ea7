"""Routes of a torus: dimension by dimension, each the shorter way round.

adaptive  equal parts over all orders of the dimensions, over both ways where they are equally long, and over the
          parallel cables: trunks
ecmp      a hash of the flow picks the order, the way, and a cable at each hop
static    dimensions in their order, the way up, and the cable by the number of the target endpoint

Left out: minimal paths that change between dimensions more than once, virtual channels and deadlock.
Source: Dally, Towles, Principles and Practices of Interconnection Networks, 2004, chapters 8 and 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from netsim.routing.hashing import pick
from netsim.routing.steps import Pairs, Routers, Step, some
from netsim.routing.table import Trunks
from netsim.topologies import LinkKind, Topology
from netsim.topologies.torus import Torus

Ints = NDArray[np.int64]


def trunks(topology: Topology) -> Trunks:
    """The parallel cables of each adjacency, one way and the other."""
    torus: Torus = topology.structure
    size = np.concatenate([np.full(*_block(torus, d)) for d in range(len(torus.sides))])
    first = np.cumsum(size) - size
    up, down = topology.first(LinkKind.UP), topology.first(LinkKind.DOWN)
    return Trunks(np.concatenate([up + first, down + first]), np.tile(size, 2))


def _block(torus: Torus, dimension: int) -> tuple[int, int]:
    """Adjacencies of a dimension, and cables of each."""
    parallel = torus.cables[dimension]
    if not parallel:
        return 0, 1
    return torus.first_cable.shape[1] // (2 if torus.sides[dimension] == 2 else 1), parallel


def _trunk_of(torus: Torus) -> Ints:
    """Trunk number of each cable that is the first of its adjacency, (cables,)."""
    size = np.concatenate([np.full(*_block(torus, d)) for d in range(len(torus.sides))])
    return np.repeat(np.arange(size.size), size)


def _spray(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    torus: Torus = topology.structure
    orders = [o for o in permutations(range(len(torus.sides))) if _sorted_idle(torus, o)]
    trunk, half = _trunk_of(torus), 0
    half = int(trunk[-1]) + 1 if trunk.size else 0
    for order in orders:
        for up in (True, False):
            part = np.full(pairs.source.size, 1.0 / (2 * len(orders)))
            for pair, cable, ahead, _hop, _dimension in _hops(topology, pairs, order, np.full(part.size, up)):
                links = topology.n_links + trunk[cable] + np.where(ahead, 0, half)
                yield Step(pair, links, part[pair])


def _sorted_idle(torus: Torus, order: tuple[int, ...]) -> bool:
    """Whether dimensions without cables come last and in order, so that orders that are alike count once."""
    idle = [d for d in order if torus.sides[d] == 1]
    return idle == sorted(idle) and list(order[len(order) - len(idle) :]) == idle


def _hashed(topology: Topology, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Step]:
    torus: Torus = topology.structure
    orders = list(permutations(range(len(torus.sides))))
    size = pairs.source.size
    taken, up = pick(np.full(size, len(orders)), 1, *words), pick(np.full(size, 2), 2, *words) == 1
    for number, order in enumerate(orders):
        mine = np.flatnonzero(taken == number)
        part = some(pairs, mine)
        own = tuple(word if word.size == 1 else word[mine] for word in words)
        for pair, cable, ahead, hop, dimension in _hops(topology, part, order, up[mine]):
            told = tuple(word if word.size == 1 else word[pair] for word in own)
            parallel = pick(np.full(pair.size, torus.cables[dimension]), 3 + hop, *told)
            yield _one(topology, mine[pair], cable + parallel, ahead)


def _by_destination(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    torus: Torus = topology.structure
    order, up = tuple(range(len(torus.sides))), np.ones(pairs.source.size, dtype=bool)
    for pair, cable, ahead, _hop, dimension in _hops(topology, pairs, order, up):
        yield _one(topology, pair, cable + pairs.target[pair] % torus.cables[dimension], ahead)


def _one(topology: Topology, pair: Ints, cable: Ints, ahead: NDArray[np.bool_]) -> Step:
    way = np.where(ahead, topology.first(LinkKind.UP), topology.first(LinkKind.DOWN))
    return Step(pair, way + cable, np.ones(pair.size))


def _hops(
    topology: Topology, pairs: Pairs, order: tuple[int, ...], up: NDArray[np.bool_]
) -> Iterator[tuple[Ints, Ints, NDArray[np.bool_], int, int]]:
    """Hop by hop: pairs that take it, first cable of the adjacency, whether along it, hop number and dimension.

    up : which way each pair goes where both are equally long
    """
    torus: Torus = topology.structure
    at = topology.endpoint_switch[pairs.source]
    goal = topology.endpoint_switch[pairs.target]
    hop = 0
    for d in order:
        side, stride = torus.sides[d], torus.stride[d]
        ahead_by = (goal // stride - at // stride) % side
        ahead = np.where(2 * ahead_by == side, up, 2 * ahead_by < side)
        distance = np.where(ahead, ahead_by, side - ahead_by) % side
        for step in range(side // 2):
            pair = np.flatnonzero(distance > step)
            if not pair.size:
                break
            here, forward = at[pair], ahead[pair]
            place = here // stride % side
            there = here + (np.where(forward, place + 1, place - 1) % side - place) * stride
            owner = np.where(forward, here, there)
            # a side of two has one adjacency, owned by the lower switch
            along = forward if side > 2 else here < there
            yield pair, torus.first_cable[d, owner], along, hop, d
            at[pair] = there
            hop += 1


ROUTERS = Routers({"adaptive": _spray, "ecmp": _hashed, "static": _by_destination}, trunks)
