"""What a study file may say, and the points that it makes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from netsim.errors import NetsimError
from netsim.studies.axes import axes_of, main_effects, pareto_front
from netsim.studies.points import Ends, latin_hypercube, points
from netsim.studies.spec import SampleSpec, StudySpec, check_size, count_points, load_study, parse_vary


def study(tmp_path: Path, text: str) -> StudySpec:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return load_study(path)


def test_a_grid_is_the_product_of_its_lists_the_last_one_fastest(tmp_path: Path) -> None:
    spec = study(tmp_path, 'vary.switch.radix = [64, 128]\nvary.topology = ["mpft", "ft3"]')
    found = [dict(point.varied) for point in points(spec)]
    assert found == [
        {"switch.radix": radix, "topology": name} for radix in (64, 128) for name in ("mpft", "ft3")
    ]
    assert count_points(spec) == 4


def test_zipped_lists_stay_together_and_cross_with_the_grid(tmp_path: Path) -> None:
    spec = study(
        tmp_path, 'vary.gpus = [64, 128]\n[[zip]]\ntopology = ["mpft", "ft3"]\nswitch.radix = [64, 32]'
    )
    found = [
        (p.question.gpus, p.question.topology, p.question.overrides["switch.radix"]) for p in points(spec)
    ]
    assert found == [(64, "mpft", 64), (64, "ft3", 32), (128, "mpft", 64), (128, "ft3", 32)]


def test_a_latin_hypercube_meets_every_stratum_of_every_range_once() -> None:
    ranges = {"a": {"low": 0.0, "high": 10.0}, "b": {"low": "1 Gb/s", "high": "1000 Gb/s", "scale": "log"}}
    rows = latin_hypercube(SampleSpec(points=10, ranges=ranges), seed=3)
    assert sorted(int(row["a"]) for row in rows) == list(range(10))
    rates = sorted(np.log10([float(row["b"].removesuffix(" Gb/s")) for row in rows]) / 3 * 10)
    assert [int(rate) for rate in rates] == list(range(10))
    assert rows == latin_hypercube(SampleSpec(points=10, ranges=ranges), seed=3)
    assert rows != latin_hypercube(SampleSpec(points=10, ranges=ranges), seed=4)


def test_whole_numbers_and_lists_are_drawn_evenly() -> None:
    ranges = {"n": {"low": 1, "high": 4}, "name": ["mpft", "ft3"]}
    rows = latin_hypercube(SampleSpec(points=40, ranges=ranges), seed=0)
    assert Counter(row["n"] for row in rows) == {1: 10, 2: 10, 3: 10, 4: 10}
    assert Counter(row["name"] for row in rows) == {"mpft": 20, "ft3": 20}
    assert Ends.read("n", {"low": 1, "high": 4}).at(0.999999) == 4


def test_the_seed_of_a_point_depends_on_its_settings_and_the_study_seed_alone() -> None:
    few = StudySpec(vary={"gpus": [64, 128]})
    more = StudySpec(vary={"gpus": [256, 128, 64]})
    seeds = {point.question.gpus: point.question.seed for point in points(few)}
    assert len(set(seeds.values())) == 2
    for point in points(more):
        assert point.question.seed == seeds.get(point.question.gpus, point.question.seed)
    assert {p.question.seed for p in points(few.model_copy(update={"seed": 1}))}.isdisjoint(seeds.values())
    assert {p.question.seed for p in points(few.model_copy(update={"seeds": "shared", "seed": 7}))} == {7}


def test_a_point_is_known_by_its_settings() -> None:
    spec = StudySpec(base={"topology": "mpft"}, vary={"gpus": [64, 128]})
    ids = [point.question.id for point in points(spec)]
    assert len(set(ids)) == 2
    assert ids == [point.question.id for point in points(spec)]


def test_values_on_the_command_line() -> None:
    assert parse_vary(["nic.line_rate=200 Gb/s,400 Gb/s"]) == {"nic.line_rate": ["200 Gb/s", "400 Gb/s"]}
    assert parse_vary(["oversubscription=[1.0,2.0],[1.0,1.0]"]) == {
        "oversubscription": [[1.0, 2.0], [1.0, 1.0]]
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[vary]\nnics_per_hots = [1]",
            "study.toml: nics_per_hots: unknown key: did you mean 'nics_per_host'?",
        ),
        ("[vary]\ntopologie = ['mpft']", "topologie: unknown key: did you mean 'topology'?"),
        ("[vary]\nswitch.radix = []", "vary.switch.radix = [], must not be empty"),
        ("[vary]\nswitch.radix = 64", "must be a list of values"),
        ("[vary]\nswitch.radix = [64, 64]", "64 is listed twice"),
        ("[vary]\ntopology = ['mpftt']", "no topology preset 'mpftt': did you mean 'mpft'?"),
        (
            "[vary]\nrouting = ['ecmp']\ntopology.routing = ['static']",
            "given twice, also as topology.routing",
        ),
        ("base.gpus = 64\nvary.gpus = [64]", "vary.gpus: given twice"),
        ("name = 'a'", "nothing varies"),
        ("vari.gpus = [1]", "unknown key: did you mean 'vary'?"),
        ("seeds = 'both'\nvary.gpus = [1]", "seeds = 'both', input should be 'each_point' or 'shared'"),
        ("[[zip]]\ngpus = [64]\nswitch.radix = [64, 32]", "gpus has 1, switch.radix has 2"),
        ("sample.points = 3\nsample.ranges = {}", "sample.ranges: is empty"),
        ("sample.points = 0\nsample.ranges.gpus = [64]", "sample.points = 0"),
    ],
)
def test_a_mistake_in_a_study_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        study(tmp_path, text)
    assert line in str(caught.value)
    assert "study.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        ({"low": 1}, "needs low and high"),
        ({"low": 2, "high": 1}, "must ascend"),
        ({"low": 0, "high": 1, "scale": "log"}, "must ascend (from above 0 on a log scale)"),
        ({"low": "1 Gb/s", "high": "1 GB/s"}, "must have one unit"),
        ({"low": 1, "high": 2, "scale": "cubic"}, "must be linear or log"),
        ({"low": 1, "high": 2, "step": 1}, "unknown key 'step'"),
        ({"low": "fast", "high": "slow"}, "must be a number"),
    ],
)
def test_a_mistake_in_a_range_is_one_line(choice: dict[str, object], line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        Ends.read("nic.line_rate", choice)
    assert line in str(caught.value)


def test_a_study_of_a_billion_points_must_be_meant() -> None:
    spec = StudySpec(vary={f"key{n}": list(range(1000)) for n in range(3)})
    with pytest.raises(NetsimError, match="1,000,000,000 points, more than 100,000: add --yes"):
        check_size(count_points(spec), yes=False)
    check_size(count_points(spec), yes=True)


def test_main_effects_of_an_additive_table_are_those_of_its_parts() -> None:
    # y = 10 a + b on a grid: a moves the mean by 10 x (2 - 0), b by 1
    records = [{"a": a, "b": b, "y": 10.0 * a + b} for a in (0, 1, 2) for b in (0, 1)]
    a, b = axes_of(records, ["a", "b"])
    assert main_effects(records, a, "y") == (0.5, 20.5)
    assert main_effects(records, b, "y") == (10.0, 11.0)


def test_main_effects_compare_like_with_like_where_points_failed() -> None:
    # only b moves y, but a = 1 could not be built at b = 0: the mean over a = 1 alone would say that a moves y too
    records = [
        {"a": a, "b": b, "y": 10.0 * b if a == 0 or b else float("nan")} for a in (0, 1) for b in (0, 1)
    ]
    axes = axes_of(records, ["a", "b"])
    for known in (records, [record for record in records if record["y"] == record["y"]]):
        assert main_effects(known, axes[0], "y", axes) == (10.0, 10.0)
        assert main_effects(known, axes[1], "y", axes) == (0.0, 10.0)


def test_nothing_beats_a_point_of_the_front_and_something_beats_every_other() -> None:
    rng = np.random.default_rng(0)
    records = [{"a": float(x), "b": float(y)} for x, y in rng.random((60, 2))]
    front = pareto_front(records, ["a", "b"])

    def beats(one: dict[str, float], other: dict[str, float]) -> bool:
        return one != other and one["a"] <= other["a"] and one["b"] <= other["b"]

    for n, record in enumerate(records):
        assert (n in front) != any(beats(other, record) for other in records)


def test_an_axis_knows_numbers_quantities_and_names() -> None:
    records = [{"rate": "400 Gb/s", "name": "ft3"}, {"rate": "200 Gb/s", "name": "mpft"}]
    rate, name = axes_of(records, ["rate", "name", "gone"])
    assert (rate.numbers, rate.unit, rate.labels) == ((200.0, 400.0), "Gb/s", ("200 Gb/s", "400 Gb/s"))
    assert (name.numbers, name.labels) == (None, ("ft3", "mpft"))
