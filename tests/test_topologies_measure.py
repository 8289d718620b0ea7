"""Bisection against maximum flow on the whole graph, disjoint paths against edge connectivity, and faults."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from fabrics import fabric
from netsim.topologies import LinkKind, NodeKind, Topology
from netsim.topologies.measure import (
    bisection,
    disjoint_paths,
    faults,
    line_rate,
    permutation_bound,
    ports_by_tier,
)

SMALL: list[tuple[str, int, dict[str, Any]]] = [
    ("mpft", 128, {"switch.radix": 8}),
    ("mpft", 96, {"switch.radix": 8, "planes": 4}),
    ("mpft_ideal", 64, {"switch.radix": 16}),
    ("hpn", 120, {"switch.radix": 16}),
    ("rail_only", 128, {"switch.radix": 16}),
    ("mrft", 200, {"switch.radix": 16, "tiers": 3, "oversubscription": [3, 1]}),
    ("ft2", 104, {"switch.radix": 16, "oversubscription": 3}),
    ("ft3", 128, {"switch.radix": 8}),
    ("ft3", 200, {"switch.radix": 16, "oversubscription": [2, 2]}),
    ("slim_fly", 200, {"slim_fly.q": 5, "switch.radix": 12}),
    ("dragonfly", 72, {"dragonfly.endpoints": 2, "dragonfly.switches": 4, "dragonfly.global_cables": 2}),
    ("torus", 200, {"torus.endpoints": 4, "torus.cables": 1}),
]


def flow_between_halves(t: Topology) -> float:
    """Over every NIC port and cable, none merged by symmetry."""
    graph = nx.DiGraph()
    for link in range(t.first(LinkKind.PORT_TX), t.n_links):
        a, b = int(t.link_src[link]), int(t.link_dst[link])
        rate = float(t.nominal_bytes_per_s[link])
        if graph.has_edge(a, b):
            rate += graph.edges[a, b]["capacity"]
        graph.add_edge(a, b, capacity=rate)
    nics = np.flatnonzero(t.node_kind == NodeKind.NIC)
    for n, nic in enumerate(nics.tolist()):
        first = n // (t.nics // t.hosts) < t.hosts // 2
        graph.add_edge(*(("from", nic) if first else (nic, "to")))
    return float(nx.maximum_flow_value(graph, "from", "to"))


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
def test_bisection_is_the_maximum_flow(family: str, gpus: int, overrides: dict[str, Any]) -> None:
    t = fabric(family, gpus, overrides)
    found = bisection(t)
    assert found.exact
    assert found.bytes_per_s == pytest.approx(flow_between_halves(t), rel=1e-9)


@pytest.mark.parametrize("family", ["mpft", "mrft", "ft2", "ft3", "mpft_ideal", "hpn", "rail_only"])
def test_a_tree_without_oversubscription_has_full_bisection(family: str) -> None:
    t = fabric(family, 2048)
    assert bisection(t).bytes_per_s == 1024 * 50e9
    assert permutation_bound(t) == 1.0


def test_oversubscription_divides_the_bisection() -> None:
    # radix 64 at 3:1: 48 endpoints a leaf; 768 GPUs are 16 full leaves, 8 on each side
    t = fabric("ft2", 768, {"oversubscription": 3})
    assert bisection(t).bytes_per_s == 8 * 16 * 50e9
    assert permutation_bound(t) == pytest.approx(1 / 3)


def test_a_torus_is_cut_twice() -> None:
    # 8 x 4 x 4 with 8 cables: halves along the side of 8 meet at two faces of 4 x 4 switches
    t = fabric("torus", 2048)
    assert bisection(t).bytes_per_s == 2 * 16 * 8 * 50e9
    # by the cables: 3,072 two-way cables, antipodes 8 hops away
    assert permutation_bound(t) == pytest.approx(min(256 / 1024, 2 * 3072 / (2048 * 8)))


@pytest.mark.parametrize(("family", "gpus", "overrides"), [r for r in SMALL if r[0] not in ("rail_only",)])
def test_disjoint_paths_against_edge_connectivity(family: str, gpus: int, overrides: dict[str, Any]) -> None:
    t = fabric(family, gpus, overrides)
    graph = nx.Graph()
    for link in t.links(LinkKind.UP):
        a, b = int(t.link_src[link]), int(t.link_dst[link])
        graph.add_edge(a, b, capacity=graph.get_edge_data(a, b, {"capacity": 0})["capacity"] + 1)
    holders = np.unique(t.endpoint_switch[t.endpoint_plane == 0]) + t.first_switch
    lowest = min(nx.maximum_flow_value(graph, int(holders[0]), int(other)) for other in holders[1:])
    lowest = min(lowest, *(nx.maximum_flow_value(graph, int(holders[-1]), int(o)) for o in holders[:-1]))
    assert disjoint_paths(t) == lowest


def test_ports_of_2048_gpus() -> None:
    assert ports_by_tier(fabric("mpft", 2048)) == {
        "leaf": {"switches": 64, "ports": 4096, "used": 4096, "free": 0},
        "spine": {"switches": 32, "ports": 2048, "used": 2048, "free": 0},
    }
    assert line_rate(fabric("mpft_ideal", 64)) == line_rate(fabric("mpft", 64)) == 64 * 50e9


def test_what_a_fault_takes() -> None:
    rows = {row["failed"]: row for row in faults(fabric("mpft", 2048))}
    assert rows["NIC link"]["nics_cut_off"] == 1
    assert rows["leaf switch"]["nics_cut_off"] == 32
    assert rows["spine switch"]["capacity_lost"] == 1 / 32
    assert (rows["plane"]["nics_cut_off"], rows["plane"]["capacity_lost"]) == (256, 1 / 8)
    ideal = {row["failed"]: row for row in faults(fabric("mpft_ideal", 2048))}
    assert (ideal["plane"]["nics_cut_off"], ideal["plane"]["nics_slowed"]) == (0, 2048)
