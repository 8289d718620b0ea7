"""Routes of direct networks: real paths, shortest where they claim it, flows conserved, trunks exact, UGAL's gain."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from fabrics import fabric
from netsim.errors import SpecError
from netsim.network.maxmin import maxmin_rates
from netsim.routing import PathTable, paths
from netsim.specs import Routing
from netsim.topologies import LinkKind, Topology, to_networkx

FLY = {"dragonfly.endpoints": 2, "dragonfly.switches": 4, "dragonfly.global_cables": 2}
SMALL: list[tuple[str, int, dict[str, Any]]] = [
    ("slim_fly", 200, {"slim_fly.q": 5, "switch.radix": 12}),
    ("slim_fly", 200, {"slim_fly.q": 4, "switch.radix": 32}),
    ("slim_fly", 256, {"slim_fly.q": 7, "switch.radix": 26}),
    ("slim_fly", 2048, {}),
    ("dragonfly", 72, FLY),
    ("dragonfly", 32, FLY),
    ("dragonfly", 8, FLY),
    ("dragonfly", 2048, {}),
    ("torus", 96, {"torus.endpoints": 4, "torus.cables": 2}),
    ("torus", 200, {"torus.sides": [4, 2, 7], "torus.endpoints": 4}),
    ("torus", 120, {"torus.sides": [5, 1, 4], "torus.endpoints": 8}),
    ("torus", 2048, {}),
]


def remote_pairs(gpus: int, flows: int = 40) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    source, target = np.random.default_rng(gpus).integers(gpus, size=(2, flows))
    apart = source // 8 != target // 8
    return source[apart], target[apart]


def rates(table: PathTable) -> NDArray[np.float64]:
    return maxmin_rates(table.capacity, table.ptr, table.link_ids, table.share)[0]


def switches_graph(t: Topology) -> nx.DiGraph:
    """Switches, with a cable between groups as long as ten others: the Dragonfly's idea of near."""
    graph = nx.DiGraph(to_networkx(t).subgraph(range(t.first_switch, t.n_nodes)))
    for a, b in graph.edges:
        away = t.family == "dragonfly" and t.node_pod[a] != t.node_pod[b]
        graph.edges[a, b]["length"] = 10 if away else 1
    return graph


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
@pytest.mark.parametrize("routing", ["ecmp", "static"])
def test_a_single_path_is_one(family: str, gpus: int, overrides: dict[str, Any], routing: Routing) -> None:
    t = fabric(family, gpus, overrides)
    source, target = remote_pairs(gpus)
    table = paths(t, routing, source, target, 3)
    assert (table.share == 1).all()
    graph = switches_graph(t)
    for f, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        links = table.path(f)
        nodes = [int(t.link_src[links[0]]), *t.link_dst[links].tolist()]
        assert (nodes[0], nodes[-1]) == (a, b)
        assert (t.link_src[links[1:]] == t.link_dst[links[:-1]]).all()
        shortest = nx.shortest_path_length(graph, nodes[2], nodes[-3], weight="length")
        length = sum(graph.edges[u, v]["length"] for u, v in itertools.pairwise(nodes[2:-2]))
        if family == "dragonfly" and t.structure.groups < 9 and t.structure.groups > 1:
            assert shortest <= length <= 12  # any of several cables between the groups
        else:
            assert length == shortest
        assert table.latency_s[f] == pytest.approx(t.latency_s[links].sum())


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
@pytest.mark.parametrize("routing", ["adaptive", "valiant", "ugal"])
def test_a_sprayed_flow_is_conserved(
    family: str, gpus: int, overrides: dict[str, Any], routing: Routing
) -> None:
    # at every switch, what comes in goes out: one unit from the source's PCIe to the target's
    t = fabric(family, gpus, overrides)
    source, target = remote_pairs(gpus, 12)
    if family != "dragonfly" and routing != "adaptive":
        with pytest.raises(SpecError, match=f"family {family} knows adaptive, ecmp, static"):
            paths(t, routing, source, target, 0)
        return
    table = paths(t, routing, source, target, 0, trunks=False)
    for f, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        links, share = table.path(f), table.share[table.ptr[f] : table.ptr[f + 1]]
        assert np.unique(links).size == links.size
        balance = np.bincount(t.link_dst[links], share, minlength=t.n_nodes)
        balance -= np.bincount(t.link_src[links], share, minlength=t.n_nodes)
        assert balance[[a, b]] == pytest.approx([-1, 1])
        balance[[a, b]] = 0
        assert np.abs(balance).max() < 1e-12
        assert table.latency_s[f] == pytest.approx((t.latency_s[links] * share).sum())


