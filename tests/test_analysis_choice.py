"""What is taken: nothing that does not fit, ties by the other objectives, and the same in which price books."""

from pathlib import Path
from typing import Any

import pytest

from netsim.analysis.choice import cheapest, fitting, nearly_fastest, rank
from netsim.analysis.comparison.advice import recommendations
from netsim.analysis.comparison.money import book_words, price_rows, taper_words, winners
from netsim.cli.app import run_app
from netsim.cost.bill import network_cost
from netsim.specs.case import make_case
from netsim.studies.design import optimize
from netsim.studies.findings import cheapest_near_fastest
from netsim.studies.goal import parse_goal
from netsim.studies.optimize import Search, by_bounds, ranked
from netsim.studies.points import Point, points
from netsim.studies.question import StudyPoint
from netsim.studies.spec import StudySpec
from netsim.studies.workers import Terms
from netsim.topologies import build

_JOB = {"gpus": 64, "schedule": "1f1b", "parallelism.pipeline": 1, "batch.microbatches": 1}


def row(step_s: float, usd: float, fits: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "step_time_s": step_s,
        "network_usd": usd,
        "power_kw": 1.0,
        "fits_memory": fits,
        "status": "ok",
        **more,
    }


def test_what_does_not_fit_is_never_taken() -> None:
    rows = [row(1.0, 1.0, fits=False), row(2.0, 3.0), row(2.01, 2.0)]
    assert cheapest_near_fastest(fitting(rows)) is rows[2]
    goal = parse_goal("step_time", [])
    assert [goal.feasible(each) for each in rows] == [False, True, True]


def test_of_the_cheapest_the_quickest_is_taken() -> None:
    rows = [row(1.005, 5.0), row(1.0, 5.0), row(1.5, 1.0)]
    assert cheapest(nearly_fastest(rows, 0.01)) == rows[:2]
    assert cheapest_near_fastest(rows) is rows[1]
    assert sorted(rows, key=lambda each: rank(each, "network_usd")) == [rows[2], rows[1], rows[0]]


def test_the_search_breaks_a_tie_in_the_price_by_the_step() -> None:
    """NICs of both rates cost nothing in the default book; the faster is better, and is found."""
    spec = StudySpec(
        seeds="shared", base=_JOB, vary={"nic.line_rate": ["200 Gb/s", "400 Gb/s"], "topology": ["ft2"]}
    )
    space = list(points(spec))
    seconds = {"200 Gb/s": 4.0, "400 Gb/s": 3.0}

    def simulate(question: StudyPoint) -> dict[str, Any]:
        point = next(p for p in space if p.question is question)
        found = search.built[point.index]
        return row(
            seconds[str(point.varied["nic.line_rate"])], found["network_usd"], power_kw=found["power_kw"]
        )

    search = Search(parse_goal("cost", []), Terms(2.0, 4.0), simulate)
    by_bounds(search, space)
    best: Point = space[ranked(search)[0]]
    assert best.varied["nic.line_rate"] == "400 Gb/s"


def test_a_best_design_fits_and_the_others_are_shown_as_not_fitting() -> None:
    found = optimize(
        "step_time", gpus=64, vary={"storage.recompute": [[], ["norm", "mla_up"]], "hardware.gpu.hbm": ["80 GB"]},
        overrides={k: v for k, v in _JOB.items() if k != "gpus"} | {"batch.microbatches": 8},
    )  # fmt: skip
    rows = [*([found["best"]] if found["best"] else []), *found["runners_up"], *found["front"]]
    assert all(each["fits_memory"] for each in rows)
    assert all(not each["fits_memory"] for each in found["does_not_fit"])
    assert len(rows) + len(found["does_not_fit"]) >= 2


def test_a_slower_nic_is_cheaper_and_the_bill_says_what_it_leaves_out() -> None:
    fast = make_case("mpft", prices="street_2026")
    slow = make_case("mpft", prices="street_2026", overrides={"nic.line_rate": "200 Gb/s"})
    costs = [network_cost(build(c.topology, c.hardware, 64), c.prices) for c in (fast, slow)]
    assert costs[1]["nic_usd"] == pytest.approx(costs[0]["nic_usd"] / 2)
    assert "NICs" not in costs[0]["leaves_out"]
    published = make_case("mpft")
    told = network_cost(build(published.topology, published.hardware, 64), published.prices)["leaves_out"]
    assert told.startswith("cables between NICs and switches and NICs (0 $ in this book); hosts, GPUs")


