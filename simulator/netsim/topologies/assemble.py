"""Hosts and fabric into one graph: node and link arrays in the block order of `netsim.topologies.graph`.

Capacities: the scale-up and PCIe links carry what the host preset says they achieve. A NIC port carries line rate
times goodput fraction (headers, acknowledgements and congestion control: the one NIC constant), and no more than
the switch port it is plugged into. A cable between switches carries the port rate of the switch.

Idle latency is spread so that it adds up along a path: half of the endpoint overhead on each PCIe link, half of the
scale-up latency on each scale-up link, and one switch hop on each link that enters a switch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.graph import LinkKind, NodeKind, Topology
from netsim.topologies.tree import Tree, cables, switch_columns

Ints = NDArray[np.int64]


def assemble(spec: TopologySpec, hardware: HardwareSpec, gpus: int, tree: Tree) -> Topology:
    """The graph of hosts and a tree of switches."""
    endpoints = tree.endpoint_leaf.size
    tier, plane, pod = switch_columns(tree)
    source, target, kind, link_plane, upper_tier = _links(hardware, gpus, tree)
    achieved, nominal, latency = _per_kind(spec, hardware)
    host_side = (gpus, gpus // hardware.gpus_per_host, endpoints)
    none = np.full(sum(host_side[:2]), -1)
    return Topology(
        spec=spec,
        hardware=hardware,
        gpus=gpus,
        endpoints=endpoints,
        tiers=tree.tiers,
        node_kind=np.repeat(np.arange(4, dtype=np.int8), [*host_side, tier.size]),
        node_tier=np.concatenate([np.zeros(sum(host_side)), tier]).astype(np.int8),
        node_plane=np.concatenate([none, tree.endpoint_plane, plane]).astype(np.int16),
        node_pod=np.concatenate([none, tree.leaf_pod[tree.endpoint_leaf], pod]).astype(np.int32),
        link_src=source,
        link_dst=target,
        link_kind=kind,
        link_plane=link_plane,
        link_tier=upper_tier,
        capacity_bytes_per_s=achieved[kind],
        nominal_bytes_per_s=nominal[kind],
        latency_s=latency[kind],
        structure=tree,
    )


def _links(
    hardware: HardwareSpec, gpus: int, tree: Tree
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8], NDArray[np.int16], NDArray[np.int8]]:
    """Source, target, kind, plane and tier of every link."""
    endpoints = tree.endpoint_leaf.size
    gpu = np.arange(gpus)
    first_nvswitch, first_nic = gpus, gpus + gpus // hardware.gpus_per_host
    first_switch = first_nic + endpoints
    nvswitch = first_nvswitch + gpu // hardware.gpus_per_host
    nic_of_gpu = first_nic + gpu // (gpus // endpoints)
    nic = first_nic + np.arange(endpoints)
    leaf = first_switch + tree.endpoint_plane * tree.leaves + tree.endpoint_leaf
    between = cables(tree)
    lower, upper = first_switch + between.lower, first_switch + between.upper
    ends = [(gpu, nvswitch), (nvswitch, gpu), (gpu, nic_of_gpu), (nic_of_gpu, gpu), (nic, leaf), (leaf, nic)]
    ends += [(lower, upper), (upper, lower)]
    inside, port = np.full(gpus, -1), tree.endpoint_plane
    plane = [inside, inside, inside, inside, port, port, between.plane, between.plane]
    host_tier, leaf_tier = np.zeros(gpus), np.ones(endpoints)
    tier = [host_tier] * 4 + [leaf_tier] * 2 + [between.upper_tier] * 2
    return (
        np.concatenate([source for source, _ in ends]).astype(np.int32),
        np.concatenate([target for _, target in ends]).astype(np.int32),
        np.repeat(np.arange(len(ends), dtype=np.int8), [source.size for source, _ in ends]),
        np.concatenate(plane).astype(np.int16),
        np.concatenate(tier).astype(np.int8),
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
