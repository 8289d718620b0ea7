"""Torus: switches on a grid that closes on itself, with parallel cables to the next one in each direction.

A side of two has its neighbour on both sides: twice the cables. Without given sides, the grid is the one of
`dimensions` dimensions with the fewest switches that hold the endpoints, and of equals the one with the most equal
sides. Endpoints are dealt out evenly in the order of the switches, the last dimension first.

Left out: twisted tori, and optical switches that change the sides (TPU pods).
Source: Dally, Towles, Principles and Practices of Interconnection Networks, 2004, chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from math import prod

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.direct import check_flat, deal_out, flat_fabric
from netsim.topologies.fabric import Fabric, Family

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Torus:
    """sides : length of each dimension; stride : switch numbers between neighbours in it
    cables : parallel cables of one adjacency in each dimension (twice as many when the side is two, none when one)
    first_cable : (dimensions, switches) first cable from a switch to the next one in the dimension
    """

    sides: tuple[int, ...]
    stride: tuple[int, ...]
    cables: tuple[int, ...]
    first_cable: Ints


def _max_hosts(spec: TopologySpec, hardware: HardwareSpec) -> int:
    check_flat(spec)
    width, radix = spec.torus, spec.switch.radix
    dimensions = len(width.sides) or width.dimensions
    used = width.endpoints + 2 * dimensions * width.cables
    if used > radix:
        rule = f"{width.endpoints} endpoints and {width.cables} cables in each of {2 * dimensions} directions"
        raise SpecError(spec.name, "switch.radix", radix, f"{rule} need {used} ports")
    switches = prod(width.sides) if width.sides else width.longest**dimensions
    return switches * width.endpoints // hardware.nics_per_host


def _extent(spec: TopologySpec, hardware: HardwareSpec) -> str:
    width = spec.torus
    sides = width.sides or (width.longest,) * width.dimensions
    return f"{' x '.join(map(str, sides))} switches with {width.endpoints} endpoints each"


@lru_cache(maxsize=256)
def sides_for(switches: int, dimensions: int, longest: int) -> tuple[int, ...]:
    """The grid of fewest switches, then most equal sides, longest first.

    >>> sides_for(128, 3, 16), sides_for(100, 3, 16), sides_for(1, 3, 16)
    ((8, 4, 4), (5, 5, 4), (1, 1, 1))
    """
    choices = combinations_with_replacement(range(longest, 0, -1), dimensions)
    return min((c for c in choices if prod(c) >= switches), key=lambda c: (prod(c), c[0] - c[-1], c))


def _fabric(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
    width, endpoints = spec.torus, hosts * hardware.nics_per_host
    needed = -(-endpoints // width.endpoints)
    sides = width.sides or sides_for(needed, width.dimensions, width.longest)
    torus, lower, upper = grid(sides, width.cables)
    farthest = sum(side // 2 for side in sides)
    return flat_fabric(
        deal_out(endpoints, prod(sides)), prod(sides), lower, upper, torus, tuple(range(1, farthest + 2))
    )


def grid(sides: tuple[int, ...], cables: int) -> tuple[Torus, Ints, Ints]:
    """The cables of a torus, and their lower and upper switches."""
    stride = tuple(prod(sides[d + 1 :]) for d in range(len(sides)))
    number = tuple(0 if side == 1 else 2 * cables if side == 2 else cables for side in sides)
    switch = np.arange(prod(sides))
    first = np.full((len(sides), switch.size), -1)
    lower: list[Ints] = []
    upper: list[Ints] = []
    made = 0
    for d, (side, step, parallel) in enumerate(zip(sides, stride, number, strict=True)):
        if not parallel:
            continue
        place = switch // step % side
        after = switch + (np.where(place == side - 1, 1 - side, 1)) * step
        owner = switch[place == 0] if side == 2 else switch
        first[d, owner] = made + np.arange(owner.size) * parallel
        if side == 2:  # both neighbours are the one switch
            first[d, after[owner]] = first[d, owner]
        made += owner.size * parallel
        lower.append(np.repeat(owner, parallel))
        upper.append(np.repeat(after[owner], parallel))
    none = np.zeros(0, dtype=np.int64)
    return Torus(sides, stride, number, first), np.concatenate([none, *lower]), np.concatenate([none, *upper])


TORUS = Family(_max_hosts, _extent, _fabric)