def scenario(**usd: tuple[float, float]) -> dict[str, Any]:
    """Two books and fabrics of one step: (price in one book, in the other)."""
    key = {"workload": "j", "gpus": 8}
    columns = ("low_usd", "typical_usd", "high_usd")
    prices = [
        {**key, "topology": name, "book": book, **dict.fromkeys(columns, each)}
        for name, pair in usd.items()
        for book, each in zip(("one", "two"), pair, strict=True)
    ]
    rows = [row(1.0, pair[0], topology=name, **key) for name, pair in usd.items()]
    return {"tables": {"comparison": rows, "prices": prices, "growth": [], "tapered": []}}


def test_a_winner_that_flips_with_the_book_is_said() -> None:
    record = scenario(a=(1.0, 3.0), b=(2.0, 2.0))
    won = winners(record, record["tables"]["comparison"], ("j", 8), 0.005, 0.001)
    told = book_words(won, "a", "one")
    assert told == [
        "By the prices of the book one it holds at low, typical and high prices, moved together.",
        "It flips with the book two: b instead.",
    ]
    record["tables"]["prices"][3]["high_usd"] = 5.0  # b, in the book two
    won = winners(record, record["tables"]["comparison"], ("j", 8), 0.005, 0.001)
    assert book_words(won, "a", "one")[1] == "It flips with the book two: b at low and b at typical prices."


def test_every_shipped_book_prices_a_fabric() -> None:
    case = make_case("ft3")
    topology = build(case.topology, case.hardware, 256)
    rows = {each["book"]: each for each in price_rows(topology, case.prices)}
    assert set(rows) >= {"published", "street_2026"}
    street = rows["street_2026"]
    assert street["low_usd"] < street["typical_usd"] < street["high_usd"]
    assert rows["published"]["typical_usd"] == network_cost(topology, case.prices)["network_usd"]


def test_a_tie_goes_to_what_is_cheaper_to_grow_not_to_what_grows_furthest() -> None:
    record = scenario(near=(1.0, 1.0), far=(1.0, 1.0))
    more = {"worst_latency_us": 1.0, "cables_crossed": 1.0, "ranks_differ": False}
    for each, most in zip(record["tables"]["comparison"], (64, 1024), strict=True):
        each.update(more, max_gpus=most)
    key = {"workload": "j", "gpus": 8, "grown_gpus": 32}
    record["tables"]["growth"] = [
        {**key, "topology": "near", "grown_usd_per_gpu": 100.0},
        {**key, "topology": "far", "grown_usd_per_gpu": 171.0},
    ]
    record["decisions"] = []
    record["question"] = {
        "price_book": "one",
        "price_date": "d",
        "status": "calibrated",
        "leaves_out": "hosts",
    }
    (advice,) = recommendations(record)
    assert advice["topology"] == "near"
    assert "71 % dearer at four times the size" in advice["sentence"]
    assert "Not in the price: hosts" in advice["condition"]


def test_fewer_uplinks_are_proposed_with_what_time_must_be_worth() -> None:
    take, thin = (
        row(10.0, 30e6, topology="ft3"),
        row(10.06, 15e6, topology="ft3", oversubscription="[4.0, 1.0]"),
    )
    told = taper_words(take, thin)
    assert "oversubscription [4.0, 1.0] saves 15.00 M$ (50 %) for a step +0.6 %" in told
    assert "worth less than 25.00 M$" in told


def test_a_saved_spec_that_spells_a_nic_rate_is_read_again_and_an_override_of_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--gpus", "64", "--schedule", "1f1b", "--set", "parallelism.pipeline=1", "--quiet"]
    assert run_app(["run", *small, "--set", "batch.microbatches=1", "-o", str(tmp_path / "a")]) == 0
    assert 'rate = "50000000000 B/s"' in (tmp_path / "a" / "spec.toml").read_text("utf-8")
    assert run_app(["run", "--spec", str(tmp_path / "a" / "spec.toml"), "--quiet"]) == 0
    capsys.readouterr()
    for command in (["run", *small], ["topology", "mpft", "--gpus", "64"]):
        assert run_app([*command, "--set", "prices.nic.rate=25 GB/s"]) == 2
        assert "prices.nic.rate: has no effect: the book published prices NICs" in capsys.readouterr().err
