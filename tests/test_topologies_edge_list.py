"""Fabrics from a list of cables: round trips, the same rates as the family that wrote them, and one-line refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.cost.bill import network_cost
from netsim.errors import NetsimError
from netsim.network.maxmin import maxmin_rates
from netsim.routing import paths
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.prices import PriceBook
from netsim.topologies import LinkKind, Topology, build, latency_us
from netsim.topologies.edge_list import read_edges, write_edges
from netsim.topologies.measure import bisection

H800 = load(HardwareSpec, "hardware", "h800")
LINES = [f"host{h}/nic{n},leaf{h // 2},400 Gb/s,1" for h in range(4) for n in range(8)]
LINES += ["leaf0,spine0,400 Gb/s,8", "leaf1,spine0,400 Gb/s,8"]


def built(family: str, gpus: int, **overrides: Any) -> Topology:
    spec = load(TopologySpec, "topology", family, {k.replace("__", "."): v for k, v in overrides.items()})
    return build(spec, H800, gpus)


def mine(path: Path, gpus: int, **overrides: Any) -> Topology:
    return built("custom", gpus, custom__edges=str(path), **overrides)


def rates(t: Topology, routing: Any) -> Any:
    source, target = np.random.default_rng(0).integers(t.gpus, size=(2, 3 * t.gpus))
    table = paths(t, routing, source, target, 0)
    return maxmin_rates(table.capacity, table.ptr, table.link_ids, table.share)[0]


@pytest.mark.parametrize(
    ("family", "gpus", "overrides"),
    [
        ("mpft", 96, {"switch__radix": 8}),
        ("mrft", 120, {"switch__radix": 16}),
        ("ft3", 128, {"switch__radix": 8}),
        ("hpn", 120, {"switch__radix": 16}),
        ("slim_fly", 200, {"slim_fly__q": 5, "switch__radix": 12}),
        ("torus", 96, {"torus__endpoints": 4, "torus__cables": 2}),
    ],
)
def test_a_fabric_written_and_read_is_the_same(
    tmp_path: Path, family: str, gpus: int, overrides: dict[str, Any]
) -> None:
    t = built(family, gpus, **overrides)
    path = tmp_path / "mine.csv"
    path.write_text(write_edges(t))
    again = mine(path, gpus)
    assert (again.switches, again.switch_links, again.planes) == (t.switches, t.switch_links, t.planes)
    assert again.nic_ports == t.nic_ports
    assert again.switch_hops[-1] == t.switch_hops[-1]
    assert latency_us(again)["worst"] == latency_us(t)["worst"]
    for kind in (LinkKind.PORT_TX, LinkKind.UP):
        one, other = (x.nominal_bytes_per_s[x.first(kind) : x.links(kind).stop] for x in (t, again))
        assert sorted(one.tolist()) == sorted(other.tolist())
    assert bisection(again).bytes_per_s == pytest.approx(bisection(t).bytes_per_s)
    if family != "torus":  # there the family's orders of dimensions are not all shortest paths
        assert rates(again, "adaptive") == pytest.approx(rates(t, "adaptive"), rel=1e-9)
    assert write_edges(again).count("\n") == write_edges(t).count("\n")


def test_paths_of_a_list_are_shortest_and_whole(tmp_path: Path) -> None:
    t = built("custom", 256)
    source, target = np.random.default_rng(1).integers(256, size=(2, 200))
    apart = source // 8 != target // 8
    for routing in ("ecmp", "static"):
        table = paths(t, routing, source[apart], target[apart], 0)  # type: ignore[arg-type]
        for f in range(table.n_flows):
            links = table.path(f)
            assert (t.link_src[links[1:]] == t.link_dst[links[:-1]]).all()
            assert links.size in (4, 6)
    # a rail's uplinks: 3 spines x 4 x 800 and 8 x 400 Gb/s; equal parts over 20 cables, so the slow ones bind
    sprayed = paths(t, "adaptive", [0], [9], 0, trunks=False)
    assert (sprayed.kind[sprayed.link_ids] >= LinkKind.UP).sum() == 2 * 20
    assert t.nominal_bytes_per_s.max() == 200e9  # scale-up; cables 100 and 50


def test_cables_are_priced_by_their_speed() -> None:
    cost = network_cost(built("custom", 256), load(PriceBook, "prices", "published"))
    lines = [(row["count"], row["unit_usd"]) for row in cost["lines"] if row["part"] == "switch_link"]
    assert lines == [(64, 603.0), (96, 1206.0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: "a,b"}, "line 1: header 'a,b', must be a,b,rate or a,b,rate,cables"),
        ({33: "leaf0,,400 Gb/s,8"}, "line 34: the port of leaf0 dangles: a cable has two ends"),
        ({33: "leaf0,spine0,-400 Gb/s,8"}, "line 34: rate = '-400 Gb/s', must be above 0"),
        ({33: "leaf0,spine0,400,8"}, "line 34: rate = '400', must be a quantity of bytes/s"),
        ({33: "leaf0,spine0,400 Gb/s,0"}, "line 34: cables = '0', must be a whole number above 0"),
        ({33: "leaf0,leaf0,400 Gb/s,8"}, "line 34: leaf0 is cabled to itself"),
        ({33: "spine0,leaf1,400 Gb/s,8"}, "line 35: leaf1 - spine0 is a duplicate of line 34"),
        ({33: "host0/nic0,host1/nic1,400 Gb/s,8"}, "line 34: host1/nic1 - host0/nic0 joins two NICs"),
        ({1: "host0/nic9,leaf0,400 Gb/s"}, "host0/nic0 is not connected; hosts have nic0 to nic9"),
        ({1: ""}, "host0/nic0 is not connected; hosts have nic0 to nic7"),
        ({1: "host0/nic0,leaf0,400 Gb/s,2"}, "host0/nic1 has 1 ports, others have 2"),
        ({34: ""}, "host2 is disconnected: host2/nic0 does not reach host0/nic0"),
        ({34: "leaf1,spine0,1 Gb/s\nleaf8,leaf9,1 Gb/s"}, "leaf8 is disconnected: it reaches no host"),
    ],
)
def test_a_wrong_list_is_one_line(tmp_path: Path, change: dict[int, str], message: str) -> None:
    lines = ["a,b,rate,cables", *LINES]
    for number, text in change.items():
        lines[number] = text
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(NetsimError) as error:
        read_edges(path)
    assert message in str(error.value)
    assert "mine.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_sizes_that_do_not_go_together(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["a,b,rate,cables", *LINES]))
    assert mine(path, 32).gpus == 32
    assert mine(path, 24).endpoints == 24  # the last host is idle, its leaf stays
    with pytest.raises(NetsimError, match=r"mine.csv lists 4 hosts, 32 GPUs at most"):
        mine(path, 40)
    with pytest.raises(NetsimError, match="leaf0 has 24 cables: give the size of your switches"):
        mine(path, 32, switch__radix=16)
    with pytest.raises(NetsimError, match="no such file"):
        mine(tmp_path / "other.csv", 32)
    spec = load(TopologySpec, "topology", "custom", {"custom.edges": str(path)})
    with pytest.raises(NetsimError, match="has 8 NICs a host, h800 has nics_per_host = 4"):
        build(spec, H800.model_copy(update={"nics_per_host": 4}), 32)
