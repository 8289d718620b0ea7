"""Dragonfly: groups of switches that all know each other, and cables between every two groups.

A group has a switches with p endpoints, a cable between every two of them, and h cables each to other groups; up to
g = a h + 1 groups have at least one cable between every two. Port k of a group's a h global ports (of switch k // h)
leads k % (g - 1) + 1 groups further, so that the cables of two groups spread over their switches; ports that are
left over when g - 1 does not divide a h go to the nearest groups on both sides.

A smaller cluster has as few groups as hold the endpoints, and as few switches in each (equally many). Table 3 of
arXiv 2505.09343 has g = 511 where a h + 1 = 513. Left out: parallel cables inside a group.

Source: Kim, Dally, Scott, Abts, "Technology-driven, highly-scalable Dragonfly topology", ISCA 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.direct import check_flat, deal_out, flat_fabric
from netsim.topologies.fabric import Fabric, Family

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Dragonfly:
    """Cables within groups come first (group, pair of switches), then global ones by pair of groups.

    groups, switches : groups, and switches of each
    pair_first : (pairs + 1,) first global cable of each pair of groups, counted from the first global one
    near_switch, far_switch : (global cables,) switch within the lower and the higher group of the pair
    """

    groups: int
    switches: int
    pair_first: Ints
    near_switch: Ints
    far_switch: Ints

    @property
    def group_cables(self) -> int:
        """Cables within one group."""
        return self.switches * (self.switches - 1) // 2

    @property
    def local_cables(self) -> int:
        """Cables within all groups."""
        return self.groups * self.group_cables


def pair_index(low: Ints, high: Ints, of: int) -> Ints:
    """Rank of the pair low < high among the pairs of `of` things.

    >>> pair_index(np.array([0, 0, 1]), np.array([1, 2, 2]), 3).tolist()
    [0, 1, 2]
    """
    return low * (2 * of - low - 1) // 2 + high - low - 1


def _max_hosts(spec: TopologySpec, hardware: HardwareSpec) -> int:
    check_flat(spec)
    width = spec.dragonfly
    used = width.endpoints + width.switches - 1 + width.global_cables
    if used > spec.switch.radix:
        rule = f"{width.endpoints} endpoints, {width.switches - 1} switches of the group and "
        rule += f"{width.global_cables} cables to others need {used} ports"
        raise SpecError(spec.name, "switch.radix", spec.switch.radix, rule)
    groups = width.switches * width.global_cables + 1
    return groups * width.switches * width.endpoints // hardware.nics_per_host


def _extent(spec: TopologySpec, hardware: HardwareSpec) -> str:
    width = spec.dragonfly
    groups = width.switches * width.global_cables + 1
    return f"{groups} groups of {width.switches} switches with {width.endpoints} endpoints each"


def _fabric(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
    width, endpoints = spec.dragonfly, hosts * hardware.nics_per_host
    groups = -(-endpoints // (width.switches * width.endpoints))
    switches = -(-endpoints // (groups * width.endpoints))
    tree = wire(groups, switches, width.global_cables)
    group = np.repeat(np.arange(groups), switches)
    near, far = np.triu_indices(switches, 1)
    pair_low, pair_high = np.triu_indices(groups, 1)
    base = np.repeat(np.arange(groups) * switches, near.size)
    each = np.diff(tree.pair_first)
    lower = np.concatenate(
        [base + np.tile(near, groups), np.repeat(pair_low, each) * switches + tree.near_switch]
    )
    upper = np.concatenate(
        [base + np.tile(far, groups), np.repeat(pair_high, each) * switches + tree.far_switch]
    )
    hops = (1, 2, 3, 4) if groups > 1 else (1, 2) if switches > 1 else (1,)
    seats = deal_out(endpoints, groups * switches)
    return flat_fabric(seats, groups * switches, lower, upper, tree, hops, group)


def wire(groups: int, switches: int, h: int) -> Dragonfly:
    """The cables between groups."""
    ports = switches * h if groups > 1 else 0
    rounds, left = divmod(ports, max(1, groups - 1))
    shift = np.tile(np.arange(1, groups), rounds)
    port = np.arange(rounds * (groups - 1))
    back = port + groups - 2 * shift  # the peer's port of the same round that leads here
    for near in range(1, left // 2 + 1):  # left-over ports in couples: one up, one down
        shift, port, back = (
            np.append(column, value)
            for column, value in ((shift, near), (port, rounds * (groups - 1) + 2 * near - 2),
                                  (back, rounds * (groups - 1) + 2 * near - 1))
        )  # fmt: skip
    opposite = left % 2 and groups % 2 == 0
    if opposite:
        shift, port, back = (
            np.append(shift, groups // 2), np.append(port, ports - 1), np.append(back, ports - 1)
        )  # fmt: skip
    here = np.repeat(np.arange(groups), shift.size)
    there = (here + np.tile(shift, groups)) % groups
    out, into = np.tile(port, groups) // h, np.tile(back, groups) // h
    regular = np.tile(np.arange(shift.size) < rounds * (groups - 1), groups)
    half = np.tile(shift == groups // 2, groups) & ~regular & bool(opposite)
    # a regular cable is seen from both its ends, one of a couple from one
    once = np.where(regular | half, here < there, True)
    here, there, out, into = here[once], there[once], out[once], into[once]
    flip = here > there
    low, high = np.where(flip, there, here), np.where(flip, here, there)
    near_switch, far_switch = np.where(flip, into, out), np.where(flip, out, into)
    pair = pair_index(low, high, groups)
    order = np.argsort(pair, kind="stable")
    size = np.bincount(pair, minlength=groups * (groups - 1) // 2)
    first = np.concatenate([[0], np.cumsum(size)])
    return Dragonfly(groups, switches, first, near_switch[order], far_switch[order])


DRAGONFLY = Family(_max_hosts, _extent, _fabric)
