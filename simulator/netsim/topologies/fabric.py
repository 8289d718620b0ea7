"""What a family hands over: which switch each endpoint is plugged into, and how the switches are cabled.

Nothing here is a tree: a family of any shape is a function from a spec to a `Fabric`, wrapped in a `Family`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netsim.specs import HardwareSpec, TopologySpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: what a family's closed-form routing needs to know: a Tree, SlimFly, Dragonfly, Torus, ...; its type picks the
#: router in `netsim.routing.paths`
Structure: TypeAlias = Any


class Fabric(NamedTuple):
    """Switches of every plane, numbered 0, 1, ...; cables run from a lower to an upper switch.

    endpoint_plane, endpoint_switch : (n_endpoints,) plane, and the switch of the port; endpoint n * nic_ports + i
        is port i of NIC n
    switch_tier, switch_plane, switch_pod : (n_switches,) tier from 1, plane, and pod (-1 for none)
    cable_lower, cable_upper : (n_cables,) switches at its ends
    tiers : tiers in use
    switch_hops : numbers of switches that shortest paths between two NICs of a plane can cross, ascending
    nic_ports : ports of a NIC, each in a plane of its own when there are several
    port_rate, cable_rate : (n_endpoints,), (n_cables,) bytes/s of the switch port and of the cable; the spec's
        port rate when None
    """

    endpoint_plane: Ints
    endpoint_switch: Ints
    switch_tier: Ints
    switch_plane: Ints
    switch_pod: Ints
    cable_lower: Ints
    cable_upper: Ints
    tiers: int
    structure: Structure
    switch_hops: tuple[int, ...]
    nic_ports: int = 1
    port_rate: Floats | None = None
    cable_rate: Floats | None = None


class Family(NamedTuple):
    """A kind of fabric: the most hosts it holds, the words for why, and its switches and cables for a number.

    The first two raise SpecError when the spec's widths do not go together.
    """

    max_hosts: Callable[[TopologySpec, HardwareSpec], int]
    extent: Callable[[TopologySpec, HardwareSpec], str]
    fabric: Callable[[TopologySpec, HardwareSpec, int], Fabric]
