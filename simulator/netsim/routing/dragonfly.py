"""Routes of a Dragonfly: within the group, one cable to the other group, within it; or over a third group.

adaptive  equal parts over all cables between the two groups (trunks), and the local cables that lead to them
ecmp      a hash of the flow picks the cable
static    the number of the target endpoint picks it
valiant   equal parts over all other groups as a stop between, by the same rule, and inside a group over all its
          other switches; minimal when there is none
ugal      minimal as far as the cables between two groups (two switches of one) carry what is offered, the rest as
          `valiant`

`minimal` is that of the Dragonfly: one cable between groups at most. (Where two groups share few cables, a path
over a third group can have fewer hops; nobody routes so.)

UGAL compares queues and sends a packet the longer way when the short one is fuller. In the fluid limit: with D the
traffic offered from one group (switch) to another and C the capacity of their cables, the part min(1, C / D) goes
minimal.
A NIC offers its line rate, shared equally by all flows of the call that leave it (or, when more, arrive at one NIC),
as if they were there at once. Left out: queues, and traffic of third groups that UGAL would see as well.

Source: Kim, Dally, Scott, Abts, ISCA 2008, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.routing.hashing import pick
from netsim.routing.steps import Choose, Pairs, Routers, Step
from netsim.routing.table import Trunks
from netsim.topologies import LinkKind, Topology
from netsim.topologies.dragonfly import Dragonfly, pair_index

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: steps of sprayed flows that fit into memory
MAX_STEPS = 150_000_000


class Ends(NamedTuple):
    """Group and switch within it, of source and target."""

    group: Ints
    switch: Ints
    to_group: Ints
    to_switch: Ints


def trunks(topology: Topology) -> Trunks:
    """The cables between two groups, one way and the other; those within groups are listed."""
    fly: Dragonfly = topology.structure
    size = np.diff(fly.pair_first)
    up, down = (topology.first(kind) + fly.local_cables for kind in (LinkKind.UP, LinkKind.DOWN))
    first = fly.pair_first[:-1]
    return Trunks(np.concatenate([up + first, down + first]), np.tile(size, 2))


def _ends(topology: Topology, pairs: Pairs) -> Ends:
    per_group = topology.structure.switches
    source, target = topology.endpoint_switch[pairs.source], topology.endpoint_switch[pairs.target]
    return Ends(source // per_group, source % per_group, target // per_group, target % per_group)


def _adaptive(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    return _split(topology, _ends(topology, pairs), np.ones(pairs.source.size))


def _valiant(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    return _split(topology, _ends(topology, pairs), np.zeros(pairs.source.size))


def _ugal(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    ends = _ends(topology, pairs)
    return _split(topology, ends, minimal_part(topology, pairs, ends))


def minimal_part(topology: Topology, pairs: Pairs, ends: Ends) -> Floats:
    """The part of each pair's bytes that goes the short way."""
    fly: Dragonfly = topology.structure
    leaving = np.bincount(pairs.source, minlength=topology.endpoints)[pairs.source]
    arriving = np.bincount(pairs.target, minlength=topology.endpoints)[pairs.target]
    line = topology.capacity_bytes_per_s[topology.first(LinkKind.PORT_TX)]
    offered = line / np.maximum(leaving, arriving)
    away = ends.group != ends.to_group
    here, there = ends.group, ends.to_group
    here = np.where(away, here, fly.groups + here * fly.switches + ends.switch)
    there = np.where(away, there, fly.groups + there * fly.switches + ends.to_switch)
    between = here * (fly.groups * (fly.switches + 1)) + there
    _, index = np.unique(between, return_inverse=True)
    demand = np.bincount(index, weights=offered)[index]
    cables = np.ones(here.size)
    cables[away] = np.diff(fly.pair_first)[_pair(fly, ends.group[away], ends.to_group[away])]
    port = topology.capacity_bytes_per_s[topology.first(LinkKind.UP)]
    return np.asarray(np.minimum(1.0, cables * port / demand), dtype=np.float64)


