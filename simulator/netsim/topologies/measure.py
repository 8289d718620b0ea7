"""What a built fabric can do, from its structure: ports, bisection, disjoint paths, a bound on any permutation.

bisection      what the first half of the hosts can send to the second at once, one direction: the maximum flow between
               their NICs. In a list of cables the order of hosts says nothing, so the least of several halves counts:
               those along the weakest directions of the fabric (`topologies.halves`). Trees have a closed form: on the
               way up, every switch first serves what it can below itself (a greedy that is optimal on a tree, and a
               fat-tree is one when its parallel switches are one). Other graphs are solved as a maximum flow over
               switches while they have few, else the capacity of the cables between the halves bounds it, and `exact`
               is false.
permutation    an upper bound on the part of its line rate that every NIC gets when each sends to one other far
               away: by the bisection, and by the capacity of all cables over what a flow at the diameter takes.

Left out: how well a routing reaches the bounds. Source of the second bound: Namyar et al., "A throughput-centric
view of the performance of datacenter topologies", SIGCOMM 2021.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.topologies.checks import ports_used
from netsim.topologies.graph import TIERS, LinkKind, Topology
from netsim.topologies.halves import other_halves
from netsim.topologies.tree import Tree

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_FLOW_SWITCHES = 700  # more switches than this are bounded by a cut


class Bisection(NamedTuple):
    """Bytes/s between the halves of the hosts, one direction; whether it is a maximum flow or a bound."""

    bytes_per_s: float
    exact: bool


def ports_by_tier(topology: Topology) -> dict[str, dict[str, int]]:
    """Switches, ports, ports in use and free ports of each tier."""
    used, tier = ports_used(topology), topology.node_tier[topology.first_switch :]
    found = {}
    for t in range(1, topology.tiers + 1):
        switches, mine = int((tier == t).sum()), int(used[tier == t].sum())
        ports = switches * topology.radix
        found[TIERS[t]] = {"switches": switches, "ports": ports, "used": mine, "free": ports - mine}
    return found


def disjoint_paths(topology: Topology) -> int:
    """Paths without a common cable between the switches of two NICs that do not share one; 0 with one switch."""
    if topology.switches == topology.planes:
        return 0
    ups = topology.links(LinkKind.UP)
    ends = np.concatenate([topology.link_src[ups.start : ups.stop], topology.link_dst[ups.start : ups.stop]])
    degree = np.bincount(ends - topology.first_switch, minlength=topology.switches)
    return int(degree[np.unique(topology.endpoint_switch)].min())


def line_rate(topology: Topology) -> float:
    """Bytes/s of all NICs together."""
    ports = topology.links(LinkKind.PORT_TX)
    return float(topology.nominal_bytes_per_s[ports.start : ports.stop].sum())


def permutation_bound(topology: Topology) -> float:
    """Part of its line rate that a NIC gets at most in the worst permutation."""
    if topology.hosts < 2:
        return 1.0
    total, bounds = line_rate(topology), [1.0, bisection(topology).bytes_per_s / (line_rate(topology) / 2)]
    hops = topology.switch_hops[-1] - 1
    if hops and topology.switch_links:
        cables = topology.nominal_bytes_per_s[topology.first(LinkKind.UP) :].sum()
        bounds.append(float(cables) / (total * hops))
    return min(bounds)


def bisection(topology: Topology) -> Bisection:
    """What the first half of the hosts can send to the second."""
    per_host = topology.endpoints // topology.hosts
    first = np.arange(topology.endpoints) // per_host < topology.hosts // 2
    ports = topology.links(LinkKind.PORT_TX)
    rate = topology.nominal_bytes_per_s[ports.start : ports.stop]
    count = topology.switches
    send = np.bincount(topology.endpoint_switch, rate * first, minlength=count).astype(np.float64)
    take = np.bincount(topology.endpoint_switch, rate * ~first, minlength=count).astype(np.float64)
    if isinstance(topology.structure, Tree):
        return Bisection(_through_tree(topology, send, take), True)
    lower, upper, capacity = adjacencies(topology)
    if count <= _FLOW_SWITCHES:
        whole = _max_flow(send, take, lower, upper, capacity)
        if topology.family != "custom":
            return Bisection(whole, True)
        halves = [whole, *(_max_flow(*ends, lower, upper, capacity) for ends in other_halves(topology, rate))]
        return Bisection(min(halves), True)
    side = send > 0
    crossing = float(capacity[side[lower] != side[upper]].sum())
    return Bisection(min(crossing, float(send.sum()), float(take.sum())), False)


def adjacencies(topology: Topology) -> tuple[Ints, Ints, Floats]:
    """Pairs of switches with cables, and bytes/s between them one way."""
    ups = topology.links(LinkKind.UP)
    lower = topology.link_src[ups.start : ups.stop].astype(np.int64) - topology.first_switch
    upper = topology.link_dst[ups.start : ups.stop].astype(np.int64) - topology.first_switch
    pair, index = np.unique(lower * topology.switches + upper, return_inverse=True)
    rate = np.bincount(index, topology.nominal_bytes_per_s[ups.start : ups.stop], minlength=pair.size)
    return pair // topology.switches, pair % topology.switches, rate.astype(np.float64)


def _through_tree(topology: Topology, send: Floats, take: Floats) -> float:
    """Matched below each leaf, then each pod, then each plane; what is left climbs as far as the cables let it."""
    tree: Tree = topology.structure
    leaves, port = tree.planes * tree.leaves, topology.spec.switch.port_rate
    uplinks = np.tile(tree.leaf_cables * tree.spines, tree.planes) * port
    pod = (np.arange(tree.planes)[:, None] * tree.pods + tree.leaf_pod).ravel()
    core = np.tile(tree.spine_cables * tree.spines * tree.cores, tree.planes) * port
    plane = np.repeat(np.arange(tree.planes), tree.pods)
    total, send, take = _match(send[:leaves], take[:leaves])
    for above, limit in ((pod, uplinks), (plane, core)):
        send, take = np.minimum(send, limit), np.minimum(take, limit)
        send, take = (np.bincount(above, part).astype(np.float64) for part in (send, take))
        met, send, take = _match(send, take)
        total += met
    return total


def _match(send: Floats, take: Floats) -> tuple[float, Floats, Floats]:
    met = np.minimum(send, take)
    return float(met.sum()), send - met, take - met


def _max_flow(send: Floats, take: Floats, lower: Ints, upper: Ints, capacity: Floats) -> float:
    """Maximum flow from senders to takers over the switches."""
    import networkx as nx

    graph = nx.DiGraph()
    for a, b, rate in zip(lower.tolist(), upper.tolist(), capacity.tolist(), strict=True):
        graph.add_edge(a, b, capacity=rate)
        graph.add_edge(b, a, capacity=rate)
    for switch, (out, into) in enumerate(zip(send.tolist(), take.tolist(), strict=True)):
        graph.add_edge("from", switch, capacity=out)
        graph.add_edge(switch, "to", capacity=into)
    return float(nx.maximum_flow_value(graph, "from", "to"))


def properties(topology: Topology, max_gpus: int) -> dict[str, Any]:
    """All of it as plain values."""
    half = bisection(topology)
    return {
        "ports": ports_by_tier(topology),
        "bisection_GBps": half.bytes_per_s / 1e9,
        "bisection_exact": half.exact,
        "bisection_of_line_rate": half.bytes_per_s / (line_rate(topology) / 2),
        "permutation_bound": permutation_bound(topology),
        "diameter_switches": topology.switch_hops[-1],
        "disjoint_paths": disjoint_paths(topology),
        "max_gpus": max_gpus,
        "faults": faults(topology),
    }


def faults(topology: Topology) -> list[dict[str, Any]]:
    """What one failure takes: NICs that lose everything, NICs that lose a part, and the part of their tier's capacity.

    The largest of each kind; routes around it are assumed.
    """
    whole = topology.nic_ports == 1
    found = [_fault("NIC link", 1, whole, 1 / topology.endpoints)]
    if topology.switch_links:
        found.append(_fault("switch link", 0, whole, 1 / topology.switch_links))
    tier = topology.node_tier[topology.first_switch :]
    below = np.bincount(topology.endpoint_switch, minlength=topology.switches)
    for t in range(1, topology.tiers + 1):
        mine = tier == t
        found.append(_fault(f"{TIERS[t]} switch", int(below[mine].max()), whole, 1 / int(mine.sum())))
    if topology.planes > 1:
        nics = int(np.bincount(topology.endpoint_plane).max())
        found.append(_fault("plane", nics, whole, 1 / topology.planes))
    return found


def _fault(what: str, nics: int, whole: bool, capacity: float) -> dict[str, Any]:
    return {
        "failed": what,
        "nics_cut_off": nics if whole else 0,
        "nics_slowed": 0 if whole else nics,
        "capacity_lost": capacity,
    }
