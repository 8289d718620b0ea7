"""Hosts and fabric into one graph: node and link arrays in the block order of `netsim.topologies.graph`.

Capacities: the scale-up and PCIe links carry what the host preset says they achieve. A NIC port carries line
rate times goodput fraction (headers, acknowledgements and congestion control: the one NIC constant), and no
more than the switch port it is plugged into; a NIC of several ports gives each an equal part. A cable between
switches carries the port rate of the switch, unless the family gives it a rate of its own.

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
    nics, hosts = endpoints // fabric.nic_ports, gpus // hardware.gpus_per_host
    source, target, kind = _links(hardware, gpus, fabric)
    achieved, nominal, latency = _per_kind(spec, hardware, fabric.nic_ports)
    host_side = np.full(gpus + hosts, -1)
    of_nic = slice(None, None, fabric.nic_ports)
    nic_plane = fabric.endpoint_plane if fabric.nic_ports == 1 else np.full(nics, -1)
    tier = np.concatenate([np.zeros(gpus + hosts + nics), fabric.switch_tier]).astype(np.int8)
    plane = np.concatenate([host_side, nic_plane, fabric.switch_plane]).astype(np.int16)
    pod = np.concatenate([host_side, fabric.switch_pod[fabric.endpoint_switch[of_nic]], fabric.switch_pod])
    on_fabric = kind >= LinkKind.PORT_TX
    return Topology(
        spec=spec,
        hardware=hardware,
        gpus=gpus,
        endpoints=endpoints,
        nic_ports=fabric.nic_ports,
        tiers=fabric.tiers,
        switch_hops=fabric.switch_hops,
        node_kind=np.repeat(np.arange(4, dtype=np.int8), [gpus, hosts, nics, switches]),
        node_tier=tier,
        node_plane=plane,
        node_pod=pod.astype(np.int32),
        link_src=source,
        link_dst=target,
        link_kind=kind,
        link_plane=np.where(on_fabric, np.maximum(plane[source], plane[target]), -1).astype(np.int16),
        link_tier=np.maximum(tier[source], tier[target]),
        capacity_bytes_per_s=_own_rates(achieved[kind], hardware, fabric, hardware.nic.goodput_fraction),
        nominal_bytes_per_s=_own_rates(nominal[kind], hardware, fabric, 1.0),
        latency_s=latency[kind],
        structure=fabric.structure,
    )


def _own_rates(
    per_link: NDArray[np.float64], hardware: HardwareSpec, fabric: Fabric, goodput: float
) -> NDArray[np.float64]:
    """Bytes/s of all links, where ports and cables may have their own."""
    if fabric.port_rate is None or fabric.cable_rate is None:
        return per_link
    host_side = per_link.size - 2 * (fabric.port_rate.size + fabric.cable_rate.size)
    port = np.minimum(fabric.port_rate, hardware.nic.line_rate / fabric.nic_ports * goodput)
    return np.concatenate([per_link[:host_side], port, port, fabric.cable_rate, fabric.cable_rate])


def _links(
    hardware: HardwareSpec, gpus: int, fabric: Fabric
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8]]:
    """Source, target and kind of every link, block by block."""
    endpoints = fabric.endpoint_switch.size
    gpu = np.arange(gpus)
    nvswitch = gpus + gpu // hardware.gpus_per_host
    first_nic = gpus + gpus // hardware.gpus_per_host
    nics = endpoints // fabric.nic_ports
    nic_of_gpu = first_nic + gpu // (gpus // nics)
    nic = first_nic + np.arange(endpoints) // fabric.nic_ports
    first_switch = first_nic + nics
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
    spec: TopologySpec, hardware: HardwareSpec, nic_ports: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Achieved bytes/s, nominal bytes/s and idle latency of each `LinkKind`."""
    scale_up, pcie, nic, port = hardware.scale_up, hardware.pcie, hardware.nic, spec.switch.port_rate
    hop, line = spec.latency.switch_hop, nic.line_rate / nic_ports
    good = line * nic.goodput_fraction
    rows = {
        LinkKind.SCALE_UP_TX: (scale_up.achieved_rate, scale_up.rate, scale_up.latency / 2),
        LinkKind.SCALE_UP_RX: (scale_up.achieved_rate, scale_up.rate, scale_up.latency / 2),
        LinkKind.PCIE_TX: (pcie.achieved_rate, pcie.rate, spec.latency.endpoint / 2),
        LinkKind.PCIE_RX: (pcie.achieved_rate, pcie.rate, spec.latency.endpoint / 2),
        LinkKind.PORT_TX: (min(good, port), min(line, port), hop),
        LinkKind.PORT_RX: (min(good, port), min(line, port), 0.0),
        LinkKind.UP: (port, port, hop),
        LinkKind.DOWN: (port, port, hop),
    }
    table = np.array([rows[kind] for kind in LinkKind])
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()
