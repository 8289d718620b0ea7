"""The shape of a fat-tree of two or three tiers, in as many identical planes as it has, as a handful of
numbers.

In one plane, endpoints hang on leaves, leaves are grouped in pods, every leaf of a pod reaches every spine of
the pod, and spine a of every pod reaches every core of group a. Parallel cables make the widths fit:

    leaf_cables[l]   from leaf l to each spine of its pod
    spine_cables[q]  from each spine of pod q to each core of the spine's group

Two tiers are one pod without cores, one switch is one leaf without spines. Cables are numbered so that those
of one leaf, and those of the spines of one pod, are contiguous: leaf to spine first (plane, leaf, spine,
parallel), then spine to core (plane, pod, spine, core, parallel).

Source: Leiserson, "Fat-trees", IEEE ToC 1985; Al-Fares, Loukissas, Vahdat, SIGCOMM 2008, for the three-tier
k-ary form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """Planes of equal fat-trees and where each endpoint hangs.

    spines, cores : spines a pod, cores a group (there are `spines` groups)
    leaf_pod, leaf_cables, leaf_down : (leaves,) pod, cables to each spine, endpoints below
    spine_cables : (pods,) cables from each spine of the pod to each core of its group
    endpoint_plane, endpoint_leaf : (n_endpoints,) plane, and leaf in the plane
    endpoint_position : (n_endpoints,) rank in the plane, leaf by leaf: the number that static routing uses
    leaf_first, pod_first : (leaves + 1,), (pods + 1,) first cable of a leaf, of a pod's spines, in the plane
    """

    planes: int
    spines: int
    cores: int
    leaf_pod: Ints
    leaf_cables: Ints
    leaf_down: Ints
    spine_cables: Ints
    endpoint_plane: Ints
    endpoint_leaf: Ints
    endpoint_position: Ints
    leaf_first: Ints
    pod_first: Ints

    @property
    def leaves(self) -> int:
        return self.leaf_pod.size

    @property
    def pods(self) -> int:
        return self.spine_cables.size

    @property
    def tiers(self) -> int:
        return 1 if not self.spines else 2 if not self.cores else 3

    @property
    def switches_per_tier(self) -> tuple[int, int, int]:
        """Leaves, spines and cores of one plane."""
        return self.leaves, self.pods * self.spines, self.spines * self.cores

    @property
    def leaf_cable_count(self) -> int:
        """Leaf-spine cables of one plane."""
        return int(self.leaf_first[-1])

    @property
    def spine_cable_count(self) -> int:
        """Spine-core cables of one plane."""
        return int(self.pod_first[-1])


class Cables(NamedTuple):
    """Cables between switches, lower end and upper end; switch numbers run over tier, plane, switch."""

    lower: Ints
    upper: Ints


def switch_columns(tree: Tree) -> tuple[Ints, Ints, Ints]:
    """Tier, plane and pod (-1 for a core) of every switch, in the order of their numbers."""
    counts = tree.switches_per_tier
    pods = (tree.leaf_pod, np.repeat(np.arange(tree.pods), tree.spines), np.full(counts[2], -1))
    tier = np.concatenate([np.full(n * tree.planes, t + 1) for t, n in enumerate(counts)])
    plane = np.concatenate([np.repeat(np.arange(tree.planes), n) for n in counts])
    return tier, plane, np.concatenate([np.tile(pod, tree.planes) for pod in pods])


def cables(tree: Tree) -> Cables:
    """Every cable between switches, in the order of their numbers."""
    parts = [_leaf_cables(tree), _spine_cables(tree)]
    return Cables(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _leaf_cables(tree: Tree) -> Cables:
    leaf = np.repeat(np.arange(tree.leaves), tree.leaf_cables * tree.spines)
    spine = (np.arange(leaf.size) - tree.leaf_first[leaf]) // np.maximum(tree.leaf_cables[leaf], 1)
    upper = tree.leaf_pod[leaf] * tree.spines + spine
    leaves, spines, _ = tree.switches_per_tier
    return _all_planes(tree, leaf, upper, first=(0, tree.planes * leaves), size=(leaves, spines))


def _spine_cables(tree: Tree) -> Cables:
    pod = np.repeat(np.arange(tree.pods), tree.spine_cables * tree.spines * tree.cores)
    # the (spine, core) pair within the pod is the core's number: its group has the spine's number
    core = (np.arange(pod.size) - tree.pod_first[pod]) // np.maximum(tree.spine_cables[pod], 1)
    spine = pod * tree.spines + core // max(tree.cores, 1)
    leaves, spines, cores = tree.switches_per_tier
    first = (tree.planes * leaves, tree.planes * (leaves + spines))
    return _all_planes(tree, spine, core, first=first, size=(spines, cores))


def _all_planes(
    tree: Tree, lower: Ints, upper: Ints, first: tuple[int, int], size: tuple[int, int]
) -> Cables:
    """The cables of one plane, repeated in every plane with that plane's switch numbers."""
    plane = np.repeat(np.arange(tree.planes), lower.size)
    return Cables(
        first[0] + plane * size[0] + np.tile(lower, tree.planes),
        first[1] + plane * size[1] + np.tile(upper, tree.planes),
    )
