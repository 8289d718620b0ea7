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
    return Pairs(pairs.row[rows], pairs.source[rows], pairs.target[rows], share_of(pairs, rows))


def undivided(n: int) -> Floats:
    """Shares of n pairs that are sent whole: a view of a single 1 (stride 0)."""
    return np.broadcast_to(1.0, (n,))


def share_of(pairs: Pairs, rows: Ints) -> Floats:
    """Part of the bytes that each of `rows` stands for."""
    return undivided(rows.size) if is_undivided(pairs.share) else pairs.share[rows]


def is_undivided(share: Floats) -> bool:
    """Whether every share is 1; of a view of a single number without looking at each.

    >>> is_undivided(undivided(3)), is_undivided(np.array([1.0, 0.5]))
    (True, False)
    """
    return bool((share[:1] == 1).all() if share.strides == (0,) else (share == 1).all())


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
    return Step(pair, links[pair], undivided(pair.size))
