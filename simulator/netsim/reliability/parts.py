"""The parts of a cluster that fail: how many there are, how often, and whether one of them stops the job or slows it.

stops     the job restarts from its last checkpoint; `host`: on a spare host, while the broken one is repaired;
          `restart`: on the same parts; `wait`: when the part is repaired, because too much hangs on it
slows     routes go around the part and the step takes longer while it is away

A GPU, NVLink or a host stops it. A NIC (or its only cable) stops it too, unless hosts send over their other NICs
(`failover.forwarding` of the fabric); a cable of a NIC with several ports slows it. A leaf stops it where it holds all
ports of a host, or the only port of a NIC whose host does not send over its others; else it slows. Switches above the
leaves and their cables slow it while another is beside them.

A part that slows the job leaves capacity, evenly, to what shares its work: the other ports of the NIC, the other NICs
of the host, the other uplinks of the leaf. The step is simulated once with the part away; that is the slow-down.

Left out: the seconds in which flows find their new path, and two parts of one host or leaf away at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netsim.specs.reliability import PartReliability, ReliabilitySpec
from netsim.topologies import Topology
from netsim.topologies.graph import TIERS, LinkKind

Effect = Literal["host", "restart", "wait", "slows"]
Left = dict[int, float]


@dataclass(frozen=True)
class PartClass:
    """Parts of a kind that fail alike; `left` is what stays of link capacities while one that slows is away."""

    name: str
    count: int
    part: PartReliability
    effect: Effect
    left: Left

    @property
    def rate_per_s(self) -> float:
        """Failures of all of them."""
        return self.count / self.part.mtbf

    @property
    def mean_down(self) -> float:
        """How many are away at a time."""
        return self.rate_per_s * self.part.repair


def part_classes(topology: Topology, table: ReliabilitySpec) -> list[PartClass]:
    """Every class of parts that the table has a rate for."""
    found: list[PartClass] = []

    def add(name: str, kind: str, count: int, effect: Effect, left: Left | None = None) -> None:
        part = table.parts().get(kind)
        if part is not None and count:
            found.append(PartClass(name, count, part, effect, left or {}))

    add("GPU", "gpu", topology.gpus, "host")
    add("scale-up of a host", "scale_up", topology.hosts, "host")
    add("host", "host", topology.hosts, "host")
    add("software", "software", topology.gpus, "restart")
    per_host = topology.nics // topology.hosts
    forwarding = topology.spec.failover.forwarding
    spared = forwarding and per_host > 1
    add(
        "NIC",
        "nic",
        topology.nics,
        "slows" if spared else "host",
        _host_left(topology, [0]) if spared else None,
    )
    if topology.nic_ports > 1:
        add("NIC cable", "cable", topology.endpoints, "slows", _nic_left(topology))
    else:
        add("NIC cable", "cable", topology.endpoints, "slows" if spared else "host",
            _host_left(topology, [0]) if spared else None)  # fmt: skip
    add("switch cable", "cable", topology.switch_links, "slows", _uplink_left(topology))
    tier = topology.node_tier[topology.first_switch :]
    for t in range(1, topology.tiers + 1):
        effect, left = _switch(topology, int(np.flatnonzero(tier == t)[0]), t, forwarding)
        add(f"{TIERS[t]} switch", "switch", int((tier == t).sum()), effect, left)
    return found


def _ports(topology: Topology, endpoint: NDArray[np.int64], left: NDArray[np.float64] | float) -> Left:
    """Both directions of some NIC ports."""
    shares = np.broadcast_to(np.asarray(left, dtype=np.float64), endpoint.shape)
    return {
        topology.first(kind) + int(e): float(share)
        for kind in (LinkKind.PORT_TX, LinkKind.PORT_RX)
        for e, share in zip(endpoint.tolist(), shares.tolist(), strict=True)
    }


def _host_left(topology: Topology, gone: list[int]) -> Left:
    """Ports of hosts that lose the NICs `gone`: the others of a host share its traffic evenly."""
    per_host = topology.endpoints // topology.hosts
    host = np.array(gone) * topology.nic_ports // per_host
    hosts, lost = np.unique(host, return_counts=True)
    ports = hosts[:, None] * per_host + np.arange(per_host)
    nics = per_host // topology.nic_ports
    return _ports(topology, ports.ravel(), np.repeat(1.0 - lost / nics, per_host))


def _nic_left(topology: Topology) -> Left:
    """The first NIC with one port away."""
    return _ports(topology, np.arange(topology.nic_ports), 1.0 - 1.0 / topology.nic_ports)


def _uplink_left(topology: Topology) -> Left:
    """The switch below the first cable, with that cable away."""
    if not topology.switch_links:
        return {}
    ups = topology.links(LinkKind.UP)
    below = topology.link_src[ups.start : ups.stop]
    beside = np.flatnonzero(below == below[0])
    return _cables(topology, beside, 1.0 - 1.0 / beside.size)


def _cables(topology: Topology, cable: NDArray[np.int64], left: float) -> Left:
    return {topology.first(kind) + int(c): left for kind in (LinkKind.UP, LinkKind.DOWN) for c in cable}


def _switch(topology: Topology, switch: int, tier: int, forwarding: bool) -> tuple[Effect, Left]:
    """What one switch takes with it."""
    below = np.flatnonzero(topology.endpoint_switch == switch)
    if below.size:
        return _leaf(topology, below, forwarding)
    # a switch above: the switches below keep the cables to its neighbours
    ups = topology.links(LinkKind.UP)
    node = topology.first_switch + switch
    lower = topology.link_src[ups.start : ups.stop]
    upper = topology.link_dst[ups.start : ups.stop]
    mine = np.unique(lower[upper == node])
    left: Left = {}
    for one in mine.tolist():
        cables = np.flatnonzero(lower == one)
        lost = int((upper[cables] == node).sum())
        if lost == cables.size:
            return "wait", {}
        left |= _cables(topology, cables, 1.0 - lost / cables.size)
    return "slows", left


def _leaf(topology: Topology, below: NDArray[np.int64], forwarding: bool) -> tuple[Effect, Left]:
    """A switch that holds NIC ports."""
    if topology.nic_ports > 1:
        nic = np.unique(below // topology.nic_ports)
        ports = (nic[:, None] * topology.nic_ports + np.arange(topology.nic_ports)).ravel()
        lost = np.bincount(below // topology.nic_ports, minlength=topology.nics)[nic]
        if (lost == topology.nic_ports).any():
            return "wait", {}
        return "slows", _ports(
            topology, ports, np.repeat(1.0 - lost / topology.nic_ports, topology.nic_ports)
        )
    per_host = topology.endpoints // topology.hosts
    whole = np.bincount(below // per_host).max() == per_host
    if not forwarding or whole:
        return "wait", {}
    return "slows", _host_left(topology, below.tolist())
