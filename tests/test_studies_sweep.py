"""A study, run: one table whoever computes it, nothing lost, nothing done twice, mistakes as rows."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.reports.study_plots import pictures
from netsim.specs import catalog, files
from netsim.studies import workers as workers_module
from netsim.studies.evaluate import FILES, evaluate
from netsim.studies.findings import findings
from netsim.studies.points import points
from netsim.studies.spec import StudySpec, check
from netsim.studies.store import FILE, open_store
from netsim.studies.sweep import Outcome, sweep

BASE = {"gpus": 64, "schedule": "1f1b", "parallelism.pipeline": 1, "batch.microbatches": 2}
TABLES = ("table.parquet", "table.csv", "table.json")
SPEC = StudySpec(
    base=BASE, vary={"nics_per_host": [1, 3, 8], "topology": ["ft2", "ft3"], "switch.radix": [64, 63]}
)


def cheap(values: Mapping[str, Any], _id: str, *_: float) -> dict[str, Any]:
    """A row without a simulation: what an 8 x 8 multiplication table would say."""
    nics, radix = values["overrides"]["nics_per_host"], values["overrides"]["switch.radix"]
    if radix == 63:
        return {"status": "invalid", "reason": "must be even"}
    step, cost = 20.0 / nics, 1e6 * nics * radix
    return {"status": "ok", "reason": "", "step_time_s": step, "network_usd": cost, "power_kw": 2.0 * nics,
            "memory_gb": 1.0, "fits_memory": True}  # fmt: skip


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The study, simulated in this process."""
    check(SPEC, "test")
    folder = tmp_path_factory.mktemp("serial")
    return folder, sweep(SPEC, folder)


def test_a_row_holds_what_netsim_run_says(outcome: tuple[Path, Outcome]) -> None:
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    row = outcome[1].ok[-1]
    question = next(p.question for p in points(SPEC) if p.question.id == row["id"])
    record = contract(simulate(question.case(), 64, seed=question.seed))
    assert row["step_time_s"] == record["step"]["time_s"]
    assert row["network_usd"] == record["cost"]["network_usd"]
    assert row["spec_sha256"] == record["provenance"]["spec_sha256"]
    assert row["seed"] == record["provenance"]["seed"]


def test_dollars_of_a_trillion_tokens_are_hours_of_gpus_and_of_their_network(
    outcome: tuple[Path, Outcome],
) -> None:
    row = outcome[1].ok[0]
    # published book: 5 % upkeep a year, 0.10 $/kWh, PUE 1.3; over 4 years of 8,766 h
    network = row["network_usd"] * (1 + 4 * 0.05) / (4 * 8766) + row["power_kw"] * 1.3 * 0.10
    hours = row["gpu_hours_per_trillion_tokens"] / 64
    assert row["usd_per_trillion_tokens"] == pytest.approx(hours * (64 * 2.0 + network), rel=1e-12)


def test_what_cannot_be_built_is_a_row_that_says_why(outcome: tuple[Path, Outcome]) -> None:
    found = outcome[1]
    assert (len(found.records), found.count("ok"), found.count("invalid")) == (12, 4, 8)
    reasons = {row["reason"].partition(" = ")[2] for row in found.records if row["status"] == "invalid"}
    assert reasons == {
        "3, must divide gpus_per_host = 8, or be a multiple of it",
        "63, must be even: half of the ports face down",
    }


def test_the_table_has_a_row_a_point_with_its_settings(outcome: tuple[Path, Outcome]) -> None:
    import pandas as pd

    table = pd.read_parquet(outcome[0] / "table.parquet")
    assert table["point"].tolist() == list(range(12))
    assert table["nics_per_host"].tolist() == [1] * 4 + [3] * 4 + [8] * 4
    assert table["switch.radix"].dtype == "int64"
    told = json.loads((outcome[0] / "table.json").read_text())
    assert [row["step_time_s"] for row in told if row["status"] == "ok"] == table[
        "step_time_s"
    ].dropna().tolist()


def test_two_worker_processes_make_the_same_table_bit_for_bit(
    outcome: tuple[Path, Outcome], tmp_path: Path
) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        "base.gpus = 64\nbase.schedule = '1f1b'\nbase.parallelism.pipeline = 1\nbase.batch.microbatches = 2\n"
        "vary.nics_per_host = [1, 3, 8]\nvary.topology = ['ft2', 'ft3']\nvary.switch.radix = [64, 63]\n"
    )  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "netsim",
        "sweep",
        str(study),
        "-o",
        str(tmp_path / "out"),
        "--jobs",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 points: 4 ok, 8 invalid" in done.stdout
    assert bytes_of(tmp_path / "out") == bytes_of(outcome[0])
    assert "Traceback" not in done.stderr


