"""Faults on flows: closed forms, conservation of bytes, and stalls that name the culprit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fault_cases import all_to_all, fabric, run_flows
from netsim.faults.draw import part_names
from netsim.faults.history import make_history, resolve
from netsim.specs.faults import parse_fault
from netsim.topologies import LinkKind
from netsim.topologies.graph import NodeKind

MB = 1e6


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("plane", [0, 3])
def test_one_of_eight_planes_costs_an_eighth_of_the_capacity_on_mpft(plane: int, folded: bool) -> None:
    topology, (source, target) = fabric("mpft", 128), all_to_all(128)
    size = np.full(source.size, MB)
    whole = run_flows(topology, source, target, size, [], folded=folded).end_s[0]
    # 120 remote partners, over a NIC of 44.8 GB/s; NVLink has room
    assert whole == pytest.approx(120 * MB / 44.8e9, rel=1e-9)
    less = run_flows(topology, source, target, size, [f"plane {plane} down"], folded=folded).end_s[0]
    assert less / whole == pytest.approx(8 / 7, rel=1e-9)


@pytest.mark.parametrize("planes", [2, 4, 8])
def test_one_of_p_planes_costs_its_part_of_the_capacity_with_a_port_in_each(planes: int) -> None:
    rate = f"{400 // planes} Gb/s"
    topology = fabric("mpft_ideal", 128, planes=planes, switch__port_rate=rate)
    source, target = all_to_all(128)
    size = np.full(source.size, MB)
    whole = run_flows(topology, source, target, size, []).end_s[0]
    less = run_flows(topology, source, target, size, ["plane 1 down"]).end_s[0]
    assert less / whole == pytest.approx(planes / (planes - 1), rel=1e-9)


@pytest.mark.parametrize(("name", "planes"), [("mpft", 8), ("mpft_ideal", 4)])
def test_a_plane_that_goes_half_way_keeps_what_was_sent(name: str, planes: int) -> None:
    topology, (source, target) = fabric(name, 64), all_to_all(64)
    size = np.full(source.size, 100 * MB)
    whole = run_flows(topology, source, target, size, []).end_s[0].item()
    less = run_flows(topology, source, target, size, [f"plane 1 down at {whole / 2!r}s"]).end_s[0]
    assert less == pytest.approx(whole / 2 + whole / 2 * planes / (planes - 1), rel=1e-9)
    back = run_flows(topology, source, target, size, [f"plane 1 down from 0s to {whole / 2!r}s"]).end_s[0]
    assert back == pytest.approx(whole / 2 + whole * (1 - (planes - 1) / planes / 2), rel=1e-9)


@pytest.mark.parametrize("routing", ["adaptive", "ecmp", "static"])
def test_a_cable_that_flaps_delays_a_flow_by_exactly_the_outage(routing: str) -> None:
    topology = fabric("ft2", 128, failover__forwarding=False)
    source, target = np.array([0]), np.array([100])
    size = np.array([44.8e9])  # a second
    for outage in (0.1, 1.0, 7.0):
        ran = run_flows(topology, source, target, size, [f"link host0.0 down at 0.4s for {outage}s"], routing)
        assert ran.end_s[0] == pytest.approx(1 + outage, rel=1e-12)


def test_a_static_table_waits_for_its_recomputation_and_a_short_flap_for_none() -> None:
    topology = fabric("ft2", 128, failover__recompute="0.5 s", failover__detection="0.1 s")
    source, target, size = np.array([0]), np.array([100]), np.array([44.8e9])
    cable = crossed_cable(run_flows(topology, source, target, size, [], "static"))
    good = run_flows(topology, source, target, size, [f"{cable} down at 0.25s"], "static")
    assert good.end_s[0] == pytest.approx(1.6, rel=1e-12)
    adaptive = run_flows(topology, source, target, size, ["switch spine0.0 down at 0.25s"], "adaptive")
    assert adaptive.end_s[0] == pytest.approx(1.1, rel=1e-12)
    flap = run_flows(topology, source, target, size, [f"{cable} down at 0.25s for 0.3s"], "static")
    assert flap.end_s[0] == pytest.approx(1.3, rel=1e-12)


def crossed_cable(ran) -> str:
    """The name of the first cable between switches that flow 0 crosses."""
    from netsim.faults.draw import cable_names

    ups = ran.topology.links(LinkKind.UP)
    link = next(n for n in ran.layers.states.paths[0].path(0).tolist() if n in ups)
    return cable_names(ran.topology)[ran.topology.endpoints + link - ups.start]


@pytest.mark.parametrize("routing", ["adaptive", "ecmp", "static"])
@pytest.mark.parametrize(
    "name", ["mpft", "mpft_ideal", "mrft", "ft2", "ft3", "hpn", "rail_only", "slim_fly", "dragonfly", "torus"]
)
def test_detours_are_paths_that_avoid_what_is_down(name: str, routing: str) -> None:
    topology = fabric(name, 128)
    source, target = all_to_all(128)
    first = next(n for n in part_names(topology, "cable")[topology.endpoints :] or ["nic host0.1"])
    faults = [first + " down", "nic host3.2 down", "nic host5.7 down"]
    ran = run_flows(topology, source, target, np.full(source.size, MB), faults, routing)
    after = ran.layers.states.paths[-1]
    moved = ran.layers.states.moved[-1]
    assert moved.any()
    assert not ran.layers.states.blocked[-1].any()
    lost = np.flatnonzero(ran.history.lost[-1])
    assert not np.isin(after.link_ids[after.link_ids < topology.n_links], lost).any()
    for flow in np.flatnonzero(moved)[:: max(1, moved.sum() // 40)].tolist():
        flows_through(topology, after, flow, int(source[flow]), int(target[flow]))
    assert ran.execution is not None


def flows_through(topology, table, flow: int, source: int, target: int) -> None:
    """Shares of a path are a unit flow from source to target: what enters a node leaves it."""
    net = np.zeros(topology.n_nodes)
    for link, share in zip(table.path(flow), table.share[table.ptr[flow] : table.ptr[flow + 1]], strict=True):
        trunk = link - topology.n_links
        links = [link] if trunk < 0 else table.trunk_first[trunk] + np.arange(table.trunk_size[trunk])
        for each in links:
            net[topology.link_src[each]] -= share / len(links)
            net[topology.link_dst[each]] += share / len(links)
    expected = np.zeros(topology.n_nodes)
    expected[source], expected[target] = -1.0, 1.0
    assert net == pytest.approx(expected, abs=1e-9)


def test_flows_on_live_paths_stay_where_they_are() -> None:
    topology, (source, target) = fabric("ft2", 128), all_to_all(128)
    base = run_flows(topology, source, target, np.full(source.size, MB), [], "ecmp").layers.states.paths[0]
    ran = run_flows(topology, source, target, np.full(source.size, MB), ["switch spine0.0 down"], "ecmp")
    after, moved = ran.layers.states.paths[0], ran.layers.states.moved[0]
    assert 0 < moved.sum() < moved.size
    for flow in np.flatnonzero(~moved).tolist():
        assert after.path(flow).tolist() == base.path(flow).tolist()


def test_a_dead_leaf_takes_whole_hosts_or_one_rail() -> None:
    """NICs side by side on one leaf leave no way out; on rails, 7 of 8 NICs of each host are left."""
    source, target = all_to_all(64)
    size = np.full(source.size, MB)
    stuck = run_flows(
        fabric("ft2", 128), *all_to_all(128), np.full(112 * 128 + 8 * 128, MB), ["switch leaf0.1 down"]
    )
    assert stuck.execution is None
    assert stuck.stalled.startswith("the step stalls: switch leaf0.1 down: ")
    assert " flows have no path left and stand still, the first from host" in stuck.stalled
    # 16 hosts of 8: a rail of all hosts on a leaf
    rails = fabric("mrft", 128, switch__radix=32)
    source, target = all_to_all(128)
    size = np.full(source.size, MB)
    whole, less = (run_flows(rails, source, target, size, f).end_s[0] for f in ([], ["switch leaf0.1 down"]))
    assert less > whole
    assert np.isfinite(less)


def balanced(ran) -> None:
    """What enters a node leaves it, but for what its GPU sends and receives."""
    topology, flows = ran.topology, ran.flows
    net, size = np.zeros(topology.n_nodes), ran.layers.tables[0].unit_share
    np.add.at(net, topology.link_dst, ran.link_bytes)
    np.subtract.at(net, topology.link_src, ran.link_bytes)
    expected = np.zeros(topology.n_nodes)
    np.add.at(expected, flows.target, size)
    np.subtract.at(expected, flows.source, size)
    assert (topology.node_kind[flows.source] == NodeKind.GPU).all()
    assert net == pytest.approx(expected, abs=1e-6 * size.sum())


FABRICS = (
    ("mpft", {"planes": 2}),
    ("mpft_ideal", {"planes": 2, "switch__port_rate": "200 Gb/s"}),
    ("ft2", {}),
    ("mrft", {}),
    ("ft3", {}),
)


def random_schedule(seed: int):
    """A small fabric, flows of random sizes, and faults of random parts and times."""
    rng = np.random.default_rng(seed)
    name, more = FABRICS[int(rng.integers(len(FABRICS)))]
    wait = str(rng.choice(["0 s", "10 ms", "300 ms"]))
    topology = fabric(name, 16, 2, switch__radix=8, failover__detection=wait, **more)
    source = rng.integers(0, 16, 12)
    target = rng.integers(0, 16, 12)
    kinds = ("gpu", "scale_up", "nic", "switch", "cable")
    names = [
        *part_names(topology, kinds[int(rng.integers(5))]),
        *(f"plane {p}" for p in range(topology.planes)),
    ]
    faults = []
    for _ in range(int(rng.integers(1, 5))):
        part, kind = str(rng.choice(names)), float(rng.random())
        text = f"{part} down" if kind < 0.7 or part.startswith("gpu") else f"{part} degraded to 30%"
        if rng.random() < 0.9:
            text += f" at {rng.random():.3f}s"
            text += f" for {0.001 + rng.random():.3f}s" if rng.random() < 0.8 else ""
        faults.append(text)
    routing = str(rng.choice(["adaptive", "ecmp", "static"]))
    return topology, source, target, rng.integers(1, 20, 12) * 1e9, faults, routing


def conserves(seed: int) -> None:
    ran = run_flows(*random_schedule(seed), together=False)
    if ran.execution is not None:
        balanced(ran)
        return
    # a culprit that never comes back, and flows that wait for it
    assert ran.stalled.startswith("the step stalls: "), ran.stalled
    for_good = [str(s.fault) for s in ran.history.strikes if s.left == 0 and s.end_s == np.inf]
    assert any(text in ran.stalled for text in for_good)
    assert ran.fluid.standing.size
    assert (ran.fluid.rates == 0).all()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_all_bytes_arrive_or_the_culprit_is_named(seed: int) -> None:
    conserves(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_all_bytes_arrive_or_the_culprit_is_named_in_thousands_of_schedules(block: int) -> None:
    for seed in range(400 * block, 400 * block + 400):
        conserves(seed)


@pytest.mark.parametrize("seed", range(12))
def test_folded_schedules_end_as_unfolded_ones(seed: int) -> None:
    topology, _, _, _, faults, routing = random_schedule(seed)
    source, target = all_to_all(16, 2)
    runs = [
        run_flows(topology, source, target, np.full(source.size, 1e9), faults, routing, folded)
        for folded in (True, False)
    ]
    assert runs[0].stalled == runs[1].stalled
    if runs[0].execution is not None:
        assert runs[0].end_s == pytest.approx(runs[1].end_s, rel=1e-9)
        assert runs[0].link_bytes == pytest.approx(runs[1].link_bytes, rel=1e-9, abs=1.0)


@pytest.mark.parametrize(
    ("fault", "times", "known", "up"),
    [
        ("down", [0.0], [True], [0.0]),  # broken when the step starts: known
        ("down at 1s", [0.0, 1.0, 1.5], [False, False, True], [1.0, 0.0, 0.0]),
        ("down from 1s to 3s", [0.0, 1.0, 1.5, 3.0, 3.5], [0, 0, 1, 1, 0], [1.0, 0.0, 0.0, 1.0, 1.0]),
        ("down from 0s to 0.2s", [0.0, 0.2, 0.7], [1, 1, 0], [0.0, 1.0, 1.0]),
        ("down at 1s for 0.4s", [0.0, 1.0, 1.4], [0, 0, 0], [1.0, 0.0, 1.0]),  # over before anybody reacts
        ("degraded to 25% at 1s", [0.0, 1.0], [0, 0], [1.0, 0.25]),
    ],
)
def test_when_a_part_is_down_and_when_routing_knows(
    fault: str, times: list[float], known: list[bool], up: list[float]
) -> None:
    topology = fabric("ft2", 128)
    history = make_history(topology, resolve(topology, [parse_fault(f"switch spine0.0 {fault}")], 1.0), 0.5)
    np.testing.assert_allclose(history.time_s, times)
    assert history.lost[history.state].any(axis=1).tolist() == [bool(each) for each in known]
    assert history.left[history.state].min(axis=1).tolist() == up
