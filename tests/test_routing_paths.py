"""Closed-form paths against graph search, shares against path counting, trunks against cables."""

import itertools
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from fabrics import fabric
from netsim.errors import NetsimError
from netsim.network.maxmin import maxmin_rates
from netsim.routing import KINDS, PathTable, paths
from netsim.routing.hashing import mix
from netsim.routing.paths import Leg, as_table
from netsim.routing.steps import undivided
from netsim.specs import Routing
from netsim.topologies import FAMILIES, LinkKind, Topology, to_networkx

ROUTINGS: list[Routing] = ["adaptive", "ecmp", "static"]
#: small switches make all tiers, parallel cables and uneven last leaves appear with few GPUs
SMALL = [
    ("mpft", 96, {"switch.radix": 8}),
    ("mpft", 200, {"switch.radix": 16}),
    ("mrft", 72, {"switch.radix": 16}),
    ("mrft", 128, {"switch.radix": 16}),
    ("mrft", 200, {"switch.radix": 16, "tiers": 3, "oversubscription": [1, 1]}),
    ("rail_only", 128, {"switch.radix": 16}),
    ("ft2", 72, {"switch.radix": 16}),
    ("ft2", 96, {"switch.radix": 16, "oversubscription": 3}),
    ("ft3", 88, {"switch.radix": 8}),
    ("ft3", 128, {"switch.radix": 8}),
    ("ft3", 200, {"switch.radix": 16, "oversubscription": [3, 1]}),
]


def random_pairs(gpus: int, flows: int = 60) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(gpus)
    return rng.integers(gpus, size=flows), rng.integers(gpus, size=flows)


def rates(table: PathTable) -> NDArray[np.float64]:
    return maxmin_rates(table.capacity, table.ptr, table.link_ids, table.share)[0]


def allowed_graph(t: Topology, source: int, target: int) -> nx.MultiDiGraph:
    """Links that a flow may use: scale-up in the source's host only, and only where there is no other way."""
    graph = to_networkx(t)
    tree = t.structure
    one_plane = tree.endpoint_plane[source] == tree.endpoint_plane[target]
    keep = set()
    if source // 8 == target // 8:
        keep = {"scale_up_tx", "scale_up_rx"}
    elif not one_plane:
        keep = {"scale_up_tx", "scale_up_rx", "pcie_tx", "pcie_rx", "port_tx", "port_rx", "up", "down"}
        # forwarded by the GPU with the target's index in the source's host, never in another host
        proxy = source // 8 * 8 + target % 8
        others = [g for g in range(t.gpus) if g not in (source, target, proxy)]
        graph.remove_nodes_from([*others, t.gpus + target // 8])
    else:
        keep = {"pcie_tx", "pcie_rx", "port_tx", "port_rx", "up", "down"}
    graph.remove_edges_from(
        [(u, v, k) for u, v, k, d in graph.edges(keys=True, data=True) if d["kind"] not in keep]
    )
    return graph


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
@pytest.mark.parametrize("routing", ["ecmp", "static"])
def test_a_single_path_is_a_shortest_path(
    family: str, gpus: int, overrides: dict[str, Any], routing: Routing
) -> None:
    t = fabric(family, gpus, overrides)
    source, target = random_pairs(gpus, 30)
    table = paths(t, routing, source, target, 7)
    assert (table.share == 1).all()
    for f, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        links = table.path(f)
        nodes = [int(t.link_src[links[0]]), *t.link_dst[links].tolist()]
        assert (nodes[0], nodes[-1]) == (a, b)
        assert (t.link_src[links[1:]] == t.link_dst[links[:-1]]).all()
        if a != b:
            assert len(links) == nx.shortest_path_length(allowed_graph(t, a, b), a, b)
        assert table.latency_s[f] == pytest.approx(t.latency_s[links].sum())


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
def test_spray_is_equal_over_all_minimal_paths(family: str, gpus: int, overrides: dict[str, Any]) -> None:
    t = fabric(family, gpus, overrides)
    source, target = random_pairs(gpus, 12)
    table = paths(t, "adaptive", source, target, 0, trunks=False)
    for f, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        if a == b:
            continue
        graph = allowed_graph(t, a, b)
        count: Counter[int] = Counter()
        total = 0
        for nodes in nx.all_shortest_paths(nx.DiGraph(graph), a, b):
            steps = [list(graph[u][v]) for u, v in itertools.pairwise(nodes)]
            ways = int(np.prod([len(step) for step in steps]))
            total += ways
            for step in steps:
                for link in step:
                    count[link] += ways // len(step)
        part = slice(table.ptr[f], table.ptr[f + 1])
        found = dict(zip(table.link_ids[part].tolist(), table.share[part].tolist(), strict=True))
        assert found == pytest.approx({link: ways / total for link, ways in count.items()})


@pytest.mark.parametrize("family", ["mpft_ideal", "hpn"])
@pytest.mark.parametrize("routing", ROUTINGS)
def test_a_flow_over_all_planes_is_a_path_in_each(family: str, routing: Routing) -> None:
    t = fabric(family, 128, {"switch.radix": 16})
    source, target = random_pairs(128, 30)
    apart = source // 8 != target // 8
    table = paths(t, routing, source[apart], target[apart], 3, trunks=False)
    plane = t.link_plane[table.link_ids]
    flow = np.repeat(np.arange(table.n_flows), np.diff(table.ptr))
    tx = table.kind[table.link_ids] == LinkKind.PORT_TX
    for p in range(t.planes):
        assert np.bincount(flow[tx & (plane == p)], table.share[tx & (plane == p)]) == pytest.approx(
            1 / t.planes
        )
    assert rates(table).max() <= 44.8e9 * (1 + 1e-9)


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "custom"])
@pytest.mark.parametrize("gpus", [8, 72, 520, 2048])
def test_shares_of_each_kind_sum_to_the_flow(family: str, gpus: int, routing: Routing) -> None:
    t = fabric(family, gpus)
    source, target = random_pairs(gpus)
    for trunks in (True, False):
        table = paths(t, routing, source, target, 3, trunks=trunks)
        flow = np.repeat(np.arange(60), np.diff(table.ptr))
        total = np.zeros((60, len(KINDS)))
        np.add.at(total, (flow, table.kind[table.link_ids]), table.share)
        local = source // 8 == target // 8
        assert total[~local][:, [2, 3, 4, 5]] == pytest.approx(1)
        assert total[local][:, :2] == pytest.approx(1)
        if t.structure.__class__.__name__ != "Tree":
            continue  # no up and down: see test_routing_direct.py
        # as much goes up as comes down, over cables or trunks, once a tier
        climbs = total[:, LinkKind.UP] + total[:, KINDS.index("trunk_up")]
        falls = total[:, LinkKind.DOWN] + total[:, KINDS.index("trunk_down")]
        assert climbs == pytest.approx(falls)
        assert climbs.round(9).max() <= t.tiers - 1
        assert (table.link_kind[table.link_ids] == np.array(KINDS)[table.kind[table.link_ids]]).all()