def test_an_interrupted_sweep_leaves_what_is_done_and_resumes_with_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[str] = []

    def until_the_fifth(values: Mapping[str, Any], point: str, *more: float) -> dict[str, Any]:
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(point)
        return cheap(values, point)

    monkeypatch.setattr(workers_module, "evaluate", until_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        sweep(SPEC, tmp_path / "a")
    assert len(json.loads((tmp_path / "a/table.json").read_text())) == 4
    first = set(calls)
    calls.clear()
    monkeypatch.setattr(workers_module, "evaluate", lambda v, i, *m: calls.append(i) or cheap(v, i))
    again = sweep(SPEC, tmp_path / "a")
    assert (again.reused, again.computed) == (4, 8)
    assert first.isdisjoint(calls)
    assert len(calls) == 8
    sweep(SPEC, tmp_path / "b")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_a_line_that_was_cut_short_is_done_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers_module, "evaluate", cheap)
    sweep(SPEC, tmp_path)
    whole = bytes_of(tmp_path)
    text = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(text[:-20])
    again = sweep(SPEC, tmp_path)
    assert (again.reused, again.computed) == (11, 1)
    assert bytes_of(tmp_path) == whole
    assert (tmp_path / FILE).read_bytes() == text


def test_a_crash_is_a_failed_row_and_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by design")

    question = next(iter(points(SPEC))).question
    with monkeypatch.context() as patch:
        patch.setattr("netsim.training.simulate.simulate", crash)
        row = evaluate(question.as_values(), question.id, 2.0, 4.0)
    assert (row["status"], row["reason"]) == ("failed", "ZeroDivisionError: by design")
    monkeypatch.setattr(workers_module, "evaluate", lambda v, i, *m: row if i == question.id else cheap(v, i))
    assert sweep(SPEC, tmp_path).count("failed") == 1
    monkeypatch.setattr(workers_module, "evaluate", cheap)
    again = sweep(SPEC, tmp_path)
    assert (again.reused, again.computed, again.count("failed")) == (11, 1, 0)


def test_a_worker_of_another_version_or_with_other_files_is_noticed(tmp_path: Path) -> None:
    question = next(iter(points(SPEC))).question
    row = evaluate(question.as_values(), "another", 2.0, 4.0)
    assert row["status"] == "failed"
    assert "another version" in row["reason"]
    mine = tmp_path / "hw.toml"
    mine.write_text("one")
    row = {"status": "ok", FILES: {str(mine): files.digest(mine)}}
    assert workers_module._agreed(row) is row
    mine.write_text("two")
    assert str(mine) in workers_module._agreed(row)["reason"]


def _hardware(folder: Path, name: str = "hw.toml") -> tuple[dict[str, Any], Path, str, str]:
    path = folder / name
    path.write_text((catalog.folder("hardware") / "h800.toml").read_text())
    return {"workload.hardware": str(path)}, path, 'line_rate = "400 Gb/s"', 'line_rate = "40 Gb/s"'


def _profile(folder: Path) -> tuple[dict[str, Any], Path, str, str]:
    path = folder / "mine.toml"
    path.write_text((catalog.folder("profile") / "h800.toml").read_text())
    return {"workload.profile": str(path)}, path, "\n[", "\n# another comment\n["


def _load(folder: Path) -> tuple[dict[str, Any], Path, str, str]:
    path = folder / "load.txt"
    path.write_text("1 " * 255 + "1.0")
    return {"variation.expert_load": str(path)}, path, "1.0", "9.0"


def _placement(folder: Path) -> tuple[dict[str, Any], Path, str, str]:
    path = folder / "place.csv"
    rows = [f"{rank},{rank // 8},{rank % 8}" for rank in range(64)]
    path.write_text("\n".join(["rank,host,gpu", *rows]) + "\n")
    return (
        {"placement.policy": "file", "placement.file": str(path)},
        path,
        "\n0,0,0\n1,0,1\n",
        "\n1,0,0\n0,0,1\n",
    )


def _config(folder: Path) -> tuple[dict[str, Any], Path, str, str]:
    path = folder / "config.json"
    keys = {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 4096,
        "intermediate_size": 11008, "num_hidden_layers": 4, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 32000,
    }  # fmt: skip
    path.write_text(json.dumps(keys))
    return {"workload": "llama-3.1-8b", "workload.model": str(path)}, path, "11008", "8192"


