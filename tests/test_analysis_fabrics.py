"""Cable lengths, price ranges, ownership, comparison, cost curves, drawings, exports, and the command around them."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from command import netsim
from fabrics import H800, fabric, spec_of
from netsim.analysis.fabrics import compare, cost_curve, ownership
from netsim.cost.bill import bill, network_cost
from netsim.cost.layout import IN_RACK_M, RISE_M, cable_lengths_m
from netsim.errors import NetsimError, SpecError
from netsim.reports.drawing import draw
from netsim.reports.fabric_figures import curve_figure
from netsim.reports.plots import svg
from netsim.specs import load
from netsim.specs.prices import PriceBook
from netsim.topologies.export import to_graphml, to_json

BOOK, STREET = (load(PriceBook, "prices", name) for name in ("published", "street_2026"))


def test_cables_of_a_small_hall() -> None:
    # 64 GPUs are two racks beside each other; ft2 has its one switch in the middle of them, 0.3 m from both
    endpoint, switch = cable_lengths_m(fabric("ft2", 64))
    assert endpoint == pytest.approx(np.full(64, IN_RACK_M))
    assert switch.size == 0
    # 2,048 GPUs are 4 rows of 16 racks; a leaf of mpft serves 32 hosts, half a row: at most 8 racks from its middle
    endpoint, switch = cable_lengths_m(fabric("mpft", 2048))
    assert endpoint.max() <= RISE_M + 4 * 0.6
    assert switch.max() <= RISE_M + 9.0 / 2 + 16 * 0.6


@pytest.mark.parametrize("name", ["mpft", "dragonfly", "slim_fly", "mpft_ideal", "custom"])
def test_a_bill_by_length_counts_every_cable_and_optic_once(name: str) -> None:
    t = fabric(name, 256)
    lines = bill(t, STREET)
    cables = [line for line in lines if "_link" in line.part and "optic" not in line.part]
    optics = [line for line in lines if "optic" in line.part]
    assert sum(line.count for line in cables) == t.endpoints + t.switch_links
    optical = sum(line.count for line in cables if "copper" not in line.part)
    assert sum(line.count for line in optics) == 2 * optical
    assert all(line.low_usd <= line.unit_usd <= line.high_usd for line in lines)
    cost = network_cost(t, STREET)
    assert cost["network_usd_low"] < cost["network_usd"] < cost["network_usd_high"]
    assert cost["status"] == "assumption"


def test_a_class_that_does_not_reach_is_one_line() -> None:
    short = STREET.model_copy(update={"cables": STREET.cables[:1]})
    with pytest.raises(SpecError, match=r"the longest class reaches 3 m, a cable needs \d+ m"):
        bill(fabric("mpft", 2048), short)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"switch.low": "40000 USD"}, "must ascend"),
        ({"optics": {}}, "ends in 'SR4', which optics does not list"),
    ],
)
def test_books_that_contradict_themselves(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load(PriceBook, "prices", "street_2026", change)


def test_ownership_adds_up() -> None:
    # 100 kW x 1.3 x 8,766 h x 2 years x 0.10 $/kWh = 227,916 $; 5 % of 1 M$ a year; 10 days take 31.2 MWh
    found = ownership({"network_usd": 1e6, "power_kw": 100.0}, BOOK, years=2, run_days=10)
    assert found["electricity_usd"] == pytest.approx(227916)
    assert found["upkeep_usd"] == pytest.approx(1e5)
    assert found["total_usd"] == pytest.approx(1e6 + 1e5 + 227916)
    assert found["run_energy_MWh"] == pytest.approx(31.2)


def test_compare_keeps_what_cannot_be_built_with_its_reason() -> None:
    names = ["mpft", "mrft", "ft3"]
    rows = compare([spec_of(n) for n in names], H800, BOOK, 16384, 4, 54)
    assert [row["name"] for row in rows] == names
    assert (rows[0]["switches"], rows[2]["switches"]) == (768, 1280)
    assert "2 tiers of radix 64 hold 2,048 endpoints" in rows[1]["error"]
    assert rows[0]["usd_per_bisection_GBps"] == pytest.approx(rows[0]["network_usd"] / (8192 * 50))
    with pytest.raises(NetsimError, match="at most"):
        compare([spec_of("mrft")], H800, BOOK, 16384, 4, 54)


def test_cost_steps_where_a_switch_is_bought() -> None:
    rows = cost_curve([spec_of("ft2")], H800, BOOK, range(64, 129, 8))
    switches = [row["switches"] for row in rows]
    assert switches[0] == 1  # 64 GPUs on one switch
    assert switches[1] == 5  # 72: three leaves of 32 and two spines
    assert all(b >= a for a, b in itertools.pairwise(switches))
    assert "<svg" in svg(curve_figure(rows, BOOK))


@pytest.mark.parametrize("name", ["mpft", "ft3", "dragonfly", "torus", "rail_only"])
def test_a_drawing_is_small_and_the_same_every_time(name: str) -> None:
    t = fabric(name, 2048)
    text = svg(draw(t))
    assert text == svg(draw(t))
    assert len(text) < 3e6
    assert f"{t.switches:,} switches" in text
    assert text.count("plane ") == (t.planes if t.planes > 1 else 0)


def test_what_is_too_dense_is_not_drawn() -> None:
    with pytest.raises(NetsimError, match="can be drawn: take fewer GPUs"):
        draw(fabric("ft3", 65536))


@pytest.mark.parametrize("name", ["mpft", "slim_fly", "hpn"])
def test_graphs_survive_a_round_trip(name: str) -> None:
    t = fabric(name, 64)
    from_xml = nx.read_graphml(io.BytesIO(to_graphml(t).encode()), node_type=int, force_multigraph=True)
    from_json = nx.node_link_graph(json.loads(to_json(t)), edges="edges")
    for graph in (from_xml, from_json):
        assert (graph.number_of_nodes(), graph.number_of_edges()) == (t.n_nodes, t.n_links)
        total = sum(data["capacity_bytes_per_s"] for _, _, data in graph.edges(data=True))
        assert total == pytest.approx(float(t.capacity_bytes_per_s.sum()))


def test_the_command_writes_reads_and_compares(tmp_path: Path) -> None:
    done = netsim(
        "topology",
        "mpft",
        "--gpus",
        "128",
        "--export",
        "mine.csv",
        "--draw",
        "mine.svg",
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert {"topology", "latency_us", "properties", "cost", "ownership"} == set(record)
    assert (tmp_path / "mine.svg").read_text().startswith("<?xml")
    again = json.loads(netsim("topology", "mine.csv", "--gpus", "128", "--json", cwd=tmp_path).stdout)
    assert again["topology"]["switches"] == record["topology"]["switches"]
    assert again["cost"]["network_usd"] == record["cost"]["network_usd"]
    rows = json.loads(
        netsim("topology", "compare", "mpft,rail_only", "--gpus", "64", "--json", cwd=tmp_path).stdout
    )
    assert [row["switches"] for row in rows] == [8, 8]
    assert "dragonfly" in netsim("topology", "list", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["mpft", "ft3"], "a second fabric has no effect without compare"),
        (["mpft", "--export", "mine.xml"], "must be a file ending in .graphml, .json or .csv"),
        (["mpft", "--draw", "mine.pdf"], "must end in .svg or .png"),
        (["list", "--export", "mine.csv"], "--export: has no effect on list"),
        (["missing.csv"], "missing.csv: no such topology file"),
        (["mpft", "--set", "batch.microbatches=3"], "has no effect on a fabric"),
        (["slim_fly", "--set", "slim_fly.q=28"], "no such graph: must be a prime power"),
        (["mpft", "--prices", "publishd"], "did you mean 'published'?"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    done = netsim("topology", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
