"""netsim validate, asserted: every published number of the network, its source data, and the scoring itself."""

import csv
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from netsim.analysis import collisions
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.reports.validation_figures import FIGURES
from netsim.reports.validation_report import page, write_report
from netsim.specs import catalog
from netsim.specs.published import PublishedRow, PublishedSpec
from netsim.validation import validate as validation
from netsim.validation.experiments import EXPERIMENTS

EVIDENCE = Path(__file__).parents[2] / "shared" / "evidence"
NETWORK = ["deepep_h800", "deepseek_online", "h800_trace", "htsim_all_to_all", "isca25_fig5",
           "isca25_fig6", "isca25_fig7", "isca25_fig8", "isca25_inference", "isca25_mtp", "isca25_table1",
           "isca25_table2", "isca25_table3", "isca25_table5",
           "model_parameters", "simai_all_to_all"]  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[PublishedSpec, list[validation.Check]]]:
    specs = validation.published(NETWORK)
    return {spec.name: (spec, validation.validate(spec)) for spec in specs}


@pytest.mark.parametrize("name", NETWORK)
def test_no_tolerance_is_missed(name: str, found: dict) -> None:  # type: ignore[type-arg]
    missed = [f"{check.id}: {check.error_pct:+.1f} %" for check in found[name][1] if check.ok is False]
    assert not missed


@pytest.mark.parametrize("name", NETWORK)
def test_constants_reproduce_the_rows_they_were_set_with(name: str, found: dict) -> None:  # type: ignore[type-arg]
    for check in found[name][1]:
        if check.kind == "calibrated":
            assert abs(check.error_pct) < 1.0, check.id


def test_figure_5_holds_the_tolerances_asked_for(found: dict) -> None:  # type: ignore[type-arg]
    spec, checks = found["isca25_fig5"]
    large = [check for check in checks if check.tolerance_pct == 5.0]
    assert len(large) == 30  # 15 points of two fabrics, 1 GiB and above
    assert checks[-1].id.endswith("median")
    assert checks[-1].tolerance_pct == 2.5
    assert sum(check.kind == "calibrated" for check in checks) == 3
    assert spec.tolerance_pct is None


def test_expert_exchange_holds_the_tolerances_asked_for(found: dict) -> None:  # type: ignore[type-arg]
    for check in found["isca25_fig7"][1]:
        assert check.tolerance_pct == (15.0 if check.id.endswith("16") else 8.0)
        assert check.kind == "predicted"


def test_low_latency_kernels_hold_the_tolerance_asked_for(found: dict) -> None:  # type: ignore[type-arg]
    table = [check for check in found["deepep_h800"][1] if "low_latency_rdma" in check.id]
    assert len(table) == 12  # dispatch and combine on 8 to 256 GPUs
    for check in table:
        assert (check.tolerance_pct, check.kind) == (15.0, "predicted")
    assert sum(check.kind == "calibrated" for check in found["deepep_h800"][1]) == 1


def test_the_decoding_bound_is_printed_as_the_paper_prints_it(found: dict) -> None:  # type: ignore[type-arg]
    value = {
        check.id.removeprefix("isca25_inference."): check.simulated for check in found["isca25_inference"][1]
    }
    assert value["ib.exchange"] == pytest.approx(120.96, rel=1e-9)
    assert round(value["ib.token"], 2) == 14.76
    assert int(value["ib.speed"]) == 67
    assert value["nvl72.exchange"] == pytest.approx(6.72, rel=1e-9)
    assert round(value["nvl72.token"], 2) == 0.82
    assert round(value["nvl72.speed"], -2) == 1200
    # what the bound leaves out makes a step longer: latency and headers, then compute
    assert value["ib.token"] < value["ib.network.token"] < value["ib.all.token"]


def test_speculation_gains_the_published_factor_within_the_published_range(found: dict) -> None:  # type: ignore[type-arg]
    value = {check.id.removeprefix("isca25_mtp."): check.simulated for check in found["isca25_mtp"][1]}
    assert value["tokens.80"] < 1.8 < value["tokens.90"]


def test_production_lies_below_the_ceiling(found: dict) -> None:  # type: ignore[type-arg]
    for check in found["deepseek_online"][1]:
        assert check.published < check.simulated < 2 * check.published
        assert check.ok is None