@pytest.mark.parametrize(("family", "gpus", "overrides"), [row for row in SMALL if row[0] != "rail_only"])
def test_trunks_give_the_rates_of_cables(family: str, gpus: int, overrides: dict[str, Any]) -> None:
    t = fabric(family, gpus, overrides)
    source, target = random_pairs(gpus, 6 * gpus)
    slow = t.capacity_bytes_per_s.copy()
    slow[t.first(LinkKind.UP) :] /= 4  # so that the fabric, not the NIC, is what binds
    trunk, cable = (paths(t, "adaptive", source, target, 0, trunks=k, capacity=slow) for k in (True, False))
    assert trunk.link_ids.size < cable.link_ids.size
    assert (trunk.kind[maxmin_bounds(trunk)] >= len(LinkKind)).any()
    assert rates(trunk) == pytest.approx(rates(cable), rel=1e-9)


def maxmin_bounds(table: PathTable) -> NDArray[np.int64]:
    return maxmin_rates(table.capacity, table.ptr, table.link_ids, table.share)[1]


def test_a_degraded_cable_opens_its_trunk_only() -> None:
    t = fabric("ft3", 2048)
    everyone = np.arange(2048)
    slow = t.capacity_bytes_per_s.copy()
    hurt = t.first(LinkKind.UP) + 5  # a cable of leaf 0
    slow[hurt] /= 10
    trunk, cable = (
        paths(t, "adaptive", everyone, (everyone + 1024) % 2048, 0, trunks=k, capacity=slow)
        for k in (True, False)
    )
    used = np.unique(trunk.link_ids[trunk.kind[trunk.link_ids] == LinkKind.UP]) - t.first(LinkKind.UP)
    assert used.tolist() == list(range(32))  # the cables of leaf 0
    found = rates(trunk)
    assert found == pytest.approx(rates(cable), rel=1e-9)
    # 32 flows leave leaf 0, each with 1/32 on the slow cable of 5 GB/s: the spray is blind, so 5 GB/s a flow
    assert found[:32] == pytest.approx(np.full(32, 5e9))
    assert found[32:] == pytest.approx(np.full(2016, 44.8e9))


