"""Which cables of a fat-tree a flow crosses, in closed form: up to the nearest common tier, and down.

adaptive  per-packet spray in the fluid limit: equal parts over all minimal paths, which in a balanced tree is
          equal parts over all uplinks of the leaf (and all up-cables of the pod's spines), and the same
          downwards: trunks
ecmp      a hash of the flow picks a cable up at the leaf, one at the spine, and among parallel cables down
static    destination mod k: rank d of the destination in the plane gives spine d mod A, core (d/A) mod C, and
          the next digits the parallel cable, so all flows to one endpoint descend the same cables

Left out: non-minimal paths, adaptive routing's reaction to load (the spray is blind), and routing around dead
links. Source of destination mod k: Zahavi, "Fat-trees routing and node ordering providing contention free
traffic for MPI global collectives", JPDC 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.routing.hashing import pick
from netsim.routing.steps import Pairs, Router, Routers, Step, no_trunks, whole
from netsim.routing.table import Trunks
from netsim.topologies import LinkKind, Topology
from netsim.topologies.tree import Tree

Ints = NDArray[np.int64]


class Ends(NamedTuple):
    """Endpoint pairs of one plane each that do not share a leaf, (n,) per column."""

    plane: Ints
    source_leaf: Ints
    target_leaf: Ints
    target_position: Ints


class Climb(NamedTuple):
    """Links of each pair: leaf to spine, to core, to spine, to leaf; -1 where the path turns earlier."""

    up: Ints
    up_core: Ints
    down_core: Ints
    down: Ints


class Choice(NamedTuple):
    """One minimal path: spine of the pod, core of the group, and the parallel cable at each step."""

    spine: Ints
    core: Ints
    up: Ints
    up_core: Ints
    down_core: Ints
    down: Ints


def _ends(tree: Tree, source: Ints, target: Ints) -> Ends:
    """Columns of endpoint pairs, given endpoint numbers."""
    return Ends(
        tree.endpoint_plane[source],
        tree.endpoint_leaf[source],
        tree.endpoint_leaf[target],
        tree.endpoint_position[target],
    )


def trunks(topology: Topology) -> Trunks:
    """Every trunk of the tree: leaf up, pod up, leaf down, pod down; none when there is a single switch."""
    tree: Tree = topology.structure
    if not tree.spines:
        return no_trunks(topology)
    size = np.tile(np.diff(tree.leaf_first), tree.planes)
    if tree.cores:
        size = np.concatenate([size, np.tile(np.diff(tree.pod_first), tree.planes)])
    first = np.cumsum(size) - size
    up, down = topology.first(LinkKind.UP), topology.first(LinkKind.DOWN)
    return Trunks(np.concatenate([up + first, down + first]), np.tile(size, 2))


def spray(topology: Topology, flows: Ends) -> Climb:
    """Trunks of each pair, all its minimal paths at once."""
    tree, base = topology.structure, topology.n_links
    half = tree.planes * (tree.leaves + (tree.pods if tree.cores else 0))
    source, target = _pods(tree, flows)
    up = base + flows.plane * tree.leaves + flows.source_leaf
    down = base + half + flows.plane * tree.leaves + flows.target_leaf
    pods = base + tree.planes * tree.leaves + flows.plane * tree.pods
    return _turn(source == target, Climb(up, pods + source, pods + half + target, down))


def hashed(topology: Topology, flows: Ends, words: tuple[Ints, ...]) -> Climb:
    """One path of each pair, picked by a hash of `words` at every switch."""
    tree: Tree = topology.structure
    source, target = _pods(tree, flows)
    up, down = tree.leaf_cables[flows.source_leaf], tree.leaf_cables[flows.target_leaf]
    up_core = np.maximum(tree.spine_cables[source], 1)
    uplink = pick(tree.spines * up, 1, *words)
    corelink = pick(max(tree.cores, 1) * up_core, 2, *words)
    down_core = pick(np.maximum(tree.spine_cables[target], 1), 3, *words)
    choice = Choice(
        uplink // up, corelink // up_core, uplink % up, corelink % up_core, down_core, pick(down, 4, *words)
    )
    return _cables(topology, flows, choice)


def by_destination(topology: Topology, flows: Ends) -> Climb:
    """The path of each pair under destination mod k."""
    tree: Tree = topology.structure
    source, target = _pods(tree, flows)
    rest, spine = np.divmod(flows.target_position, tree.spines)
    above, core = np.divmod(rest, max(tree.cores, 1))
    choice = Choice(
        spine,
        core,
        rest % tree.leaf_cables[flows.source_leaf],
        above % np.maximum(tree.spine_cables[source], 1),
        above % np.maximum(tree.spine_cables[target], 1),
        rest % tree.leaf_cables[flows.target_leaf],
    )
    return _cables(topology, flows, choice)


def _pods(tree: Tree, flows: Ends) -> tuple[Ints, Ints]:
    return tree.leaf_pod[flows.source_leaf], tree.leaf_pod[flows.target_leaf]


def _cables(topology: Topology, flows: Ends, choice: Choice) -> Climb:
    """Link ids of the chosen path; the numbering of cables is that of `netsim.topologies.tree`."""
    tree: Tree = topology.structure
    source, target = _pods(tree, flows)
    low = flows.plane * tree.leaf_cable_count
    high = tree.planes * tree.leaf_cable_count + flows.plane * tree.spine_cable_count
    core = choice.spine * tree.cores + choice.core

    def leaf_cable(leaf: Ints, parallel: Ints) -> Ints:
        return low + tree.leaf_first[leaf] + choice.spine * tree.leaf_cables[leaf] + parallel

    def core_cable(pod: Ints, parallel: Ints) -> Ints:
        return high + tree.pod_first[pod] + core * tree.spine_cables[pod] + parallel

    up, down = topology.first(LinkKind.UP), topology.first(LinkKind.DOWN)
    climb = Climb(
        up + leaf_cable(flows.source_leaf, choice.up),
        up + core_cable(source, choice.up_core),
        down + core_cable(target, choice.down_core),
        down + leaf_cable(flows.target_leaf, choice.down),
    )
    return _turn(source == target, climb)


def _turn(same_pod: NDArray[np.bool_], climb: Climb) -> Climb:
    """Pairs of one pod turn at the spine."""
    return climb._replace(
        up_core=np.where(same_pod, -1, climb.up_core), down_core=np.where(same_pod, -1, climb.down_core)
    )


def _router(climb: Callable[[Topology, Ends, tuple[Ints, ...]], Climb]) -> Router:
    def route(topology: Topology, pairs: Pairs, words: tuple[Ints, ...]) -> Iterable[Step]:
        ends = _ends(topology.structure, pairs.source, pairs.target)
        return map(whole, climb(topology, ends, words))

    return route


ROUTERS = Routers(
    {
        "adaptive": _router(lambda topology, ends, _: spray(topology, ends)),
        "ecmp": _router(hashed),
        "static": _router(lambda topology, ends, _: by_destination(topology, ends)),
    },
    trunks,
)
