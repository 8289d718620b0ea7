"""A cluster as a directed multigraph in flat arrays: GPUs, NVSwitches, NICs, switches and the links between
them.

Modelled: every link that a byte can queue on, from a GPU's port on the scale-up fabric to the last core
switch; a cable is two links. Links lie in blocks by kind, so that a link id is arithmetic:
`topology.first(kind) + index`.

    scale_up_tx[g], scale_up_rx[g]   GPU g to the NVSwitch of its host, and back
    pcie_tx[g], pcie_rx[g]           GPU g to its NIC, and back
    port_tx[e], port_rx[e]           endpoint e (a NIC port) to its switch, and back
    up[c], down[c]                   cable c between two switches, away from the hosts and back; where switches
                                     have no tiers, from its first switch to its second, and back

Left out: CPUs and their memory, the inside of an NVSwitch or a switch (never the bottleneck), and cable
lengths. How the switches are wired is the business of a family (`netsim.topologies.families`); the graph does
not know trees, and `structure` carries what the family's closed-form routing needs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.fabric import Structure


class LinkKind(IntEnum):
    """What a link is; the order is the order of the blocks."""

    SCALE_UP_TX = 0
    SCALE_UP_RX = 1
    PCIE_TX = 2
    PCIE_RX = 3
    PORT_TX = 4
    PORT_RX = 5
    UP = 6
    DOWN = 7


#: name of each link kind, `LINK_KINDS[LinkKind.UP] == "up"`
LINK_KINDS = tuple(kind.name.lower() for kind in LinkKind)

#: what a kind of link is part of, for people; all else is the fabric
RESOURCES = {"scale_up_tx": "nvlink", "scale_up_rx": "nvlink", "pcie_tx": "pcie", "pcie_rx": "pcie",
             "port_tx": "nic", "port_rx": "nic"}  # fmt: skip


class NodeKind(IntEnum):
    """What a node is; the order is the order of the node ids."""

    GPU = 0
    NVSWITCH = 1
    NIC = 2
    SWITCH = 3


#: name of each switch tier by its number; 0 is the host side
TIERS = ("host", "leaf", "spine", "core")


@dataclass(frozen=True)
class Topology:
    """A built cluster; arrays are read-only.

    spec, hardware : what it was built from
    gpus, endpoints : GPUs, and NIC ports on the fabric
    nic_ports : ports of a NIC; several ports are in as many planes
    tiers : switch tiers in use (1 when one switch a plane is enough)
    switch_hops : numbers of switches that shortest paths between two NICs of a plane can cross, ascending
    node_kind : (n_nodes,) NodeKind; GPUs come first, then NVSwitches (one a host), NICs and switches
    node_tier : (n_nodes,) 0 on the host side, then 1 for leaf, 2 for spine, 3 for core
    node_plane, node_pod : (n_nodes,) plane and pod, -1 where a node has none (a NIC in all planes too)
    link_src, link_dst : (n_links,) node ids
    link_kind : (n_links,) LinkKind
    link_plane, link_tier : (n_links,) plane (-1 inside a host) and the higher tier of the two ends
    capacity_bytes_per_s : (n_links,) what the link achieves
    nominal_bytes_per_s : (n_links,) its line rate, for utilisation and bisection
    latency_s : (n_links,) idle latency; the sum over a path is the idle latency of the path
    structure : what closed-form routing needs to know of the family
    """

    spec: TopologySpec
    hardware: HardwareSpec
    gpus: int
    endpoints: int
    nic_ports: int
    tiers: int
    switch_hops: tuple[int, ...]
    node_kind: NDArray[np.int8]
    node_tier: NDArray[np.int8]
    node_plane: NDArray[np.int16]
    node_pod: NDArray[np.int32]
    link_src: NDArray[np.int32]
    link_dst: NDArray[np.int32]
    link_kind: NDArray[np.int8]
    link_plane: NDArray[np.int16]
    link_tier: NDArray[np.int8]
    capacity_bytes_per_s: NDArray[np.float64]
    nominal_bytes_per_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    structure: Structure

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def family(self) -> str:
        return self.spec.family

    @property
    def planes(self) -> int:
        return int(self.node_plane.max()) + 1

    @property
    def radix(self) -> int:
        return self.spec.switch.radix

    @property
    def gpus_per_host(self) -> int:
        return self.hardware.gpus_per_host

    @property
    def nics(self) -> int:
        return self.endpoints // self.nic_ports

    @property
    def gpus_per_nic(self) -> int:
        return self.gpus // self.nics

    @property
    def endpoint_switch(self) -> NDArray[np.int64]:
        """(endpoints,) number of the switch of each NIC port, from 0."""
        ports = self.links(LinkKind.PORT_TX)
        return self.link_dst[ports.start : ports.stop].astype(np.int64) - self.first_switch

    @property
    def endpoint_plane(self) -> NDArray[np.int64]:
        """(endpoints,) plane of each NIC port."""
        ports = self.links(LinkKind.PORT_TX)
        return self.link_plane[ports.start : ports.stop].astype(np.int64)

    @property
    def hosts(self) -> int:
        return self.gpus // self.gpus_per_host

    @property
    def switches(self) -> int:
        return int(np.count_nonzero(self.node_kind == NodeKind.SWITCH))

    @property
    def switch_links(self) -> int:
        """Cables between switches."""
        return self.n_links - self.first(LinkKind.DOWN)

    @property
    def n_nodes(self) -> int:
        return self.node_kind.size

    @property
    def n_links(self) -> int:
        return self.link_src.size

    @property
    def first_switch(self) -> int:
        """Node id of the first switch."""
        return self.gpus + self.hosts + self.nics

    def first(self, kind: LinkKind) -> int:
        """Id of the first link of a kind; the block ends where the next kind's begins."""
        if kind <= LinkKind.PORT_TX:
            return int(kind) * self.gpus
        hosts_end = 4 * self.gpus + 2 * self.endpoints
        cables = (self.link_src.size - hosts_end) // 2
        return {
            LinkKind.PORT_RX: hosts_end - self.endpoints,
            LinkKind.UP: hosts_end,
            LinkKind.DOWN: hosts_end + cables,
        }[kind]

    def links(self, kind: LinkKind) -> range:
        """The ids of all links of a kind."""
        last = self.n_links if kind == LinkKind.DOWN else self.first(LinkKind(kind + 1))
        return range(self.first(kind), last)