def test_trunks_name_their_cables() -> None:
    t = fabric("ft3", 2048)
    table = paths(t, "adaptive", [0], [2047], 0)
    ups, downs = t.links(LinkKind.UP), t.links(LinkKind.DOWN)
    half = table.trunk_size.size // 2
    for part, links in ((slice(0, half), ups), (slice(half, None), downs)):
        first, size = table.trunk_first[part], table.trunk_size[part]
        assert first[0] == links.start
        assert (first[1:] == first[:-1] + size[:-1]).all()
        assert first[-1] + size[-1] == links.stop
    assert (table.capacity[t.n_links :] == table.trunk_size * 50e9).all()


@pytest.mark.parametrize(
    ("family", "gpus", "radix"), [("mpft", 2048, 32), ("mrft", 512, 64), ("ft2", 512, 64), ("ft3", 512, 16)]
)
def test_ecmp_spreads_evenly(family: str, gpus: int, radix: int) -> None:
    t = fabric(family, gpus, {"switch.radix": radix})
    rng = np.random.default_rng(5)
    source, target = rng.integers(gpus, size=(2, 300_000))
    table = paths(t, "ecmp", source, target, 11, flow_key=np.arange(300_000))
    flows = np.bincount(table.link_ids, minlength=t.n_links)
    # a switch picks among all its cables up, and among the parallel ones down
    assert_even(flows, t, LinkKind.UP, t.link_src)
    assert_even(flows, t, LinkKind.DOWN, t.link_src.astype(np.int64) * t.n_nodes + t.link_dst)


def assert_even(flows: NDArray[np.int64], t: Topology, kind: LinkKind, chooser: NDArray[Any]) -> None:
    """Chi-squared of the flows on each cable given those of its chooser."""
    links = t.links(kind)
    found = flows[links.start : links.stop]
    _, group, size = np.unique(chooser[links.start : links.stop], return_inverse=True, return_counts=True)
    mean = (np.bincount(group, weights=found) / size)[group]
    assert mean.min() > 5
    freedom = found.size - size.size
    assert freedom > 0  # somebody has a choice
    # chi-squared has mean n and variance 2n: five standard deviations either side
    assert abs(((found - mean) ** 2 / mean).sum() - freedom) < 5 * np.sqrt(2 * freedom)


def test_hash_is_splitmix64() -> None:
    # the first outputs of the reference generator for seed 0, each from the state before
    golden = 0x9E3779B97F4A7C15
    second_state = golden - 2**64  # as a signed word
    assert int(mix(0)[0]) == 0xE220A8397B1DCDAF
    assert int(mix(second_state)[0]) == 0x6E789E6AA1B965F4


def test_ecmp_depends_on_seed_pair_and_key_only() -> None:
    t = fabric("ft3", 2048)
    source, target = random_pairs(2048, 400)
    key = np.arange(400)
    table = paths(t, "ecmp", source, target, 1, key)
    order = np.random.default_rng(0).permutation(400)
    shuffled = paths(t, "ecmp", source[order], target[order], 1, key[order])
    assert all((table.path(f) == shuffled.path(n)).all() for n, f in enumerate(order))
    for other in (
        paths(t, "ecmp", source, target, 2, key),
        paths(t, "ecmp", source, target, 1, key + 1),
        paths(t, "ecmp", target, source, 1, key),
    ):
        assert (table.link_ids[: other.link_ids.size] != other.link_ids[: table.link_ids.size]).any()
    again = paths(t, "ecmp", source, target, 1, key)
    assert (table.link_ids == again.link_ids).all()


def test_queue_pairs_split_a_flow_over_hashed_paths() -> None:
    t = fabric("ft2", 2048)
    table = paths(t, "ecmp", [0, 0, 3], [1000, 1, 3], 0, queue_pairs=8)
    first = dict(zip(table.path(0).tolist(), table.share[: table.ptr[1]].tolist(), strict=True))
    ups = {link: share for link, share in first.items() if t.link_kind[link] == LinkKind.UP}
    assert sum(ups.values()) == pytest.approx(1)
    assert 4 <= len(ups) <= 8  # eight draws from 32
    assert [t.link_kind[link] for link in list(first)[:2]] == [LinkKind.PCIE_TX, LinkKind.PORT_TX]
    assert len(table.path(1)) == len(table.path(2)) == 2
    assert np.unique(table.link_ids[table.ptr[0] : table.ptr[1]]).size == table.ptr[1]
    single = paths(t, "ecmp", [0, 0, 3], [1000, 1, 3], 0, queue_pairs=1)
    assert (table.latency_s == single.latency_s).all()


