"""The fat-tree families: which endpoint hangs on which leaf of which plane; the rest follows from `sizing`.

    ft2, ft3   one plane; the NICs of a host side by side on a leaf, hosts in order
    mpft       P planes; NIC i of every host in plane i mod P, hosts in order along the leaves of the plane
    mpft_ideal a port of each NIC in every plane; in a plane as ft2
    rail_only  as mpft, one switch a rail
    hpn        a port of each NIC in every plane; in a plane as mrft
    mrft       one plane; units of as many hosts as a leaf has ports down, and in a unit NIC i of every host
               on the leaf of rail i; a unit with few hosts puts several whole rails on a leaf

Each is a pure function from the spec and the number of hosts to a `Tree`; `limit` of a family is the most
hosts it can hold. Sources: Insights into DeepSeek-V3, arXiv 2505.09343, section 5 (MPFT, MRFT); Al-Fares et
al., SIGCOMM 2008; Wang et al., "Rail-only", HOTI 2024, arXiv 2307.12169; Qian et al., "Alibaba HPN", SIGCOMM 2024.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.topologies.sizing import leaf_limit, ports_down, shape
from netsim.topologies.tree import Tree

Ints = NDArray[np.int64]


class Widths(NamedTuple):
    """What sizes a tree: NICs a host, planes, switch tiers, radix, oversubscription below the top.

    leaf_ports : ports of a leaf that may face endpoints; 0 for as many as the oversubscription allows
    """

    nics: int
    planes: int
    tiers: int
    radix: int
    oversubscription: tuple[float, ...]
    leaf_ports: int = 0

    @property
    def down(self) -> int:
        """Ports of a leaf that face endpoints."""
        if self.leaf_ports:
            return self.leaf_ports
        return self.radix if self.tiers == 1 else ports_down(self.radix, self.oversubscription[0])

    @property
    def max_leaves(self) -> int:
        """Leaves that one plane can hold."""
        return leaf_limit(self.tiers, self.radix, self.oversubscription)


class Seats(NamedTuple):
    """Where each endpoint hangs: plane, leaf of the plane and rank in the plane, leaf by leaf."""

    plane: Ints
    leaf: Ints
    position: Ints


def side_by_side(widths: Widths, hosts: int) -> Seats:
    """Endpoints of each plane in order of hosts, leaves filled one after the other (ft2, ft3, mpft)."""
    host, nic = np.divmod(np.arange(hosts * widths.nics), widths.nics)
    plane = nic % widths.planes
    position = host * (widths.nics // widths.planes) + nic // widths.planes
    one_switch = position.size <= widths.radix * widths.planes
    leaf = np.zeros_like(position) if one_switch else position // widths.down
    return Seats(plane, leaf, position)


def side_by_side_limit(widths: Widths) -> int:
    """The most hosts that fit."""
    return widths.max_leaves * widths.down // (widths.nics // widths.planes)


def by_rail(widths: Widths, hosts: int) -> Seats:
    """Same-index NICs of the hosts of a unit on one leaf (mrft)."""
    host, rail = np.divmod(np.arange(hosts * widths.nics), widths.nics)
    if host.size <= widths.radix:
        return Seats(np.zeros_like(host), np.zeros_like(host), rail * hosts + host)
    unit, place = np.divmod(host, widths.down)
    size = np.minimum(widths.down, hosts - unit * widths.down)
    rails = _rails_a_leaf(widths, size)
    leaf = unit * widths.nics + rail // rails
    # only the last unit can share leaves between rails, so units before it have a leaf a rail
    position = unit * widths.down * widths.nics + rail * size + place
    return Seats(np.zeros_like(host), leaf, position)


def _rails_a_leaf(widths: Widths, hosts: Ints) -> Ints:
    """Whole rails of a unit that share a leaf, spread evenly over the fewest leaves."""
    leaves = -(-widths.nics // np.minimum(widths.nics, widths.down // hosts))
    return -(-widths.nics // leaves)


def by_rail_limit(widths: Widths) -> int:
    """The most hosts that fit: full units, and a smaller one on the leaves that are left."""
    units, left = divmod(widths.max_leaves, widths.nics)
    return units * widths.down + (widths.down // -(-widths.nics // left) if left else 0)


def in_every_plane(seats: Seats, planes: int) -> Seats:
    """The ports of NICs that have one in every plane, NIC by NIC, each plane seated alike."""
    plane = np.tile(np.arange(planes), seats.leaf.size)
    return Seats(plane, np.repeat(seats.leaf, planes), np.repeat(seats.position, planes))


def grow(widths: Widths, seats: Seats) -> Tree:
    """The spines, cores and cables above the seats."""
    down = np.bincount(seats.leaf[seats.plane == 0])
    upper = shape(down, widths.tiers, widths.radix, widths.oversubscription)
    pods = upper.spine_cables.size
    per_leaf = upper.leaf_cables * upper.spines
    per_pod = upper.spine_cables * upper.spines * upper.cores
    return Tree(
        planes=widths.planes,
        spines=upper.spines,
        cores=upper.cores,
        leaf_pod=upper.leaf_pod,
        leaf_cables=upper.leaf_cables,
        leaf_down=down,
        spine_cables=upper.spine_cables,
        endpoint_plane=seats.plane,
        endpoint_leaf=seats.leaf,
        endpoint_position=seats.position,
        leaf_first=np.concatenate([[0], np.cumsum(per_leaf)]),
        pod_first=np.concatenate([[0], np.cumsum(per_pod)]) if pods else np.zeros(1, dtype=np.int64),
    )
