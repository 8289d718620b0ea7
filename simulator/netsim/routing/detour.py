"""Routes around what is down: the paths that flows take once switches and hosts know of it.

Only flows that cross a lost link move; all others keep their paths. A moved flow takes the first of these that holds:

own NICs      as before, around the loss: a NIC with several ports sprays over the ports that are left; between
              switches over the shortest paths that survive: `adaptive` equal parts over all cables that lead nearer,
              `ecmp` hashed again over them (resilient hashing: flows on live paths stay), `static` by its rule
              (destination mod k). In a tree a path goes up and then down; other fabrics may take a longer way
other NICs    forwarded inside both hosts over scale-up: equal parts over every NIC k of the host that reaches NIC k of
              the other; on a multi-plane fabric these are the other planes, on rails the other rails
any NICs      the same, from any NIC to any other in its plane

With `failover.forwarding = false` the last two are left out. A flow that none of them serves keeps its path and stands
still until the path is back. `valiant` and `ugal` go around like `adaptive`.

Left out: a reaction to load (equal parts even where one of the paths is slower), reordering, and the idle latency of
the detour (microseconds).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.routing.around import Around
from netsim.routing.paths import ROUTERS, Leg, as_table, between_switches, router_for
from netsim.routing.steps import Pairs, some
from netsim.routing.table import PathTable, Trunks, expand, merge, over_trunks, splice
from netsim.routing.ways import RULES, Ways
from netsim.specs import Routing
from netsim.topologies import LinkKind, Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Flows(NamedTuple):
    """What a table was made of: (n_flows,) GPUs and keys that tell flows of one pair apart; seed of the hash."""

    source: Ints
    target: Ints
    key: Ints
    seed: int


def detour(
    topology: Topology, routing: Routing, table: PathTable, flows: Flows, lost: Bools
) -> tuple[PathTable, Bools]:
    """The table with flows around the lost links, and which flows have moved.

    table : the paths of `netsim.routing.paths` for these flows; lost : (n_links,) links known to be down.
    """
    hit = crossing(table, lost)
    moved = np.zeros(table.n_flows, dtype=bool)
    local = flows.source // topology.gpus_per_host == flows.target // topology.gpus_per_host
    chosen = np.flatnonzero(hit & ~local)
    if not chosen.size:
        return table, moved
    parts = topology.spec.queue_pairs if routing == "ecmp" else 1
    todo = _Todo(topology, routing, flows, chosen, parts, lost)
    for rule in RULES[: len(RULES) if topology.spec.failover.forwarding else 1]:
        todo.serve(rule)
    served = todo.served.reshape(-1, parts).all(axis=1)
    if not served.any():
        return table, moved
    found = ROUTERS[type(topology.structure)].trunks(topology) if table.trunk_first.size else None
    legs = [leg for leg in todo.legs if leg.rows.size]
    rows = np.flatnonzero(np.repeat(served, parts))
    number = np.full(todo.served.size, -1)
    number[rows] = np.arange(rows.size)
    kept = [Leg(number[g.rows], g.links, g.share, g.latency_s) for g in legs]
    kept = [Leg(g.rows[g.rows >= 0], g.links[g.rows >= 0], g.share[g.rows >= 0], g.latency_s) for g in kept]
    other = as_table(topology, kept, rows.size, table.capacity[: topology.n_links], found)
    moved[chosen[served]] = True
    return splice(table, chosen[served], merge(other, parts) if parts > 1 else other), moved


def crossing(table: PathTable, links: Bools) -> Bools:
    """(n_flows,) which flows cross one of the links, (n_links,); a trunk is crossed with each of its cables."""
    trunks = (
        over_trunks(np.maximum, links.astype(np.float64), Trunks(table.trunk_first, table.trunk_size)) > 0
    )
    on = np.concatenate([links, trunks])[table.link_ids]
    flow = np.repeat(np.arange(table.n_flows), np.diff(table.ptr))
    return np.bincount(flow[on], minlength=table.n_flows) > 0


def with_cables(tables: list[PathTable], capacities: list[Floats]) -> list[PathTable]:
    """The tables with every trunk listed cable by cable whose cables one of them tells apart, or a capacity does."""
    first, size = tables[0].trunk_first, tables[0].trunk_size
    if not first.size:
        return tables
    trunks, n_links = Trunks(first, size), capacities[0].size
    used = np.zeros(n_links)
    for table in tables:
        used[table.link_ids[table.link_ids < n_links]] = 1.0
    apart = over_trunks(np.maximum, used, trunks) > 0
    for capacity in capacities:
        apart |= over_trunks(np.minimum, capacity, trunks) != over_trunks(np.maximum, capacity, trunks)
    return [expand(table, apart) for table in tables] if apart.any() else tables


class _Todo:
    """Moved flows on their way to a path, `parts` queue pairs each: rows served so far, and their links."""

    def __init__(
        self, topology: Topology, routing: Routing, flows: Flows, chosen: Ints, parts: int, lost: Bools
    ) -> None:
        self.topology, self.lost = topology, lost
        self.source, self.target = (np.repeat(end[chosen], parts) for end in (flows.source, flows.target))
        part = np.tile(np.arange(parts), chosen.size)
        key = np.repeat(np.broadcast_to(flows.key, flows.source.size)[chosen], parts)
        self.words: tuple[Ints, ...] = (np.zeros(1, dtype=np.int64),)
        if routing == "ecmp":
            self.words = (np.array([flows.seed]), self.source, self.target, key, part)
        self.router = router_for(topology, routing)
        trunks = ROUTERS[type(topology.structure)].trunks(topology)
        self.lost_or_trunk = np.concatenate(
            [lost, over_trunks(np.maximum, lost.astype(np.float64), trunks) > 0]
        )
        self.around = Around(topology, routing, lost)
        self.served = np.zeros(self.source.size, dtype=bool)
        self.legs: list[Leg] = []

    def serve(self, rule: Callable[[Topology, Ints, Ints], Ways]) -> None:
        """Give a path to the rows that have none and that the rule can serve."""
        rows = np.flatnonzero(~self.served)
        if not rows.size:
            return
        ways = rule(self.topology, self.source[rows], self.target[rows])
        ways = self._alive(ways._replace(row=rows[ways.row]))
        pairs = self._pairs(ways)
        alive, fabric = self._fabric(pairs)
        ways, fabric = Ways(*(column[alive] for column in ways)), fabric
        if not ways.row.size:
            return
        each = np.bincount(ways.row, minlength=self.source.size)
        self.served |= each > 0
        share = 1.0 / each[ways.row]
        self.legs += self._host_side(ways, share, outwards=True)
        # between switches, shares are of one way
        self.legs += [Leg(g.rows, g.links, g.share / each[g.rows], g.latency_s) for g in fabric]
        self.legs += self._host_side(ways, share, outwards=False)

    def _pairs(self, ways: Ways) -> Pairs:
        ports, per_nic = self.topology.nic_ports, self.topology.gpus_per_nic
        near, far = (gpu // per_nic * ports + ways.port for gpu in (ways.near, ways.far))
        return Pairs(ways.row, near, far, np.ones(ways.row.size))

    def _links(self, ways: Ways, outwards: bool) -> list[tuple[Bools, LinkKind, Ints]]:
        """Links inside a host: for which ways, of which kind, which one; in path order."""
        pairs, every = self._pairs(ways), np.ones(ways.row.size, dtype=bool)
        if outwards:
            gpu = self.source[ways.row]
            return [
                (gpu != ways.near, LinkKind.SCALE_UP_TX, gpu),
                (gpu != ways.near, LinkKind.SCALE_UP_RX, ways.near),
                (every, LinkKind.PCIE_TX, ways.near),
                (every, LinkKind.PORT_TX, pairs.source),
            ]
        gpu = self.target[ways.row]
        return [
            (every, LinkKind.PORT_RX, pairs.target),
            (every, LinkKind.PCIE_RX, ways.far),
            (gpu != ways.far, LinkKind.SCALE_UP_TX, ways.far),
            (gpu != ways.far, LinkKind.SCALE_UP_RX, gpu),
        ]

    def _alive(self, ways: Ways) -> Ways:
        """Ways between ports of one plane whose links in both hosts are up."""
        pairs, plane = self._pairs(ways), self.topology.endpoint_plane
        ok = plane[pairs.source] == plane[pairs.target]
        for outwards in (True, False):
            for used, kind, index in self._links(ways, outwards):
                ok &= ~(used & self.lost[self.topology.first(kind) + index])
        return Ways(*(column[ok] for column in ways))

    def _host_side(self, ways: Ways, share: Floats, outwards: bool) -> list[Leg]:
        legs = []
        for used, kind, index in self._links(ways, outwards):
            first = self.topology.first(kind)
            latency = float(self.topology.latency_s[first])
            legs.append(Leg(ways.row[used], first + index[used], share[used], latency))
        return legs

    def _fabric(self, pairs: Pairs) -> tuple[Bools, list[Leg]]:
        """Which pairs reach each other, and the links between their switches: as always, or around the loss."""
        numbered = pairs._replace(row=np.arange(pairs.row.size))
        words = tuple(word if word.size == 1 else word[pairs.row] for word in self.words)
        legs = list(between_switches(self.topology, numbered, self.router, words))
        hit = np.zeros(pairs.row.size, dtype=bool)
        for leg in legs:
            hit[leg.rows[self.lost_or_trunk[leg.links]]] = True
        again = np.flatnonzero(hit)
        reached = ~hit
        reached[again] = self.around.reaches(some(numbered, again))
        found = [Leg(g.rows[k], g.links[k], g.share[k], g.latency_s) for g in legs for k in [~hit[g.rows]]]
        again = again[reached[again]]
        if again.size:
            found += self.around.legs(some(numbered, again), words)
        return reached, [Leg(pairs.row[g.rows], g.links, g.share, g.latency_s) for g in found]