def test_collisions_lose_in_the_published_direction(found: dict) -> None:  # type: ignore[type-arg]
    value = {check.id.removeprefix("isca25_fig8."): check.simulated for check in found["isca25_fig8"][1]}
    for tp in collisions.TP:
        assert value[f"reduce_scatter.tp{tp}.static"] == pytest.approx(
            value[f"reduce_scatter.tp{tp}.adaptive"]
        )
    # without collisions: (8/tp) NICs, n/(n - 1)
    assert value["reduce_scatter.tp2.adaptive"] == pytest.approx(4 * 44.8 * 16 / 15, rel=1e-6)
    ratios = [value[f"reduce_scatter.tp{tp}.ecmp_over_adaptive"] for tp in collisions.TP]
    assert 0.8 > ratios[0] > ratios[1] > ratios[2] > 0.45  # the more flows a group has, the more it loses


def test_more_queue_pairs_collide_less() -> None:
    means = [collisions.outcome(8, "ecmp", range(20), parts).mean for parts in (1, 2, 4)]
    assert means == sorted(means)


def test_error_and_verdict_by_hand() -> None:
    spec = PublishedSpec.model_validate(
        {
            "name": "x", "source": "s", "experiment": "latency", "metric": "m", "unit": "us", "uncertainty": "none",
            "median_tolerance_pct": 1.0,
            "rows": [
                {"id": "a", "value": 2.0, "where": {"layer": "nvlink", "path": "same_host"}, "tolerance_pct": 66.0},
                {"id": "b", "value": 2.0, "where": {"layer": "nvlink", "path": "same_host"}, "tolerance_pct": 67.0},
                {"id": "c", "value": 3.0, "where": {"layer": "nvlink", "path": "same_host"}, "decimals": 0},
                {"id": "d", "value": 2.0, "where": {"layer": "nvlink", "path": "same_host"}},
                {"id": "e", "value": 5.0, "where": {"layer": "nvlink", "path": "same_host"}, "tolerance_pct": 33.0},
                {"id": "f", "value": 3.3, "where": {"layer": "nvlink", "path": "same_host"}, "decimals": 2},
            ],
        }
    )  # fmt: skip
    a, b, c, d, e, f, middle = validation.validate(spec)
    assert a.error_pct == pytest.approx(66.5)  # 3.33 / 2
    assert e.error_pct == pytest.approx(-33.4)  # too low is as wrong as too high
    assert [row.ok for row in (a, b, c, d, e, f)] == [False, True, True, None, False, False]
    assert middle.simulated == pytest.approx(33.4)  # of 0.9, 11, 33.4, 66.5, 66.5
    assert middle.ok is False
    text = page([(spec, [a, b, c, d, middle])])
    assert "**missed**" in text
    assert "- x.median: 33.4 % (at most 1 %), predicted" in text
    assert (
        "| median | median error of 5 rows, % |  |  | 33.4 % | at most 1 % | predicted | **missed** |" in text
    )


def test_an_error_in_percent_is_nothing_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXPERIMENTS, "held_out_operators", lambda where: [38.25 for _ in where])
    assert run_app(["validate", "--only", "h800_operators"]) == 1
    assert "missed: h800_operators.all.p90: 38.2 % (at most 20 %), predicted" in capsys.readouterr().out
    assert run_app(["validate", "--only", "h800_operators", "--json"]) == 1
    row = json.loads(capsys.readouterr().out)[1]
    assert (row["published"], row["simulated"], row["error_pct"], row["tolerance_pct"]) == (
        None,
        38.25,
        38.25,
        20.0,
    )


