"""Fabrics from a list of cables: round trips, the same rates as the family that wrote them, and one-line refusals."""

import re
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
from netsim.topologies.export import EXPORTS
from netsim.topologies.measure import bisection, permutation_bound

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
    # of a list the least of several halves counts
    assert bisection(again).bytes_per_s <= bisection(t).bytes_per_s * (1 + 1e-9)
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
        (
            {33: "leaf0,spine0,400 Gb/s,-1"},
            "line 34: cables = '-1', must be a whole number, 0 for a dead cable",
        ),
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
    with pytest.raises(NetsimError, match="has 8 NICs a host, h800 has nics_per_host = 3"):
        build(spec, H800.model_copy(update={"nics_per_host": 3}), 32)


HEAD = "a,b,rate,cables"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + "\n".join([HEAD, *LINES]),
        "\n".join(["# from the inventory", "", HEAD, *LINES]),
        "\n".join(["a,b,rate,cables,length_m", *(f"{line},30" for line in LINES)]),
        "\n".join(["count;from;to;speed", *("{3};{0};{1};{2}".format(*line.split(",")) for line in LINES)]),
        "\n".join([HEAD, *LINES]).replace("400 Gb/s", "400G"),
        "\n".join([HEAD, *LINES, "host4/nic0,leaf0,200 Gb/s,1", "storage0,leaf1,100 Gb/s,1"]),
        "\n".join([HEAD, *LINES, "leaf0,spine9,400 Gb/s,0"]),
        "\n".join(["a,b,rate", *(line[:-2] for line in LINES for _ in range(int(line[-1])))]),
        "\n".join(
            ["a,b,rate,cables,status", *(f"{line},up" for line in LINES), "leaf0,spine9,400 Gb/s,1,down"]
        ),
    ],
)
def test_lists_as_people_keep_them_are_the_same_fabric(tmp_path: Path, text: str) -> None:
    (tmp_path / "plain.csv").write_text("\n".join([HEAD, *LINES]))
    (tmp_path / "mine.csv").write_text(text, "utf-8")
    one, other = mine(tmp_path / "plain.csv", 32), mine(tmp_path / "mine.csv", 32)
    assert write_edges(one) == write_edges(other)


@pytest.mark.parametrize("suffix", ["graphml", "json"])
def test_what_is_exported_is_read_again(tmp_path: Path, suffix: str) -> None:
    t = built("ft2", 64)
    path = tmp_path / f"mine.{suffix}"
    path.write_text(EXPORTS[suffix](t))
    again = build(load(TopologySpec, "topology", str(path)), H800, 64)
    assert (again.switches, again.switch_links, again.endpoints) == (t.switches, t.switch_links, t.endpoints)
    assert again.nominal_bytes_per_s.sum() == pytest.approx(t.nominal_bytes_per_s.sum())


def test_no_graph_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("{")
    with pytest.raises(NetsimError, match=r"mine.json: no graph can be read"):
        read_edges(path)


def test_bounds_are_between_nics(tmp_path: Path) -> None:
    # every NIC hangs on both switches: no pair needs the spine, whatever its cables carry
    lines = [f"host{h}/nic{n},tor{t},200 Gb/s" for h in range(4) for n in range(8) for t in range(2)]
    path = tmp_path / "dual.csv"
    path.write_text("\n".join(["a,b,rate", *lines, "tor0,spine,100 Gb/s", "tor1,spine,100 Gb/s"]))
    assert permutation_bound(mine(path, 32)) == 1.0


def test_the_least_cut_of_several_halves(tmp_path: Path) -> None:
    # two rows of four switches; a ring along each with 400 Gb/s, one cable of 100 Gb/s down each column: 50 GB/s
    hosts = [f"host{2 * (4 * y + x) + n},s{x}_{y}" for x in range(4) for y in range(2) for n in range(2)]
    lines = [f"{a}/nic{n},{b},400 Gb/s,1" for a, b in (h.split(",") for h in hosts) for n in range(8)]
    lines += [f"s{x}_{y},s{(x + 1) % 4}_{y},400 Gb/s,4" for x in range(4) for y in range(2)]
    lines += [f"s{x}_0,s{x}_1,100 Gb/s,1" for x in range(4)]
    numbers = [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]  # so that the first half is no row
    lines = [re.sub(r"^host(\d+)", lambda m: f"host{numbers[int(m[1])]}", line) for line in lines]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([HEAD, *lines]))
    assert bisection(mine(path, 128)).bytes_per_s == pytest.approx(50e9)