@pytest.mark.parametrize("shift", [8, 24, 72, 1000])
@pytest.mark.parametrize(
    ("family", "gpus", "radix"),
    [
        ("ft2", 512, 32),
        ("mrft", 512, 32),
        ("mpft", 4096, 32),
        ("ft3", 1024, 16),
        # half of it: parallel cables
        ("ft2", 256, 32),
        ("mrft", 256, 32),
        ("mpft", 2048, 32),
        ("ft3", 512, 16),
    ],
)
def test_static_routing_never_collides_on_a_shift(family: str, gpus: int, radix: int, shift: int) -> None:
    # destination mod k is contention-free for shifts of the endpoints of a tree of full leaves (Zahavi 2012)
    t = fabric(family, gpus, {"switch.radix": radix})
    tree = t.structure
    order = np.lexsort((tree.endpoint_position, tree.endpoint_plane))  # leaf by leaf
    target = np.roll(order.reshape(t.planes, -1), -shift, axis=1).ravel()
    table = paths(t, "static", order, target, 0)
    crossing = table.link_ids[np.isin(table.kind[table.link_ids], [LinkKind.UP, LinkKind.DOWN])]
    assert crossing.size > 0
    assert np.bincount(crossing).max() == 1


def test_static_paths_to_one_endpoint_meet() -> None:
    t = fabric("ft3", 2048)
    table = paths(t, "static", np.arange(0, 1024), np.full(1024, 2047), 0)
    downs = table.link_ids[table.kind[table.link_ids] == LinkKind.DOWN]
    assert np.unique(downs).size == 2  # one cable from the core, one from the spine


def test_within_a_host() -> None:
    t = fabric("mpft", 64)
    table = paths(t, "adaptive", [3, 5], [6, 5], 0)
    rx = t.first(LinkKind.SCALE_UP_RX)
    assert table.path(0).tolist() == [3, rx + 6]
    assert table.path(1).tolist() == [5, rx + 5]  # a copy to itself crosses both of its links
    assert table.latency_s == pytest.approx([3.33e-6, 3.33e-6])


def test_between_planes_the_source_host_forwards() -> None:
    t = fabric("mpft", 64)
    table = paths(t, "adaptive", [3], [14], 0)  # GPU 3 of host 0 to GPU 6 of host 1, by GPU 6 of host 0
    first = {kind: t.first(kind) for kind in LinkKind}
    assert table.path(0).tolist() == [
        first[LinkKind.SCALE_UP_TX] + 3,
        first[LinkKind.SCALE_UP_RX] + 6,
        first[LinkKind.PCIE_TX] + 6,
        first[LinkKind.PORT_TX] + 6,
        first[LinkKind.PORT_RX] + 14,
        first[LinkKind.PCIE_RX] + 14,
    ]
    assert table.latency_s == pytest.approx([2.8e-6 + 3.33e-6])


@pytest.mark.parametrize("routing", ROUTINGS)
def test_no_flows(routing: Routing) -> None:
    table = paths(fabric("ft3", 2048), routing, [], [], 0)
    assert (table.n_flows, table.link_ids.size) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"src_gpu": [64]}, "no such GPU"),
        ({"dst_gpu": [-1]}, "no such GPU"),
        ({"queue_pairs": 2}, "queue_pairs = 2 has no effect with adaptive routing"),
        ({"capacity": np.zeros(1)}, "link 0 has no capacity"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"routing": "adaptive", "src_gpu": [0], "dst_gpu": [1], "seed": 0} | arguments
    with pytest.raises(NetsimError, match=message):
        paths(fabric("ft2", 64), **call)


def test_steps_become_rows_in_the_order_of_the_steps() -> None:
    """Row 0: link 7 at 2 s, then links 5 and 6 with a half each at 1 s; row 1 nothing; row 2: link 8, then link 9."""
    topology = fabric("ft2", 16, {"switch.radix": 8})
    legs = [
        Leg(np.array([2, 0]), np.array([8, 7]), undivided(2), 2.0),
        Leg(np.array([0, 2, 0]), np.array([5, 9, 6]), np.array([0.5, 1.0, 0.5]), 1.0),
    ]
    table = as_table(topology, legs, 3, topology.capacity_bytes_per_s)
    assert table.ptr.tolist() == [0, 3, 3, 5]
    assert table.link_ids.tolist() == [7, 5, 6, 8, 9]
    assert table.share.tolist() == [1.0, 0.5, 0.5, 1.0, 1.0]
    assert table.latency_s.tolist() == [3.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("family", "routing", "whole"),
    [
        ("ft2", "static", True),
        ("mrft", "adaptive", True),
        ("mpft_ideal", "static", False),
        ("ft2", "ecmp", True),
    ],
)
def test_flows_that_are_sent_whole_hold_no_column_of_ones(family: str, routing: Routing, whole: bool) -> None:
    topology = fabric(family, 64, {"switch.radix": 16})
    table = paths(topology, routing, np.arange(63), np.arange(1, 64), seed=0)
    assert (table.share == 1).all() == whole
    assert (table.share.strides == (0,)) == whole