@pytest.mark.parametrize(
    ("row", "rule"),
    [({"value": 0.0}, "value = 0, has no relative error"), ({"decimals": 2}, "needs a value")],
)
def test_a_row_without_relative_error(row: dict[str, float], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        PublishedRow.model_validate({"id": "a", **row})


def test_tolerances_of_our_own_are_disclosed() -> None:
    """No source says how close a simulator must come; where it seems so, the notes, which the report prints, tell."""
    for name in ("isca25_inference", "isca25_mtp", "deepep_h800"):
        (spec,) = validation.published([name])
        own = {row.tolerance_pct for row in spec.rows if row.tolerance_pct}
        assert own
        assert all(f"{each:g} %" in spec.notes for each in own)
        assert "netsim's own" in spec.notes


def test_every_published_file_is_sound() -> None:
    specs = validation.published()
    assert {spec.experiment for spec in specs} == set(EXPERIMENTS)
    assert set(FIGURES) <= {spec.name for spec in specs}
    assert [spec.name for spec in specs] == catalog.names("published")


def _evidence(name: str) -> list[dict[str, str]]:
    path = EVIDENCE / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: the raw evidence is not part of the project")
    with path.open() as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_published_figure_5_is_the_evidence(found: dict) -> None:  # type: ignore[type-arg]
    values = {row.id: row.value for row in found["isca25_fig5"][0].rows}
    for row in _evidence("isca25_fig5_nccl_alltoall_algbw.csv"):
        for fabric in ("mpft", "mrft"):
            key = f"{fabric}.{row['gpus']}.{row['msg_size']}"
            assert values.pop(key) == float(row[f"{fabric.upper()}_GBps"])
    assert not values


def test_published_tables_are_the_evidence(found: dict) -> None:  # type: ignore[type-arg]
    names = {"FT2": "ft2", "MPFT": "mpft", "FT3": "ft3", "SF": "slim_fly", "DF": "dragonfly"}
    columns = {"cost [M$]": "cost", "cost/endpoint [k$]": "cost_per_endpoint"}
    values = {row.id: row.value for row in found["isca25_table3"][0].rows}
    for row in _evidence("isca25_tables.csv"):
        if row["table"] == "3":
            assert values[f"{names[row['row']]}.{columns.get(row['col'], row['col'])}"] == float(row["value"])


def test_report_is_written_and_its_pictures_are_vector_graphics(found: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    files = write_report(tmp_path, [found["isca25_fig7"], found["isca25_table5"]])
    assert [path.name for path in files] == ["validation.md", "isca25_fig7.svg"]
    assert "![DeepEP dispatch and combine on MPFT](validation/isca25_fig7.svg)" in files[0].read_text()
    assert files[1].read_text().startswith("<?xml")


def test_command_prints_rows_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["validate", "--only", "table5", "--only", "fig7", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = [
        "id",
        "source",
        "metric",
        "unit",
        "published",
        "simulated",
        "error_pct",
        "tolerance_pct",
        "kind",
        "ok",
    ]
    assert [list(row) for row in rows] == [keys] * 11
    assert run_app(["validate", "--only", "fig9"]) == 2
    assert "--only fig9: no such published set" in capsys.readouterr().err


def test_a_miss_is_exit_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(EXPERIMENTS, "latency", lambda where: [99.0 for _ in where])
    assert run_app(["validate", "--only", "table5"]) == 1
    assert "missed: isca25_table5" in capsys.readouterr().out


def test_unknown_experiment_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (catalog.folder("published") / "isca25_table5.toml").read_text()
    (tmp_path / "wrong.toml").write_text(text.replace('"latency"', '"latencies"'))
    monkeypatch.setattr(catalog, "folder", lambda kind: tmp_path)
    with pytest.raises(NetsimError, match="did you mean 'latency'"):
        validation.published()


def test_shipped_study_is_what_the_simulator_says() -> None:
    path = catalog.root() / "reports" / "studies" / "routing_collisions" / "routing_collisions.csv"
    with path.open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["gpus"] == "2048" and row["queue_pairs"] == "1"]
    assert len(rows) == 9
    for row in rows:
        found = collisions.outcome(int(row["tp"]), row["routing"], range(collisions.SEEDS))  # type: ignore[arg-type]
        assert found.mean == pytest.approx(float(row["mean_GBps"]), abs=0.01)
        assert found.quantile(0.05) == pytest.approx(float(row["p05_GBps"]), abs=0.01)
        if row["routing"] == "ecmp":
            expected = collisions.clean_probability(int(row["tp"]))
            assert found.clean_groups == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_twice_the_gpus_for_one_batch_lose_what_llama_3_lost() -> None:
    (spec,) = validation.published(["llama3_table4"])
    checks = {check.id.partition(".")[2]: check for check in validation.validate(spec)}
    assert checks["16384_over_8192"].ok
    # shown as it falls: kernels timed at a quarter of the load of a training job
    assert checks["8192.tp8_pp16_dp64"].error_pct > 0