def _split(topology: Topology, ends: Ends, minimal: Floats) -> Iterator[Step]:
    """The minimal part the short way, the rest over every other group (or switch of the group)."""
    fly: Dragonfly = topology.structure
    away = ends.group != ends.to_group
    stops = np.where(away, fly.groups, fly.switches) - 2
    minimal = np.where(stops > 0, minimal, 1.0)
    yield from _inside(topology, ends, minimal)
    yield from _minimal(topology, ends, minimal)
    yield from _over_others(topology, ends, 1.0 - minimal)


def _inside(topology: Topology, ends: Ends, minimal: Floats) -> Iterator[Step]:
    """Pairs of one group: their cable, and the two over each other switch."""
    near = np.flatnonzero((ends.group == ends.to_group) & (minimal > 0))
    links = _local(topology, ends.group[near], ends.switch[near], ends.to_switch[near])
    yield Step(near, links, minimal[near])
    switches = topology.structure.switches
    near = np.flatnonzero((ends.group == ends.to_group) & (minimal < 1))
    stop = np.tile(np.arange(switches), near.size)
    pair = np.repeat(near, switches)
    via = (stop != ends.switch[pair]) & (stop != ends.to_switch[pair])
    pair, stop = pair[via], stop[via]
    share = (1.0 - minimal[pair]) / max(1, switches - 2)
    yield Step(pair, _local(topology, ends.group[pair], ends.switch[pair], stop), share)
    yield Step(pair, _local(topology, ends.group[pair], stop, ends.to_switch[pair]), share)


def _minimal(topology: Topology, ends: Ends, part: Floats) -> Iterator[Step]:
    """Local cables to all cables between the groups, those as a trunk, and local cables from them."""
    fly: Dragonfly = topology.structure
    away = np.flatnonzero((ends.group != ends.to_group) & (part > 0))
    if not away.size:
        return
    group, to_group = ends.group[away], ends.to_group[away]
    yield from _fan(topology, away, group, to_group, ends.switch[away], part[away], outward=True)
    yield Step(away, _trunk(topology, fly, group, to_group), part[away])
    yield from _fan(topology, away, to_group, group, ends.to_switch[away], part[away], outward=False)


def _over_others(topology: Topology, ends: Ends, part: Floats) -> Iterator[Step]:
    """Through each other group in equal parts."""
    fly: Dragonfly = topology.structure
    away = np.flatnonzero((ends.group != ends.to_group) & (part > 0))
    if not away.size:
        return
    if away.size * (fly.groups - 2) * fly.switches**2 > MAX_STEPS:
        raise NetsimError(
            f"{away.size:,} flows between groups over {fly.groups - 2} others: too many steps for non-minimal "
            "routing; take fewer flows or --routing adaptive"
        )
    part = part[away] / (fly.groups - 2)
    for stop in range(fly.groups):
        via = (ends.group[away] != stop) & (ends.to_group[away] != stop)
        rows, share = away[via], part[via]
        here, there = ends.group[rows], ends.to_group[rows]
        middle = np.full(rows.size, stop)
        yield from _fan(topology, rows, here, middle, ends.switch[rows], share, outward=True)
        yield Step(rows, _trunk(topology, fly, here, middle), share)
        yield from _through(topology, rows, here, middle, there, share)
        yield Step(rows, _trunk(topology, fly, middle, there), share)
        yield from _fan(topology, rows, there, middle, ends.to_switch[rows], share, outward=False)


def _fan(
    topology: Topology, rows: Ints, group: Ints, other: Ints, switch: Ints, part: Floats, outward: bool
) -> Iterator[Step]:
    """Local cables between a switch and those of its group that have cables to the other group."""
    fly: Dragonfly = topology.structure
    spread = _ports_to(fly)[group, other] * part[:, None]  # (rows, switches)
    spread[np.arange(rows.size), switch] = 0.0
    row, peer = np.nonzero(spread)
    a, b = (switch[row], peer) if outward else (peer, switch[row])
    yield Step(rows[row], _local(topology, group[row], a, b), spread[row, peer])


