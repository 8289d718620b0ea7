"""Hosts and fabric into one graph: node and link arrays in the block order of `netsim.topologies.graph`.

Capacities: the scale-up and PCIe links carry what the host preset says they achieve. A NIC port carries line
rate times goodput fraction (headers, acknowledgements and congestion control: the one NIC constant), and no
more than the switch port it is plugged into. A cable between switches carries the port rate of the switch.

Idle latency is spread so that it adds up along a path: half of the endpoint overhead on each PCIe link, half
of the scale-up latency on each scale-up link, and one switch hop on each link that enters a switch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.fabric import Fabric
from netsim.topologies.graph import LinkKind, Topology

Ints = NDArray[np.int64]


def assemble(spec: TopologySpec, hardware: HardwareSpec, gpus: int, fabric: Fabric) -> Topology:
    """The graph of hosts and a fabric."""
    endpoints, switches = fabric.endpoint_switch.size, fabric.switch_tier.size
    hosts = gpus // hardware.gpus_per_host
    source, target, kind = _links(hardware, gpus, fabric)
    achieved, nominal, latency = _per_kind(spec, hardware)
    host_side = gpus + hosts + endpoints
    none = np.full(gpus + hosts, -1)
    tier = np.concatenate([np.zeros(host_side), fabric.switch_tier]).astype(np.int8)
    plane = np.concatenate([none, fabric.endpoint_plane, fabric.switch_plane]).astype(np.int16)
    pod = np.concatenate([none, fabric.switch_pod[fabric.endpoint_switch], fabric.switch_pod])
    return Topology(
        spec=spec,
        hardware=hardware,
        gpus=gpus,
        endpoints=endpoints,
        tiers=fabric.tiers,
        node_kind=np.repeat(np.arange(4, dtype=np.int8), [gpus, hosts, endpoints, switches]),
        node_tier=tier,
        node_plane=plane,
        node_pod=pod.astype(np.int32),
        link_src=source,
        link_dst=target,
        link_kind=kind,
        link_plane=np.minimum(plane[source], plane[target]),
        link_tier=np.maximum(tier[source], tier[target]),
        capacity_bytes_per_s=achieved[kind],
        nominal_bytes_per_s=nominal[kind],
        latency_s=latency[kind],
        structure=fabric.structure,
    )


def _links(
    hardware: HardwareSpec, gpus: int, fabric: Fabric
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8]]:
    """Source, target and kind of every link, block by block."""
    endpoints = fabric.endpoint_switch.size
    gpu = np.arange(gpus)
    nvswitch = gpus + gpu // hardware.gpus_per_host
    first_nic = gpus + gpus // hardware.gpus_per_host
    nic_of_gpu = first_nic + gpu // (gpus // endpoints)
    nic = first_nic + np.arange(endpoints)
    first_switch = first_nic + endpoints
    leaf = first_switch + fabric.endpoint_switch
    lower, upper = first_switch + fabric.cable_lower, first_switch + fabric.cable_upper
    pairs = [(gpu, nvswitch), (gpu, nic_of_gpu), (nic, leaf), (lower, upper)]
    ends = [pair for near, far in pairs for pair in ((near, far), (far, near))]
    return (
        np.concatenate([source for source, _ in ends]).astype(np.int32),
        np.concatenate([target for _, target in ends]).astype(np.int32),
        np.repeat(np.arange(len(ends), dtype=np.int8), [source.size for source, _ in ends]),
    )


def _per_kind(
    spec: TopologySpec, hardware: HardwareSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Achieved bytes/s, nominal bytes/s and idle latency of each `LinkKind`."""
    scale_up, pcie, nic, port = hardware.scale_up, hardware.pcie, hardware.nic, spec.switch.port_rate
    hop = spec.latency.switch_hop
    rows = {
        LinkKind.SCALE_UP_TX: (scale_up.achieved_rate, scale_up.rate, scale_up.latency / 2),
        LinkKind.SCALE_UP_RX: (scale_up.achieved_rate, scale_up.rate, scale_up.latency / 2),
        LinkKind.PCIE_TX: (pcie.achieved_rate, pcie.rate, spec.latency.endpoint / 2),
        LinkKind.PCIE_RX: (pcie.achieved_rate, pcie.rate, spec.latency.endpoint / 2),
        LinkKind.PORT_TX: (min(nic.line_rate * nic.goodput_fraction, port), min(nic.line_rate, port), hop),
        LinkKind.PORT_RX: (min(nic.line_rate * nic.goodput_fraction, port), min(nic.line_rate, port), 0.0),
        LinkKind.UP: (port, port, hop),
        LinkKind.DOWN: (port, port, hop),
    }
    table = np.array([rows[kind] for kind in LinkKind])
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()
