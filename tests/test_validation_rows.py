"""Training steps that anybody published: reading, asking, and the models beside netsim."""

import csv
from pathlib import Path

import pytest

from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.reports.training_section import training_section
from netsim.specs import catalog, load
from netsim.specs.profile import ProfileSpec
from netsim.specs.published import PublishedSpec
from netsim.training.simulate import simulate
from netsim.validation import row_null
from netsim.validation.row_csv import read_rows
from netsim.validation.row_framework import host_table, preset
from netsim.validation.row_job import row_job
from netsim.validation.row_published import EXPERIMENT, training_rows
from netsim.validation.row_report import record, summaries
from netsim.validation.row_run import run_rows, step_seconds
from netsim.validation.training_row import TrainingRow

EVIDENCE = Path(__file__).parents[2] / "shared" / "evidence" / "turn2"

MLPERF = {
    "round": "v5.0", "submitter": "Someone", "system": "box", "gpu": "H100", "gpus": "16", "gpus_per_node": "8",
    "nics_per_node": "8", "nic_gbps": "400", "framework": "NeMo", "model": "Llama 3.1 8B", "precision": "fp8-delayed",
    "sequence_length": "8192", "global_batch": "32", "micro_batch": "1", "tp": "2", "pp": "1", "cp": "1", "ep": "1",
    "vp": "1", "step_time_s": "2.0", "step_time_p5_s": "1.9", "step_time_p95_s": "2.2", "role": "free",
    "plan_source": "matched",
}  # fmt: skip
ROW = TrainingRow(
    id="a", gpu="H100", gpus=16, gpus_per_host=8, model="LLAMA3_8B", precision="BF16", sequence_length=4096,
    global_batch=64, micro_batch=1, tp=1, pp=4, cp=1, vp=2, step_s=1.0,
)  # fmt: skip


def write(path: Path, *lines: dict[str, str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def test_runs_of_a_submission_row_are_merged(tmp_path: Path) -> None:
    times = ("2.0", "3.0", "2.2")
    [row] = read_rows(write(tmp_path / "a.csv", *({**MLPERF, "step_time_s": time} for time in times)))
    assert (row.step_s, row.runs, row.tp, row.etp) == (2.2, 3, 2, None)
    assert row.between_pct == pytest.approx(100 * 1.0 / 2.2)
    assert row.within_pct == pytest.approx(100 * 0.3 / 2.2)  # the median of 0.3/2.0, 0.3/3.0, 0.3/2.2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "Nemotron_3_Super"}, "Mamba"),
        ({"model": "GPT-5"}, "no such model"),
        ({"gpu": "TPU v9"}, "no such machine"),
        ({"gpu": ""}, "GPU"),
        ({"gpus": ""}, "how many GPUs"),
        ({"gpus": "n/a"}, "how many GPUs"),
        ({"tp": "3"}, "tensor"),
        ({"global_batch": "33"}, "no whole micro-batches"),
        ({"micro_batch": "", "sequence_length": ""}, "sequence length"),
        ({"precision": "int4"}, "precision int4"),
        ({"plan_source": "unknown (no file stored)"}, "plan"),
        ({"gpus": "99999999", "global_batch": "99999999"}, ""),
    ],
)
def test_what_cannot_be_expressed_is_listed_with_its_reason(
    change: dict[str, str], reason: str, tmp_path: Path
) -> None:
    [answer] = run_rows(read_rows(write(tmp_path / "a.csv", {**MLPERF, **change})))
    assert answer.simulated_s is None
    assert answer.reason
    assert reason in answer.reason


def test_a_file_of_no_known_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetsimError, match="no known layout"):
        read_rows(write(tmp_path / "a.csv", {"a": "1"}))


def test_the_command_prints_a_row_and_its_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", MLPERF, {**MLPERF, "system": "other", "model": "GPT-5"})
    assert run_app(["validate", "--rows", str(path), "--jobs", "1"]) in (0, 1)
    out = capsys.readouterr().out
    assert "v5.0 Someone box Llama 3.1 8B" in out
    assert "not run: model GPT-5: netsim has no such model" in out


def test_many_micro_batches_continue_along_a_line() -> None:
    job = row_job(ROW)
    assert job.case.workload.batch.microbatches == 16
    long = row_job(ROW.model_copy(update={"global_batch": 160}))
    whole = simulate(long.case, long.gpus, scaling="strong").execution.end_s.max()
    assert step_seconds(long) == pytest.approx(float(whole), rel=1e-9)


