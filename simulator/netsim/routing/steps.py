"""What a router answers: for pairs of NIC ports in one plane, the links between their switches, step by step.

A router is a function of the topology, the pairs and the words that tell flows apart (for hashing); it yields
steps in path order. A pair may take several links in one step (sprayed), each with its part of the pair's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netsim.routing.table import Trunks
from netsim.topologies import Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Pairs(NamedTuple):
    """Ports that exchange a flow, or its part in one plane: (n,) row of the flow, endpoints, part of its bytes."""

    row: Ints
    source: Ints
    target: Ints
    share: Floats


def some(pairs: Pairs, rows: Ints) -> Pairs:
    """Some of the pairs."""
    return Pairs(pairs.row[rows], pairs.source[rows], pairs.target[rows], pairs.share[rows])


class Step(NamedTuple):
    """One step of some pairs: (m,) index of the pair, link or trunk, and the part of the pair's bytes on it."""

    pair: Ints
    links: Ints
    share: Floats


#: picks one of as many alternatives as each pair has
Choose: TypeAlias = Callable[[Ints], Ints]
Router: TypeAlias = Callable[[Topology, Pairs, tuple[Ints, ...]], Iterable[Step]]


class Routers(NamedTuple):
    """Every way to cross a structure, by the name of the routing, and the trunks that sprayed flows use."""

    by_name: dict[str, Router]
    trunks: Callable[[Topology], Trunks]


def no_trunks(_: Topology) -> Trunks:
    """For structures whose cables are all listed."""
    return Trunks(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def whole(links: Ints) -> Step:
    """A step that each pair takes over one link, or not at all (-1)."""
    pair = np.flatnonzero(links >= 0)
    return Step(pair, links[pair], np.ones(pair.size))
