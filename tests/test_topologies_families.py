"""Every listed family, at many sizes: counting identities, closed forms, graph search, and clear refusals."""

import itertools
import time
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest

from fabrics import H800, fabric, spec_of
from netsim.errors import SpecError
from netsim.routing import paths
from netsim.specs import HardwareSpec, load
from netsim.topologies import (
    CHECKS,
    FAMILIES,
    CheckError,
    LinkKind,
    NodeKind,
    Topology,
    build,
    check,
    latency_us,
    max_gpus,
    oversubscription,
    ports_used,
    summary,
    to_networkx,
)

#: every family that has sizes of its own; a custom one has the size of its list
BUILT = [name for name in FAMILIES if name != "custom"]
TREES = [name for name in FAMILIES if name not in ("slim_fly", "dragonfly", "torus", "custom")]
SIZES = [8, 16, 64, 72, 256, 264, 520, 1000, 1024, 1032, 2040, 2048]


@pytest.mark.parametrize("gpus", SIZES)
@pytest.mark.parametrize("family", BUILT)
class TestContract:
    def test_counts_add_up(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        found = summary(t)
        assert found["gpus"] == gpus == int((t.node_kind == NodeKind.GPU).sum())
        assert found["endpoints"] == gpus * t.nic_ports == len(t.links(LinkKind.PORT_TX))
        assert t.nics == gpus == int((t.node_kind == NodeKind.NIC).sum())
        assert found["switches"] == sum(found["switches_by_tier"].values())
        assert found["switch_links"] == len(t.links(LinkKind.UP)) == len(t.links(LinkKind.DOWN))
        assert (
            np.bincount(t.link_kind) == [len(t.links(kind)) for kind in LinkKind][: t.link_kind[-1] + 1]
        ).all()

    def test_every_port_is_counted_and_none_is_missing(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        used = ports_used(t)
        assert used.max() <= t.radix
        assert used.min() >= 1
        assert used.sum() == t.endpoints + 2 * t.switch_links

    def test_a_plane_reaches_all_its_endpoints_and_no_other(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        graph = fabric_graph(t)
        if t.nic_ports > 1:  # a NIC is in all planes and would join them
            graph.remove_nodes_from(np.flatnonzero(t.node_kind == NodeKind.NIC).tolist())
        assert (t.endpoint_plane == t.node_plane[t.first_switch + t.endpoint_switch]).all()
        parts = list(nx.weakly_connected_components(graph))
        assert len(parts) == t.planes
        assert {frozenset(t.node_plane[list(part)].tolist()) for part in parts} == {
            frozenset([plane]) for plane in range(t.planes)
        }

    def test_oversubscription_is_kept(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        assert len(oversubscription(t)) == t.tiers - 1
        assert all(found <= 1.0 for found in oversubscription(t))

    def test_every_cable_is_two_links(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        for there, back in [(0, 1), (2, 3), (4, 5), (6, 7)]:
            one, other = t.links(LinkKind(there)), t.links(LinkKind(back))
            assert (t.link_src[one.start : one.stop] == t.link_dst[other.start : other.stop]).all()
            assert (t.link_dst[one.start : one.stop] == t.link_src[other.start : other.stop]).all()

    def test_closed_form_paths_are_shortest_paths(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        graph, nic = fabric_graph(t), t.gpus + t.hosts
        rng = np.random.default_rng(gpus)
        for gpu in rng.integers(gpus, size=4):
            others = rng.integers(gpus, size=40)
            table = paths(t, "ecmp", np.full(40, gpu), others, 0)
            reach = nx.single_source_shortest_path_length(graph, nic + gpu)
            for flow, other in enumerate(others):
                on_fabric = np.isin(t.link_kind[table.path(flow)], np.arange(4, 8)).sum()
                if gpu // 8 == other // 8:
                    assert on_fabric == 0
                elif family == "dragonfly":  # shortest with one cable between groups: see its own tests
                    assert reach[nic + other] <= on_fabric <= 5
                elif nic + other in reach:
                    assert on_fabric == reach[nic + other] * t.nic_ports
                else:  # another plane: from the GPU with the target's index in the source's host
                    proxy = nic + gpu // 8 * 8 + other % 8
                    assert on_fabric == nx.shortest_path_length(graph, proxy, nic + other)

    def test_idle_latency_grows_with_hops(self, family: str, gpus: int) -> None:
        t = fabric(family, gpus)
        rng = np.random.default_rng(1)
        table = paths(t, "static", rng.integers(gpus, size=200), rng.integers(gpus, size=200), 0)
        kinds = [t.link_kind[table.path(f)] for f in range(200)]
        for forwarded in (False, True):
            alike = [f for f, kind in enumerate(kinds) if (kind[0] == LinkKind.SCALE_UP_TX) == forwarded]
            rows = sorted((len(kinds[f]), table.latency_s[f]) for f in alike if len(kinds[f]) > 2)
            assert all(b - a >= -1e-15 for (_, a), (_, b) in itertools.pairwise(rows))
            assert len({hops for hops, _ in rows}) == len({round(s * 1e9) for _, s in rows})
        assert latency_us(t)["worst"] >= round(float(table.latency_s.max() * 1e6), 6)

    def test_arrays_are_read_only(self, family: str, gpus: int) -> None:
        with pytest.raises(ValueError, match="read-only"):
            fabric(family, gpus).capacity_bytes_per_s[0] = 1.0


def fabric_graph(t: Topology) -> nx.MultiDiGraph:
    """NICs and switches only."""
    graph = to_networkx(t)
    graph.remove_nodes_from(np.flatnonzero(t.node_kind < NodeKind.NIC).tolist())
    return graph


@pytest.mark.parametrize(
    ("family", "gpus", "switches", "links"),
    [
        # table 3 of arXiv 2505.09343: columns FT2, MPFT, FT3
        ("ft2", 2048, 96, 2048),
        ("mpft", 16384, 768, 16384),
        ("ft3", 65536, 5120, 131072),
        # section 5: at 2,048 GPUs MPFT and a two-layer MRFT need the same 96, a three-layer tree 160
        ("mpft", 2048, 96, 2048),
        ("mrft", 2048, 96, 2048),
        ("ft3", 2048, 160, 4096),
        ("ft3", 16384, 1280, 32768),
        # a port in every plane, at a quarter of the rate on the same silicon: 4 x (16 leaves + 8 spines)
        ("mpft_ideal", 2048, 96, 8192),
        # one switch a rail
        ("rail_only", 2048, 8, 0),
        # two planes of 2 segments x 8 rails = 16 leaves and 8 spines
        ("hpn", 2048, 48, 4096),
        # one switch a plane while it has ports, and no spine
        ("mpft", 512, 8, 0),
        ("ft2", 64, 1, 0),
        ("mrft", 64, 1, 0),
        # half a two-tier tree: 32 leaves need 1,024 spine ports, 16 spines
        ("ft2", 1024, 48, 1024),
        ("mrft", 1024, 48, 1024),
        ("ft3", 1024, 48, 1024),
    ],
)
def test_published_counts_and_closed_forms(family: str, gpus: int, switches: int, links: int) -> None:
    found = summary(fabric(family, gpus))
    assert (found["switches"], found["switch_links"]) == (switches, links)


@pytest.mark.parametrize("k", [8, 16, 32])
def test_full_trees_have_the_textbook_counts(k: int) -> None:
    hosts = H800.model_copy(update={"gpus_per_host": 1, "nics_per_host": 1})
    two, three = (
        build(spec_of(f, switch__radix=k), hosts, n) for f, n in (("ft2", k**2 // 2), ("ft3", k**3 // 4))
    )
    assert (two.switches, two.switch_links) == (3 * k // 2, k**2 // 2)
    assert (three.switches, three.switch_links) == (5 * k**2 // 4, k**3 // 2)
    assert (ports_used(three) == k).all()


@pytest.mark.parametrize("family", TREES)
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 3.0, 7.0])
@pytest.mark.parametrize("radix", [8, 24, 64])
def test_any_oversubscription_is_kept_at_odd_sizes(family: str, ratio: float, radix: int) -> None:
    tiers = spec_of(family).tiers
    spec = spec_of(family, switch__radix=radix, oversubscription=[ratio] * (tiers - 1))
    most = max_gpus(spec, H800)
    for gpus in {8, most // 24 * 8, most // 2 // 8 * 8, most - 8, most} - {0}:
        t = build(spec, H800, min(gpus, 4096))
        assert all(found <= ratio + 1e-6 for found in oversubscription(t))
        check(t)


@pytest.mark.parametrize("planes", [1, 2, 4, 8])
def test_planes_of_a_multi_plane_tree_have_the_counts_of_as_many_trees(planes: int) -> None:
    t, plane = fabric("mpft", 2048, planes=planes), fabric("ft2", 2048 // planes)
    assert (t.switches, t.switch_links) == (planes * plane.switches, planes * plane.switch_links)
    assert t.planes == planes
    assert max_gpus(spec_of("mpft", planes=planes), H800) == 2048 * planes


def test_three_layers_of_rails_have_the_switches_of_a_three_layer_tree() -> None:
    rails = spec_of("mrft3")
    assert build(rails, H800, 2048).switches == 160
    assert build(rails, H800, 16384).switches == 1280
    assert max_gpus(rails, H800) == 65536


@pytest.mark.parametrize("family", ["mpft_ideal", "hpn"])
def test_ports_of_a_nic_share_its_rate(family: str) -> None:
    t = fabric(family, 256)
    ports = t.links(LinkKind.PORT_TX)
    assert t.capacity_bytes_per_s[ports.start] * t.nic_ports == pytest.approx(44.8e9)
    assert t.nominal_bytes_per_s[ports.start] * t.nic_ports == pytest.approx(50e9)
    assert (t.endpoint_plane.reshape(-1, t.nic_ports) == np.arange(t.planes)).all()
    table = paths(t, "adaptive", [0], [255], 0)
    used = table.link_ids[table.kind[table.link_ids] == LinkKind.PORT_TX] - ports.start
    assert used.tolist() == list(range(t.nic_ports))  # a part of the flow on each port of GPU 0's NIC
    assert latency_us(t)["cross_plane"] is None


def test_rails_meet_at_leaves() -> None:
    t = fabric("mrft", 512)  # 64 hosts, two units of 32
    tree = t.structure
    host, rail = np.divmod(np.arange(512), 8)
    assert (tree.endpoint_leaf == host // 32 * 8 + rail).all()


def test_a_small_unit_puts_whole_rails_on_a_leaf() -> None:
    t = fabric("mrft", 128)  # 16 hosts on leaves of 32 ports: two rails a leaf
    assert (t.structure.endpoint_leaf == np.arange(128) % 8 // 2).all()
    assert np.bincount(t.structure.endpoint_leaf).tolist() == [32] * 4


def test_nic_of_gpu_i_is_in_plane_i() -> None:
    assert (fabric("mpft", 256).structure.endpoint_plane == np.arange(256) % 8).all()
    assert (fabric("mpft", 256, planes=4).structure.endpoint_plane == np.arange(256) % 4).all()


@pytest.mark.parametrize("nics", [1, 2, 4, 8])
def test_gpus_share_nics(nics: int) -> None:
    hosts = H800.model_copy(update={"nics_per_host": nics})
    t = build(spec_of("mpft", planes=nics), hosts, 256)
    assert t.endpoints == 32 * nics
    table = paths(t, "static", [0, 1, 7], [255, 255, 255], 0)
    kind = t.link_kind[table.link_ids]
    nic = table.link_ids[kind == LinkKind.PORT_TX] - t.first(LinkKind.PORT_TX)
    assert nic.tolist() == [nics - 1] * 3  # the plane of GPU 255's NIC


@pytest.mark.parametrize("family", BUILT)
@pytest.mark.parametrize(("hardware", "gpus"), [("nvl16", 512), ("nvl72", 288)])
def test_larger_scale_up_domains_in_front_of_any_fabric(family: str, hardware: str, gpus: int) -> None:
    host = load(HardwareSpec, "hardware", hardware)
    t = build(spec_of(family), host, gpus)
    assert (t.hosts, t.nics) == (gpus // host.gpus_per_host, gpus)
    table = paths(t, "adaptive", [0, 0], [host.gpus_per_host - 1, gpus - 1], 0)
    inside, outside = (t.link_kind[table.path(f)[[0, -1]]].tolist() for f in range(2))
    assert inside == [LinkKind.SCALE_UP_TX, LinkKind.SCALE_UP_RX]
    assert outside[1] == LinkKind.PCIE_RX


def test_capacities_come_from_the_host_and_the_switch() -> None:
    t = fabric("ft2", 128)
    at = {kind: t.capacity_bytes_per_s[t.first(kind)] / 1e9 for kind in LinkKind}
    assert at[LinkKind.SCALE_UP_TX] == 160.0
    assert at[LinkKind.PCIE_RX] == 55.4
    assert at[LinkKind.PORT_TX] == pytest.approx(44.8)
    assert at[LinkKind.UP] == at[LinkKind.DOWN] == 50.0
    slow = fabric("ft2", 128, switch__port_rate="200 Gb/s")
    assert slow.capacity_bytes_per_s[slow.first(LinkKind.PORT_TX)] == 25e9


def test_latency_of_table_5() -> None:
    # table 5 of arXiv 2505.09343, InfiniBand: 2.8 us under one leaf, 3.7 us across; NVLink 3.33 us
    found = latency_us(fabric("mpft", 2048))
    assert (found["same_leaf"], found["cross_leaf"], found["same_host"]) == (2.8, 3.7, 3.33)
    assert found["worst"] == pytest.approx(3.7 + 3.33)  # another plane and another leaf
    assert latency_us(fabric("ft3", 2048))["worst"] == pytest.approx(2.35 + 5 * 0.45)
    assert latency_us(fabric("ft2", 8))["same_leaf"] is None


@pytest.mark.parametrize(
    ("family", "gpus", "overrides", "message"),
    [
        ("mpft", 2047, {}, "--gpus: gpus = 2047, must be a multiple of the 8 GPUs of a host: 2040 or 2048"),
        ("mpft", 3, {}, "must be a multiple of the 8 GPUs of a host: 8"),
        ("mpft", 0, {}, "--gpus: gpus = 0, must be at least 8, one host"),
        ("mpft", -8, {}, "must be at least 8"),
        ("mrft", 16384, {}, "2 tiers of radix 64 hold 2,048 endpoints, 2,048 GPUs at most"),
        ("ft2", 16384, {}, "switch.radix = 182 would fit"),
        ("mpft", 16392, {}, "2,048 endpoints a plane, 16,384 GPUs at most; switch.radix = 66 would fit"),
        ("ft3", 131072, {}, "65,536 GPUs at most; switch.radix = 82 would fit"),
        ("ft3", 999999999, {}, "65,536 GPUs at most"),
        ("ft2", 999999999, {}, "no radix up to 4096 would fit"),
        ("mpft", 64, {"planes": 3}, "planes = 3, must divide the 8 NICs of a host (h800): 1, 2, 4, 8"),
        ("ft2", 64, {"planes": 2}, "planes = 2, family ft2 is one fabric"),
        ("ft2", 64, {"tiers": 3}, "tiers = 3, family ft2 has 2"),
        ("ft3", 64, {"oversubscription": [2]}, "3 tiers have 2: one for each tier below the top"),
        ("ft2", 64, {"family": "ft4"}, "family = 'ft4', unknown family: did you mean"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    family: str, gpus: int, overrides: dict[str, Any], message: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(SpecError) as error:
        fabric(family, gpus, **overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert time.perf_counter() - start < 5  # refused before anything is allocated


@pytest.mark.parametrize("family", TREES)
@pytest.mark.parametrize("radix", [8, 12, 64])
def test_the_limit_can_be_built_and_is_the_limit(family: str, radix: int) -> None:
    spec = spec_of(family, switch__radix=radix)
    most = max_gpus(spec, H800)
    assert build(spec, H800, most).gpus == most
    with pytest.raises(SpecError, match="at most"):
        build(spec, H800, most + 8)


def test_the_offered_radix_fits_and_the_one_below_does_not() -> None:
    assert (
        max_gpus(spec_of("ft3", switch__radix=82), H800)
        >= 131072
        > max_gpus(spec_of("ft3", switch__radix=80), H800)
    )


def test_each_check_sees_its_fault() -> None:
    t = fabric("ft2", 256)
    up, down = (t.links(kind) for kind in (LinkKind.UP, LinkKind.DOWN))
    first = slice(up.start, up.start + 20)
    assert not any(rule(t) for rule in CHECKS.values())

    moved = t.link_dst.copy()
    moved[first] = moved[up.start]  # cables of leaf 0 all to its first spine
    assert "uneven" in CHECKS["balanced"](replace(t, link_dst=moved))
    assert "ports of 64" in CHECKS["ports"](replace(t, link_dst=moved))

    source, target = t.link_src.copy(), t.link_dst.copy()
    target[up.start : up.stop] = source[up.start : up.stop]  # every cable back into its own leaf
    source[down.start : down.stop] = target[down.start : down.stop]
    assert "falls into 12 parts" in CHECKS["connected"](replace(t, link_src=source, link_dst=target))

    nominal = t.nominal_bytes_per_s.copy()
    nominal[up.start] /= 2
    slow = replace(t, nominal_bytes_per_s=nominal)
    assert "leaf tier has" in CHECKS["oversubscription"](slow)
    with pytest.raises(CheckError, match="ft2 with 256 GPUs: oversubscription: leaf tier has"):
        check(slow)


def test_131072_gpus_in_seconds() -> None:
    t = fabric("ft3", 131072, switch__radix=128)
    assert (t.switches, t.switch_links) == (5120, 262144)
    columns = (t.link_src, t.link_dst, t.link_kind, t.capacity_bytes_per_s, t.latency_s)
    assert sum(column.nbytes for column in columns) < 100e6