def test_megatron_counts_the_embedding_and_the_loss_as_a_layer_where_layers_do_not_divide() -> None:
    job = row_job(ROW.model_copy(update={"model": "Llama 3.1 405B", "tp": 4, "pp": 4, "vp": 4}))
    layers = job.case.workload.parallelism.stage_layers
    assert layers == (7, *[8] * 14, 7)  # 126 + 2 over 16


def test_the_null_model_is_a_line_through_two_rows() -> None:
    # 100 + 2 x work through (50, 200) and (100, 300); at 75 it says 250, which the third row took 300 s for
    points = [
        row_null.Point(("m",), work, step, set_aside)
        for work, step, set_aside in ((50.0, 200.0, True), (75.0, 300.0, False), (100.0, 300.0, True))
    ]
    found = row_null.predict(points)
    assert found[1] == (pytest.approx(250.0), False)
    assert found[0] == (pytest.approx(200.0), True)


def test_a_row_set_aside_for_fitting_is_still_a_prediction() -> None:
    # one constant of the null model, none of netsim: the summary counts the row
    answers = run_rows([ROW.model_copy(update={"set_aside": True})])
    assert record(answers[0])["kind"] == "predicted"
    assert next(group.rows for group in summaries(answers)) == 1
    assert not summaries(run_rows([ROW.model_copy(update={"sets_constant": True})]))


def test_at_most_two_rows_of_a_framework_and_gpu_set_a_constant_and_a_profile_names_each() -> None:
    used: dict[tuple[str, str], list[TrainingRow]] = {}
    for spec in (load(PublishedSpec, "published", name) for name in catalog.names("published")):
        if spec.experiment == EXPERIMENT:
            for row in training_rows(spec):
                if row.sets_constant:
                    used.setdefault((preset(row), row.gpu), []).append(row)
    assert all(len(rows) <= 2 for rows in used.values())
    for (_, gpu), rows in used.items():
        profile = load(ProfileSpec, "profile", gpu.lower())
        assert profile.sustained is not None
        assert any(f"{row.gpus} {gpu}" in profile.sustained.source for row in rows)


@pytest.mark.skipif(not EVIDENCE.is_dir(), reason="the evidence files are not beside this checkout")
@pytest.mark.parametrize("name", ["mlperf_training", "megatron_bridge", "other_training"])
def test_every_published_row_is_asked_or_refused_with_a_reason(name: str) -> None:
    for row in read_rows(EVIDENCE / f"{name}.csv"):
        try:
            job = row_job(row)
        except NetsimError:
            continue
        assert job.case.workload.batch.sequences == row.global_batch


def test_the_page_shows_targets_ranking_and_what_is_left_out() -> None:
    plans = [
        ROW.model_copy(update={"id": name, "pp": pp, "vp": vp, "step_s": step})
        for name, pp, vp, step in (("fast", 4, 2, 1.0), ("slow", 4, 1, 1.2), ("odd", 3, 1, 1.0))
    ]
    text = training_section(run_rows(plans))
    assert "| dense, Hopper | 2 |" in text
    assert "Of 1 pairs of plans" in text
    assert "odd" in text.split("cannot express")[1]
    assert training_section([]) == ""


@pytest.mark.parametrize(
    ("framework", "ep", "graph", "expected"),
    [
        ("Megatron-Bridge 26.04", 32, 'transformer_engine ["attn", "moe_router", "moe_preprocess"]', "layer"),
        ("Megatron-Bridge 26.04", 32, None, "layer"),
        ("Megatron-Bridge 26.04", 32, "[]", "none"),
        ("Megatron-Bridge", 16, None, "none"),
        ("NVIDIA NeMo Framework Release 24.09", 1, "layer", "layer"),
        ("NVIDIA NeMo Framework Release 26.04", 32, "full+mcore", "full"),
    ],
)
def test_graphs_of_a_row_take_its_host_time(
    framework: str, ep: int, graph: str | None, expected: str
) -> None:
    row = ROW.model_copy(update={"framework": framework, "ep": ep, "cuda_graph": graph})
    assert host_table(row).get("host", {}).get("graph", "none") == expected