def _edges(folder: Path) -> tuple[dict[str, Any], Path, str, str]:
    path = folder / "cables.csv"
    rows = [f"host{h}/nic{n},leaf,400 Gb/s,1" for h in range(8) for n in range(8)]
    path.write_text("\n".join(["a,b,rate,cables", *rows]) + "\n")
    return (
        {"topology": "custom", "custom.edges": str(path), "switch.radix": 128},
        path,
        "400 Gb/s",
        "100 Gb/s",
    )


@pytest.mark.parametrize("make", [_hardware, _profile, _load, _placement, _config, _edges])
def test_a_sweep_recomputes_exactly_the_points_that_read_a_file_that_changed(
    make: Callable[[Path], tuple[dict[str, Any], Path, str, str]], tmp_path: Path
) -> None:
    settings, path, old, new = make(tmp_path)
    job = {key: value for key, value in BASE.items() if key == "gpus" or "workload" not in settings}
    mine = StudySpec(base=job | settings)
    others = StudySpec(base=BASE)
    store = tmp_path / "store"
    assert [sweep(spec, store).computed for spec in (mine, others)] == [1, 1]
    assert sweep(mine, store).ok
    assert [sweep(spec, store).computed for spec in (mine, others)] == [0, 0]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert [sweep(spec, store).computed for spec in (mine, others)] == [1, 0]


def test_a_point_that_lacked_a_file_is_computed_once_it_is_there(tmp_path: Path) -> None:
    spec = StudySpec(base=BASE | {"workload.hardware": str(tmp_path / "hw.toml")})
    store = tmp_path / "store"
    assert sweep(spec, store).count("invalid") == 1
    assert sweep(spec, store).computed == 0
    _hardware(tmp_path)
    assert sweep(spec, store).count("ok") == 1


def test_a_study_that_grows_computes_only_what_is_new(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers_module, "evaluate", cheap)
    sweep(SPEC, tmp_path)
    grown = SPEC.model_copy(update={"vary": {**SPEC.vary, "nics_per_host": [1, 3, 4, 8]}})
    assert (sweep(grown, tmp_path).reused, sweep(grown, tmp_path, fresh=True).reused) == (12, 0)


def test_two_sweeps_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        open_store(tmp_path),
        pytest.raises(NetsimError, match="another sweep is writing here"),
        open_store(tmp_path),
    ):
        pass


def test_a_store_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("hello\n")
    with pytest.raises(NetsimError, match="line 1: is no finished point"), open_store(tmp_path):
        pass


def test_findings_name_the_cheapest_fast_design_and_what_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers_module, "evaluate", cheap)
    told = "\n".join(findings(sweep(SPEC, tmp_path)))
    # steps 20/1, 20/3, 20/8: only eight NICs are fast, whatever the tree
    assert (
        "Cheapest within 1% of the fastest step: nics_per_host 8, topology ft2, switch.radix 64: 2.500 s"
        in told
    )
    assert "The step moves from 2.5 to 20 s (+700.0%)" in told
    assert "What moves the step (of its mean, the rest averaged): nics_per_host" in told


def _cheap_records(spec: StudySpec) -> list[dict[str, Any]]:
    found = []
    for point in points(spec):
        settings = {"nics_per_host": 8, "switch.radix": 64, **point.question.overrides}
        row = cheap({"overrides": settings}, "")
        found.append({**row, **point.varied})
    return found


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ({"nics_per_host": [1, 2, 4, 8]}, {"lines", "pareto"}),
        ({"topology": ["ft2", "ft3"]}, {"bars"}),
        ({"nics_per_host": [1, 2, 4], "switch.radix": [32, 64]}, {"heat_map", "tornado", "pareto"}),
        (
            {"nics_per_host": [1, 2], "switch.radix": [32, 64], "topology": ["ft2", "ft3"]},
            {"lines", "tornado", "pareto"},
        ),
        ({"nics_per_host": [2]}, set()),
    ],
)
def test_pictures_fit_the_shape_of_the_study(vary: dict[str, list[Any]], names: set[str]) -> None:
    from netsim.reports.plots import svg

    spec = StudySpec(vary=vary)
    found = pictures(spec, _cheap_records(spec))
    assert found.keys() == names
    assert all(svg(figure).startswith("<?xml") for figure in found.values())
