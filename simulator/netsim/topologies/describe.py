"""A fabric in numbers for people: counts, oversubscription, idle latency; and as a networkx graph.

Idle latency of a path is the endpoint overhead once, a hop for each switch crossed, and the scale-up latency
when the path is forwarded inside a host. Calibrated on table 5 of arXiv 2505.09343, 64 B messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.topologies.checks import oversubscription
from netsim.topologies.graph import LINK_KINDS, TIERS, NodeKind, Topology

if TYPE_CHECKING:
    import networkx


def summary(topology: Topology) -> dict[str, Any]:
    """The `topology` part of a result: what was built, in use, not the most it could be."""
    return {
        "name": topology.name,
        "family": topology.family,
        "gpus": topology.gpus,
        "endpoints": topology.endpoints,
        "nic_ports": topology.nic_ports,
        "planes": topology.planes,
        "tiers": topology.tiers,
        "switches": topology.switches,
        "switches_by_tier": switches_by_tier(topology),
        "switch_links": topology.switch_links,
        "oversubscription": list(oversubscription(topology)),
        "radix": topology.radix,
    }


def switches_by_tier(topology: Topology) -> dict[str, int]:
    """Switches in use, by the name of their tier."""
    tier = topology.node_tier[topology.first_switch :]
    return {TIERS[t]: int((tier == t).sum()) for t in range(1, topology.tiers + 1)}


def latency_us(topology: Topology) -> dict[str, float | None]:
    """Idle latency in microseconds between GPUs, None where no two GPUs are so placed.

    same_host : over scale-up; same_leaf : under one switch; cross_leaf : the nearest beyond it (over a spine, or
    to a neighbour); cross_pod : over a core; cross_plane : forwarded inside a host, then under one leaf;
    worst : of any two GPUs, on a shortest path
    """
    latency, scale_up = topology.spec.latency, topology.hardware.scale_up.latency
    over = {hops: latency.endpoint + hops * latency.switch_hop for hops in topology.switch_hops}
    beyond = [seconds for hops, seconds in over.items() if hops > 1]
    forwards = topology.planes > 1 and topology.nic_ports == 1
    shared = _hosts_meet(topology)
    found = {
        "same_host": scale_up if topology.gpus_per_host > 1 else None,
        "same_leaf": over[1] if shared else None,
        "cross_leaf": beyond[0] if beyond else None,
        "cross_pod": over[5] if topology.tiers >= 3 else None,
        "cross_plane": over[1] + scale_up if forwards and shared else None,
    }
    longest = over[topology.switch_hops[-1]] + (scale_up if forwards else 0.0)
    found["worst"] = max(longest if topology.hosts > 1 else 0.0, found["same_host"] or 0.0)
    return {name: None if seconds is None else round(seconds * 1e6, 6) for name, seconds in found.items()}


def _hosts_meet(topology: Topology) -> bool:
    """Whether two hosts have NICs on one switch."""
    switch = topology.endpoint_switch
    host = np.arange(topology.endpoints) // (topology.endpoints // topology.hosts)
    hosts_of = np.unique(switch * topology.hosts + host) // topology.hosts
    return bool((np.diff(hosts_of) == 0).any())


def to_networkx(topology: Topology) -> networkx.MultiDiGraph:
    """The graph with nodes by id, edges keyed by link id, and their columns as attributes."""
    import networkx as nx

    graph = nx.MultiDiGraph(name=topology.name)
    for node in range(topology.n_nodes):
        graph.add_node(
            node,
            kind=NodeKind(topology.node_kind[node]).name.lower(),
            tier=TIERS[topology.node_tier[node]],
            plane=int(topology.node_plane[node]),
        )
    columns = (topology.link_src, topology.link_dst, topology.link_kind, topology.capacity_bytes_per_s)
    rows = zip(*(column.tolist() for column in columns), topology.latency_s.tolist(), strict=True)
    for link, (source, target, kind, capacity, latency) in enumerate(rows):
        graph.add_edge(
            source,
            target,
            key=link,
            kind=LINK_KINDS[kind],
            capacity_bytes_per_s=capacity,
            latency_s=latency,
            nominal_bytes_per_s=float(topology.nominal_bytes_per_s[link]),
        )
    return graph
