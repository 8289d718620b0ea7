"""Shortest paths over the switches and cables that are left when some links are down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.routing.paths import ROUTERS, Leg, between_switches
from netsim.routing.steps import Pairs, Router
from netsim.specs import Routing
from netsim.topologies import LinkKind, Topology
from netsim.topologies.custom import Mesh, make_mesh
from netsim.topologies.edge_list import Edges
from netsim.topologies.tree import Tree

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Around:
    """The switches and cables that are left, and the shortest paths over them."""

    def __init__(self, topology: Topology, routing: Routing, lost: Bools) -> None:
        self.topology = replace(topology, structure=_surviving(topology, lost))
        self.tree = topology.structure if isinstance(topology.structure, Tree) else None
        by_name = ROUTERS[Mesh].by_name
        self.router: Router = by_name.get(routing, by_name["adaptive"])

    def reaches(self, pairs: Pairs) -> Bools:
        """Which pairs have a path left."""
        switch = self.topology.endpoint_switch
        distance = self.topology.structure.distance[switch[pairs.source], switch[pairs.target]]
        if self.tree is None:
            return np.asarray(distance >= 0)
        pod = self.tree.leaf_pod
        near, far = (self.tree.endpoint_leaf[end] for end in (pairs.source, pairs.target))
        up_and_down = np.where(near == far, 0, np.where(pod[near] == pod[far], 2, 4))
        return np.asarray(distance == up_and_down)

    def legs(self, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Leg]:
        """The steps of pairs that have a path, cable by cable."""
        return [self._cables(leg) for leg in between_switches(self.topology, pairs, self.router, words)]

    def _cables(self, leg: Leg) -> Leg:
        """Bundles of parallel cables as their cables, in equal parts."""
        mesh: Mesh = self.topology.structure
        bundle = leg.links - self.topology.n_links
        number = bundle % max(mesh.cables.size, 1)
        first = np.where(
            bundle < mesh.cables.size, self.topology.first(LinkKind.UP), self.topology.first(LinkKind.DOWN)
        )
        count = np.where(bundle >= 0, mesh.cables[number], 1)
        start = np.where(bundle >= 0, first + mesh.first_cable[number], leg.links)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return Leg(
            np.repeat(leg.rows, count),
            np.repeat(start, count) + within,
            np.repeat(leg.share / count, count),
            leg.latency_s,
        )


def _surviving(topology: Topology, lost: Bools) -> Mesh:
    """Cables that are up as a mesh; a run of parallel cables with neighbouring numbers is one adjacency."""
    ups = topology.links(LinkKind.UP)
    alive = np.flatnonzero(~lost[ups.start : ups.stop] & ~lost[topology.first(LinkKind.DOWN) :])
    lower = topology.link_src[ups.start : ups.stop].astype(np.int64)[alive] - topology.first_switch
    upper = topology.link_dst[ups.start : ups.stop].astype(np.int64)[alive] - topology.first_switch
    new = np.ones(alive.size, dtype=bool)
    new[1:] = (np.diff(lower) != 0) | (np.diff(upper) != 0) | (np.diff(alive) != 1)
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, alive.size))
    none: Ints = np.zeros(0, dtype=np.int64)
    edges = Edges((), 0, 0, 1, none, none.astype(float), lower[start], upper[start], none.astype(float), size)
    return replace(make_mesh(topology.switches, edges), first_cable=alive[start])