@pytest.mark.parametrize("row", SMALL[:3])
def test_slim_fly_spray_is_equal_over_all_shortest_paths(row: tuple[str, int, dict[str, Any]]) -> None:
    t = fabric(*row)
    source, target = remote_pairs(row[1])
    table = paths(t, "adaptive", source, target, 0, trunks=False)
    graph, parallel = switches_graph(t), t.structure.parallel
    for f, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        ends = (t.first_switch + int(t.endpoint_switch[g]) for g in (a, b))
        ways = list(nx.all_shortest_paths(graph, *ends))
        share = table.share[table.ptr[f] : table.ptr[f + 1]]
        on_cables = share[t.link_kind[table.path(f)] >= LinkKind.UP]
        hops = len(ways[0]) - 1
        assert on_cables.size == len(ways) * hops * parallel
        assert on_cables == pytest.approx(1 / (len(ways) * parallel))


@pytest.mark.parametrize(("family", "gpus", "overrides"), SMALL)
def test_trunks_give_the_rates_of_cables(family: str, gpus: int, overrides: dict[str, Any]) -> None:
    t = fabric(family, gpus, overrides)
    source, target = remote_pairs(gpus, min(3 * gpus, 600))
    slow = t.capacity_bytes_per_s.copy()
    slow[t.first(LinkKind.UP) :] /= 8
    trunk, cable = (
        paths(t, "adaptive", source, target, 0, trunks=keep, capacity=slow) for keep in (True, False)
    )
    assert rates(trunk) == pytest.approx(rates(cable), rel=1e-9)


def test_shift_by_a_group_is_what_ugal_is_for() -> None:
    # p = 2, a = 4, h = 2, g = 9: 8 endpoints a group, all to the next group, over one cable of 50 GB/s
    t = fabric("dragonfly", 72, FLY)
    every = np.arange(72)
    found = {r: rates(paths(t, r, every, (every + 8) % 72, 0)) for r in ("adaptive", "valiant", "ugal")}  # type: ignore[arg-type]
    assert found["adaptive"] == pytest.approx(np.full(72, 50e9 / 8))
    # valiant: 8 units a group, 2 cables each, over 7 others: the cable to each other group carries 8/7 from its own
    # and 8/7 passing on to a next group, less where it is the direct one
    assert found["valiant"].min() > 2 * found["adaptive"].min()
    assert found["ugal"].min() >= found["valiant"].min() * 0.95
    uniform = (every + 8 * np.arange(1, 9)[:, None]) % 72  # one flow to each other group: no need to detour
    minimal, ugal = (paths(t, r, np.tile(every, 8), uniform.ravel(), 0) for r in ("adaptive", "ugal"))  # type: ignore[arg-type]
    assert (minimal.link_ids == ugal.link_ids).all()


def test_ugal_uses_the_other_switches_of_a_group() -> None:
    # 32 switches of 16 endpoints: all of switch 0 to switch 1, 16 x 44.8 GB/s offered to one cable of 50
    t = fabric("dragonfly", 512, {})
    source = np.arange(16)
    minimal, ugal = (rates(paths(t, r, source, source + 16, 0)) for r in ("adaptive", "ugal"))  # type: ignore[arg-type]
    assert minimal == pytest.approx(50e9 / 16)
    assert ugal == pytest.approx(44.8e9)


def test_ecmp_and_seeds() -> None:
    t = fabric("torus", 2048, {})
    source, target = remote_pairs(2048, 400)
    same = [paths(t, "ecmp", source, target, 1).link_ids for _ in range(2)]
    assert (same[0] == same[1]).all()
    assert (same[0] != paths(t, "ecmp", source, target, 2).link_ids[: same[0].size]).any()