def _through(
    topology: Topology, rows: Ints, here: Ints, middle: Ints, there: Ints, part: Floats
) -> Iterator[Step]:
    """Local cables of the stop: from where cables arrive to where they leave."""
    ports = _ports_to(topology.structure)
    spread = ports[middle, here][:, :, None] * ports[middle, there][:, None, :] * part[:, None, None]
    each = np.arange(topology.structure.switches)
    spread[:, each, each] = 0.0
    row, a, b = np.nonzero(spread)
    yield Step(rows[row], _local(topology, middle[row], a, b), spread[row, a, b])


def _ports_to(fly: Dragonfly) -> Floats:
    """Part of the cables from a group to another that leave from each switch, (groups, groups, switches)."""
    low, high = np.triu_indices(fly.groups, 1)
    pair = np.repeat(np.arange(low.size), np.diff(fly.pair_first))
    found = np.zeros((fly.groups, fly.groups, fly.switches))
    np.add.at(found, (low[pair], high[pair], fly.near_switch), 1.0)
    np.add.at(found, (high[pair], low[pair], fly.far_switch), 1.0)
    return np.asarray(found / np.maximum(found.sum(axis=2, keepdims=True), 1.0), dtype=np.float64)


def _hashed(topology: Topology, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Step]:
    return _single(topology, pairs, lambda number: pick(number, 1, *words))


def _by_destination(topology: Topology, pairs: Pairs, _: tuple[Ints, ...]) -> Iterable[Step]:
    return _single(topology, pairs, lambda number: pairs.target % number)


def _single(topology: Topology, pairs: Pairs, choose: Choose) -> Iterable[Step]:
    """One minimal path of each pair, over the chosen cable between the groups."""
    fly: Dragonfly = topology.structure
    ends = _ends(topology, pairs)
    yield from _inside(topology, ends, np.ones(pairs.source.size))
    away = np.flatnonzero(ends.group != ends.to_group)
    if not away.size:
        return
    group, to_group = ends.group[away], ends.to_group[away]
    pair = _pair(fly, group, to_group)
    number = np.ones(ends.group.size, dtype=np.int64)
    number[away] = np.diff(fly.pair_first)[pair]
    cable = fly.pair_first[pair] + choose(number)[away]
    upward = group < to_group
    out = np.where(upward, fly.near_switch[cable], fly.far_switch[cable])
    into = np.where(upward, fly.far_switch[cable], fly.near_switch[cable])
    way = np.where(upward, topology.first(LinkKind.UP), topology.first(LinkKind.DOWN))
    yield from _hop(topology, away, group, ends.switch[away], out)
    yield Step(away, way + fly.local_cables + cable, np.ones(away.size))
    yield from _hop(topology, away, to_group, into, ends.to_switch[away])


def _hop(topology: Topology, rows: Ints, group: Ints, here: Ints, there: Ints) -> Iterator[Step]:
    """A local cable, where the switches differ."""
    moves = here != there
    links = _local(topology, group[moves], here[moves], there[moves])
    yield Step(rows[moves], links, np.ones(links.size))


def _pair(fly: Dragonfly, group: Ints, other: Ints) -> Ints:
    return pair_index(np.minimum(group, other), np.maximum(group, other), fly.groups)


def _trunk(topology: Topology, fly: Dragonfly, group: Ints, other: Ints) -> Ints:
    pairs = fly.groups * (fly.groups - 1) // 2
    return topology.n_links + _pair(fly, group, other) + np.where(group < other, 0, pairs)


def _local(topology: Topology, group: Ints, here: Ints, there: Ints) -> Ints:
    """The link from one switch of a group to another."""
    fly: Dragonfly = topology.structure
    rank = pair_index(np.minimum(here, there), np.maximum(here, there), fly.switches)
    way = np.where(here < there, topology.first(LinkKind.UP), topology.first(LinkKind.DOWN))
    return np.asarray(way + group * fly.group_cables + rank, dtype=np.int64)


ROUTERS = Routers(
    {
        "adaptive": _adaptive,
        "ecmp": _hashed,
        "static": _by_destination,
        "valiant": _valiant,
        "ugal": _ugal,
    },
    trunks,
)
