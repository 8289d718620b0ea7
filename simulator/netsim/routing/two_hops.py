"""Routes of a Slim Fly: a cable, or two over a common neighbour; no two switches are further apart.

adaptive  equal parts over all common neighbours, and over parallel cables: trunks
ecmp      a hash of the flow picks the neighbour and the cables
static    the number of the target endpoint picks them

Left out: paths that are not minimal (Valiant), which Slim Fly deployments use under adversarial traffic.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from netsim.routing.hashing import pick
from netsim.routing.steps import Choose, Pairs, Routers, Step
from netsim.routing.table import Trunks
from netsim.topologies import LinkKind, Topology
from netsim.topologies.slim_fly import SlimFly

Ints = NDArray[np.int64]


def trunks(topology: Topology) -> Trunks:
    """The parallel cables of each adjacency, one way and the other."""
    fly: SlimFly = topology.structure
    first = np.arange(topology.switch_links // fly.parallel) * fly.parallel
    up, down = topology.first(LinkKind.UP), topology.first(LinkKind.DOWN)
    return Trunks(np.concatenate([up + first, down + first]), np.full(2 * first.size, fly.parallel))


def _spray(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    switch = topology.endpoint_switch
    fly: SlimFly = topology.structure
    source, target = switch[pairs.source], switch[pairs.target]
    pair, middle = _middles(fly, source, target)
    part = 1.0 / np.bincount(pair, minlength=source.size)[pair]
    direct = np.flatnonzero(fly.first_cable[source, target] >= 0)

    def trunk(a: Ints, b: Ints) -> Ints:
        half = topology.switch_links // fly.parallel
        return topology.n_links + fly.first_cable[a, b] // fly.parallel + np.where(a < b, 0, half)

    yield Step(direct, trunk(source[direct], target[direct]), np.ones(direct.size))
    yield Step(pair, trunk(source[pair], middle), part)
    yield Step(pair, trunk(middle, target[pair]), part)


def _hashed(topology: Topology, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Step]:
    parallel = topology.structure.parallel

    def choose(number: Ints, step: int) -> Ints:
        return pick(number, step, *words)

    ones = np.full(pairs.source.size, parallel)
    return _single(topology, pairs, lambda n: choose(n, 1), choose(ones, 2), choose(ones, 3))


def _by_destination(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    parallel = pairs.target % topology.structure.parallel
    return _single(topology, pairs, lambda number: pairs.target % number, parallel, parallel)


def _single(topology: Topology, pairs: Pairs, choose: Choose, first: Ints, second: Ints) -> Iterable[Step]:
    """One path of each pair, over the chosen common neighbour and cables."""
    switch = topology.endpoint_switch
    fly: SlimFly = topology.structure
    source, target = switch[pairs.source], switch[pairs.target]
    pair, middle = _middles(fly, source, target)
    number = np.bincount(pair, minlength=source.size)
    start = np.cumsum(number) - number
    over = np.flatnonzero(number)
    chosen = middle[(start + choose(np.maximum(number, 1)))[over]]
    direct = np.flatnonzero(number == 0)

    def cable(a: Ints, b: Ints, parallel: Ints) -> Ints:
        way = np.where(a < b, topology.first(LinkKind.UP), topology.first(LinkKind.DOWN))
        return way + fly.first_cable[a, b] + parallel

    yield _one(direct, cable(source[direct], target[direct], first[direct]))
    yield _one(over, cable(source[over], chosen, first[over]))
    yield _one(over, cable(chosen, target[over], second[over]))


def _one(pair: Ints, links: Ints) -> Step:
    return Step(pair, links, np.ones(pair.size))


def _middles(fly: SlimFly, source: Ints, target: Ints) -> tuple[Ints, Ints]:
    """Common neighbours of the pairs that are not neighbours: index of the pair, and the switch."""
    apart = np.flatnonzero(fly.first_cable[source, target] < 0)
    near = fly.neighbours[source[apart]]
    row, column = np.nonzero(fly.first_cable[near, target[apart, None]] >= 0)
    return apart[row], near[row, column]


ROUTERS = Routers({"adaptive": _spray, "ecmp": _hashed, "static": _by_destination}, trunks)
