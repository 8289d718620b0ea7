"""Slim Fly: switches in a graph of diameter two that comes near the most vertices a degree allows (MMS graphs).

For a prime power q = 4w + d, d in -1, 0, 1, the graph has 2 q^2 switches (0, x, y) and (1, m, c) over the field of
q elements, and degree k' = (3q - d) / 2:

    (0, x, y) - (0, x, y')  when y - y' is in X         (1, m, c) - (1, m, c')  when c - c' is in X'
    (0, x, y) - (1, m, c)   when y = m x + c

X and X' are half of the powers of a generator each. A switch holds up to ceil(m k' / 2) endpoints, the full-bandwidth
number, where every cable is m parallel ones: of the (q, m) whose switches have enough ports, the one with the fewest
switches that holds the hosts is built, and of equals the one with the fewest cables. Endpoints are dealt out evenly.

Parallel cables are an extension: the papers have one, and switches just large enough for it. Counts of a q that
is no prime power are a formula without a graph (table 3 of arXiv 2505.09343 uses q = 28): `counts` gives them, and
no such network is built. Left out: rack layout.

Source: Besta, Hoefler, "Slim Fly", SC 2014, and Hafner, "Geometric realisation of the graphs of
McKay-Miller-Siran", JCTB 2004, for X and X'; Blach et al., NSDI 2024, for a deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.direct import check_flat, deal_out, flat_fabric
from netsim.topologies.fabric import Fabric, Family
from netsim.topologies.galois import field, prime_power

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SlimFly:
    """neighbours : (switches, k') ascending; first_cable : (switches, switches) first of `parallel` contiguous cables
    of a pair, -1 where there are none."""

    q: int
    parallel: int
    neighbours: Ints
    first_cable: Ints


class Width(NamedTuple):
    """One candidate: q, parallel cables, and endpoints that a switch can hold."""

    q: int
    parallel: int
    down: int

    @property
    def endpoints(self) -> int:
        return 2 * self.q**2 * self.down


def degree(q: int) -> int:
    """Neighbours of a switch.

    >>> degree(5), degree(7), degree(8), degree(28)
    (7, 11, 12, 42)
    """
    rest = (q + 1) % 4 - 1
    return (3 * q - rest) // 2


def counts(q: int) -> tuple[int, int, int]:
    """Endpoints, switches and cables between them of the full-bandwidth network, by formula for any q.

    >>> counts(28), counts(5)
    ((32928, 1568, 32928), (200, 50, 175))
    """
    switches, k = 2 * q * q, degree(q)
    return switches * -(-k // 2), switches, switches * k // 2


def exists(q: int) -> bool:
    """Whether there is a graph for q: a prime power other than 2, not 4w + 2."""
    return q >= 3 and q % 4 != 2 and prime_power(q) is not None


@lru_cache(maxsize=64)
def _widths(radix: int) -> tuple[Width, ...]:
    """Every candidate for switches of a radix."""
    found = []
    for q in range(3, 2 * radix // 3 + 2):
        if not exists(q):
            continue
        for parallel in range(1, radix // degree(q) + 1):
            ports = parallel * degree(q)
            down = min(-(-ports // 2), radix - ports)
            if down >= 1:
                found.append(Width(q, parallel, down))
    return tuple(found)


def _candidates(spec: TopologySpec) -> list[Width]:
    """Raises SpecError for a q without a graph, or too large for the switches."""
    check_flat(spec)
    q, radix = spec.slim_fly.q, spec.switch.radix
    if q is None:
        return list(_widths(radix))
    if not exists(q):
        near = [n for n in range(max(3, q - 3), q + 4) if exists(n)]
        rule = f"no such graph: must be a prime power 4w-1, 4w or 4w+1, near are {near} (its counts are a formula)"
        raise SpecError(spec.name, "slim_fly.q", q, rule)
    mine = [width for width in _widths(radix) if width.q == q]
    if not mine:
        rule = f"{degree(q)} neighbours and an endpoint need more than the {radix} ports of a switch"
        raise SpecError(spec.name, "slim_fly.q", q, rule)
    return mine


def _max_hosts(spec: TopologySpec, hardware: HardwareSpec) -> int:
    return max((w.endpoints for w in _candidates(spec)), default=0) // hardware.nics_per_host


def _extent(spec: TopologySpec, hardware: HardwareSpec) -> str:
    best = max(_candidates(spec), key=lambda w: w.endpoints)
    return f"q = {best.q} with {best.down} endpoints on each of {2 * best.q**2:,} switches of radix {spec.switch.radix}"


def _fabric(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
    endpoints = hosts * hardware.nics_per_host
    fits = [w for w in _candidates(spec) if w.endpoints >= endpoints]
    best = min(fits, key=lambda w: (w.q, w.parallel))
    neighbours = graph(best.q)
    lower = np.repeat(np.arange(len(neighbours)), neighbours.shape[1])
    upper = neighbours.ravel()
    lower, upper = lower[lower < upper], upper[lower < upper]
    first = np.full((len(neighbours), len(neighbours)), -1)
    first[lower, upper] = first[upper, lower] = np.arange(lower.size) * best.parallel
    structure = SlimFly(best.q, best.parallel, neighbours, first)
    lower, upper = np.repeat(lower, best.parallel), np.repeat(upper, best.parallel)
    seats = deal_out(endpoints, len(neighbours))
    return flat_fabric(seats, len(neighbours), lower, upper, structure, _hops(seats, first))


def _hops(seats: Ints, first_cable: Ints) -> tuple[int, ...]:
    """Numbers of switches between two endpoints: 1 under one switch, 2 of neighbours, else 3."""
    used, endpoints = np.unique(seats, return_counts=True)
    linked = first_cable[np.ix_(used, used)] >= 0
    pairs = used.size * (used.size - 1)
    found = {1: endpoints.max(initial=0) > 1, 2: bool(linked.any()), 3: int(linked.sum()) < pairs}
    return tuple(hops for hops, there in found.items() if there) or (1,)


def graph(q: int) -> Ints:
    """Neighbours of every switch of the MMS graph, (2 q^2, k') ascending; (0, x, y) is x q + y, (1, m, c) follow."""
    f = field(q)
    even, odd = _generators(q, f.powers)
    x, y = np.divmod(np.arange(q * q), q)
    every = np.arange(q)
    near = [x[:, None] * q + f.plus[y[:, None], even], q * q + x[:, None] * q + f.plus[y[:, None], odd]]
    across = q * q + every * q + f.plus[y[:, None], f.minus[f.times[x[:, None], every]]]  # c = y - m x
    back = every * q + f.plus[f.times[x[:, None], every], y[:, None]]  # y = m x + c
    rows = [np.concatenate([near[0], across], axis=1), np.concatenate([near[1], back], axis=1)]
    return np.sort(np.concatenate(rows), axis=1)


def _generators(q: int, powers: Ints) -> tuple[Ints, Ints]:
    """X and X'."""
    w, rest = (q + 1) // 4, (q + 1) % 4 - 1
    if rest >= 0:
        return powers[np.arange(0, q - 1 + (rest == 0), 2) % (q - 1)], powers[np.arange(1, q, 2) % (q - 1)]
    low = np.concatenate([np.arange(0, 2 * w - 1, 2), np.arange(2 * w - 1, 4 * w - 2, 2)])
    return powers[low], powers[(low + 1) % (q - 1)]


SLIM_FLY = Family(_max_hosts, _extent, _fabric)
