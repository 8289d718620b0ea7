"""How many switches and cables a fat-tree needs: the fewest that keep the stated oversubscription.

An operator fills leaves in order, gives each as many uplinks as its endpoints need, and buys the fewest
spines (then cores) whose ports take them, each leaf reaching each spine with equally many cables. At most
`radix` endpoints need one switch. Three tiers that fit one pod are wired as two. Of the pod sizes that a
third tier allows, the one with the fewest switches is taken, and of equals the largest pod.

Oversubscription o of a tier is capacity down over capacity up: of `radix` ports, floor(radix * o / (1 + o))
face down. Left out: spare ports for growth, redundancy beyond what the shape has, racks and cable lengths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_EPS = 1e-9  # floor and ceil of quotients that are whole but for rounding


class Uppers(NamedTuple):
    """Switches of the tier above, and parallel cables from each lower switch to each of them."""

    number: int
    cables: Ints


class Shape(NamedTuple):
    """Widths of one plane; the fields are those of `netsim.topologies.tree.Tree`."""

    spines: int
    cores: int
    leaf_pod: Ints
    leaf_cables: Ints
    spine_cables: Ints


def ports_down(radix: int, oversubscription: float) -> int:
    """Ports of a switch that face down.

    >>> ports_down(64, 1.0), ports_down(64, 3.0), ports_down(64, 2.0)
    (32, 48, 42)
    """
    return int(radix * oversubscription / (1.0 + oversubscription) + _EPS)


def uplinks(down: Ints, oversubscription: float) -> Ints:
    """Cables up that keep the oversubscription, given ports in use below."""
    return np.ceil(np.asarray(down) / oversubscription - _EPS).astype(np.int64)


def fewest_uppers(down: Ints, oversubscription: float, radix: int) -> Uppers:
    """The fewest switches above that take the uplinks of switches with `down` ports in use.

    >>> fewest_uppers(np.full(64, 32), 1.0, 64).number, fewest_uppers(np.array([32, 32, 8]), 1.0, 64)
    (32, Uppers(number=2, cables=array([16, 16,  4])))
    """
    need = uplinks(down, oversubscription)
    for count in range(-(-int(need.sum()) // radix), int(need.max()) + 1):
        cables = -(-need // count)
        if cables.sum() <= radix and (down + cables * count).max() <= radix:
            return Uppers(count, cables)
    raise AssertionError(f"{down.size} switches do not fit under switches of radix {radix}")


def leaf_limit(tiers: int, radix: int, oversubscription: tuple[float, ...]) -> int:
    """The most leaves that one plane can have.

    >>> leaf_limit(2, 64, (1.0,)), leaf_limit(3, 64, (1.0, 1.0))
    (64, 2048)
    """
    if tiers < 3:
        return radix if tiers == 2 else 1
    return radix * ports_down(radix, oversubscription[1])


def shape(leaf_down: Ints, tiers: int, radix: int, oversubscription: tuple[float, ...]) -> Shape:
    """Spines, cores and cables above leaves with `leaf_down` endpoints each."""
    leaves = leaf_down.size
    one_pod = np.zeros(leaves, dtype=np.int64)
    if leaves == 1:
        return Shape(0, 0, one_pod, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    if tiers == 2 or leaves <= ports_down(radix, oversubscription[1]):
        spines, cables = fewest_uppers(leaf_down, oversubscription[0], radix)
        return Shape(spines, 0, one_pod, cables, np.zeros(1, dtype=np.int64))
    choices = _pod_shapes(leaf_down, radix, oversubscription)
    return min(choices, key=lambda c: (_upper_switches(c), c.spine_cables.size))


def _upper_switches(choice: Shape) -> int:
    return choice.spine_cables.size * choice.spines + choice.spines * choice.cores


def _pod_shapes(leaf_down: Ints, radix: int, oversubscription: tuple[float, ...]) -> list[Shape]:
    """Every way to group leaves in pods, one for each number of spines a pod."""
    need = uplinks(leaf_down, oversubscription[0])
    spine_down = ports_down(radix, oversubscription[1])
    found = []
    for spines in range(1, int(need.max()) + 1):
        cables = -(-need // spines)
        pod_leaves = spine_down // int(cables.max())
        fits = pod_leaves >= 1 and (leaf_down + cables * spines).max() <= radix
        if not fits or -(-leaf_down.size // pod_leaves) > radix:
            continue
        pod = np.arange(leaf_down.size) // pod_leaves
        below = np.bincount(pod, weights=cables).astype(np.int64)
        cores, spine_cables = fewest_uppers(below, oversubscription[1], radix)
        found.append(Shape(spines, cores, pod, cables, spine_cables))
    return found
