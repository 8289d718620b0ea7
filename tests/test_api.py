"""netsim from Python: the same answers as the commands, frames with units, one line for a mistake."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.cli.app import run_app
from netsim.errors import NetsimError

SMALL: dict[str, Any] = {
    "gpus": 64,
    "schedule": "1f1b",
    "overrides": {"workload.parallelism.pipeline": 1, "batch.microbatches": 2},
}


@pytest.fixture(scope="module")
def small() -> netsim.Run:
    return netsim.run("mrft", seed=3, **SMALL)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert run_app([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_run_is_the_command(small: netsim.Run, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [word for k, v in SMALL["overrides"].items() for word in ("--set", f"{k}={v}")]
    said = printed(capsys, "run", "-t", "mrft", "--gpus", "64", "--schedule", "1f1b", "--seed", "3", *sets)
    said.pop("run")
    assert said == json.loads(json.dumps(small.record))


def test_topology_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "topology", "ft3", "--gpus", "1024", "--set", "switch.radix=32")
    asked = netsim.topology("ft3", np.int64(1024), overrides={"switch.radix": np.int64(32)})
    assert said == json.loads(json.dumps(asked.record))
    assert asked.bill["usd"].sum() == pytest.approx(asked.record["cost"]["network_usd"])
    assert set(asked.latency["path"]) >= {"same_leaf", "worst"}
    assert "nics_cut_off" in asked.faults


def test_collective_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "collective", "all_reduce", "--gpus", "32", "--sizes", "1MiB,1GiB")
    asked = netsim.collective("all_reduce", gpus=32, sizes=[1 << 20, 1 << 30])
    assert said == asked.record
    assert list(asked.table["size_bytes"]) == [1 << 20, 1 << 30]
    experts = netsim.collective("deepep", gpus=64, ep="16,64", tokens=512)
    assert experts.record == printed(
        capsys, "collective", "deepep", "--gpus", "64", "--ep", "16,64", "--tokens", "512"
    )


def test_infer_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    keys = {"decode.expert": 64, "decode.batch": 32, "requests.count": 100}
    asked = netsim.infer(gpus=64, rate=10.0, overrides=keys)
    sets = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    assert asked.record == printed(capsys, "infer", "--gpus", "64", "--rate", "10", *sets)
    assert set(asked.parts["phase"]) == {"prefill", "decode"}
    assert [i.phase for i in asked.iterations] == ["decode", "prefill"]


def test_frames_carry_units_and_agree_with_the_record(small: netsim.Run) -> None:
    step = small.record["step"]
    # a rank's phases fill the step
    assert small.phases["mean_s"].sum() == pytest.approx(step["time_s"])
    assert small.headline.loc[0, "step_time_s"] == step["time_s"]
    assert small.tasks["end_ms"].max() == pytest.approx(step["time_s"] * 1e3)
    assert small.collectives["mean_ms"].tolist() == [row["mean_ms"] for row in small.record["collectives"]]
    assert set(small.transfers["name"]) >= set(small.collectives["kind"])
    assert small.links["busy_ms"].max() <= step["time_s"] * 1e3 * (1 + 1e-9)
    assert small.bill["usd"].sum() == pytest.approx(small.record["cost"]["network_usd"])
    assert small.latency.set_index("path")["latency_us"]["worst"] == small.record["latency_us"]["worst"]


def test_save_is_a_run_directory(small: netsim.Run, tmp_path: Path) -> None:
    files = small.save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == json.loads(json.dumps(small.record))
    assert all(file.is_file() for file in files)
    with pytest.raises(NetsimError, match="already holds"):
        small.save(tmp_path / "out")


def test_results_are_frozen(small: netsim.Run) -> None:
    with pytest.raises(AttributeError):
        small.record = {}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: netsim.run("mpftt"), "did you mean 'mpft'"),
        (lambda: netsim.run(hardware="h801"), "did you mean 'h800'"),
        (lambda: netsim.run(prices="publishd"), "did you mean 'published'"),
        (lambda: netsim.run(gpus=2048.5), "gpus = 2048.5, must be a whole number"),
        (lambda: netsim.run(seed=-1), "seed = -1, must be at least 0"),
        (lambda: netsim.run(scaling="sideways"), "scaling = 'sideways'"),
        (lambda: netsim.run(overrides={"switch.radios": 1}), "unknown key"),
        (lambda: netsim.run(overrides={"batch.sequences": 8}), "has no effect under weak scaling"),
        (lambda: netsim.run(routing="ecmp", overrides={"topology.routing": "static"}), "also given by"),
        (lambda: netsim.topology("mpft", 7), "multiple of the 8 GPUs"),
        (lambda: netsim.topology(overrides={"batch.microbatches": 8}), "has no effect on a fabric"),
        (lambda: netsim.collective("all_to_al"), "did you mean 'all_to_all'"),
        (lambda: netsim.collective("all_to_all", tokens=4), "has no effect on all_to_all"),
        (lambda: netsim.infer("deepseek-v4"), "did you mean 'deepseek-v3'"),
        (lambda: netsim.infer(phase="decoding"), "did you mean 'decode'"),
        (lambda: netsim.infer(phase="decode", rate=3.0), "--rate: has no effect on decode"),
        (lambda: netsim.infer(gpus=64), "divide the 64 GPUs"),
    ],
)
def test_a_mistake_is_the_line_of_the_command(call: Any, line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        call()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_import_loads_nothing_heavy() -> None:
    code = "import netsim, sys; dir(netsim); print([m for m in ('numpy', 'pandas', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        netsim.rum  # type: ignore[attr-defined]  # noqa: B018


def test_workload_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    made = netsim.workload(
        "deepseek-v3", "qwen2.5-72b", batch=np.int64(64), overrides={"parallelism.zero": 2}
    )
    said = printed(
        capsys, "workload", "deepseek-v3", "qwen2.5-72b", "--batch", "64", "--set", "parallelism.zero=2"
    )
    assert said == json.loads(json.dumps(made.record))
    assert made.table.loc["kv_cache.bytes_per_token.bf16"].tolist() == [70_272, 327_680]
    with pytest.raises(NetsimError, match="name one job or model at least"):
        netsim.workload()
    with pytest.raises(NetsimError, match="context = 0, must be at least 1"):
        netsim.workload("deepseek-v3", context=0)


JOBS = """
[[jobs]]
name = "left"
gpus = 64
set = { "parallelism.pipeline" = 1, "schedule.name" = "1f1b", "batch.microbatches" = 2 }

[[jobs]]
name = "right"
gpus = 64
set = { "parallelism.pipeline" = 1, "schedule.name" = "1f1b", "batch.microbatches" = 3 }
"""
ONE_STAGE = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 2}
SETS = [word for key, value in ONE_STAGE.items() for word in ("--set", f"{key}={value}")]


def test_goodput_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    asked = netsim.goodput("ft2", 64, days=3, runs=20, spares=1, seed=2, overrides=ONE_STAGE)
    assert asked.record == printed(
        capsys, "goodput", "-t", "ft2", "--gpus", "64", "--days", "3", "--runs", "20", "--spares", "1", "--seed", "2",
        *SETS,
    )  # fmt: skip
    assert asked.by_spares["goodput"].is_monotonic_increasing
    assert set(asked.parts["effect"]) >= {"host"}
    # a second call still finds the function and no module of that name
    assert callable(netsim.goodput)


def test_share_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text(JOBS)
    asked = netsim.share(file, "ft2", 128, overrides={"oversubscription": 2.0})
    said = printed(capsys, "share", str(file), "-t", "ft2", "--gpus", "128", "--set", "oversubscription=2")
    assert said == json.loads(json.dumps(asked.record))
    assert asked.jobs["name"].tolist() == ["left", "right"]
    assert set(asked.collectives["job"]) == {"left", "right"}


def test_sweep_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vary = {"nic.line_rate": ["200 Gb/s", "400 Gb/s"]}
    asked = netsim.sweep(vary=vary, base={"gpus": 64, **ONE_STAGE}, folder=tmp_path / "one")
    said = printed(capsys, "sweep", "--vary", "nic.line_rate=200 Gb/s,400 Gb/s", "--gpus", "64", *SETS,
                   "-o", str(tmp_path / "two"))  # fmt: skip
    assert asked.record == said
    assert asked.table["status"].tolist() == ["ok", "ok"]
    assert (asked.folder / "table.parquet").is_file()
    assert asked.findings


def test_optimize_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    asked = netsim.optimize(
        "cost",
        "step_time<=100",
        64,
        {"topology": ["ft3", "ft2"]},
        overrides=ONE_STAGE | {"hardware.gpu.hbm": "1 TB"},
        seed=1,
    )
    said = printed(capsys, "optimize", "--objective", "cost", "--set", "hardware.gpu.hbm=1 TB",
                   "--subject-to", "step_time<=100", "--gpus", "64", "--vary", "topology=ft3,ft2",
                   "--seed", "1", *SETS)  # fmt: skip
    assert said == json.loads(json.dumps(asked.record))
    assert asked.table.loc[0, "topology"] == asked.record["best"]["topology"]
    assert not asked.front.empty


@pytest.mark.slow
def test_ablate_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [
        "compare",
        "--ablate",
        "overlap",
        "--gpus",
        "128",
        "--set",
        "parallelism.pipeline=2",
        "--jobs",
        "1",
    ]
    asked = netsim.ablate("overlap", gpus=128, overrides={"parallelism.pipeline": 2})
    assert printed(capsys, *keys) == json.loads(json.dumps(asked.record))
    assert asked.table["choice"].tolist() == ["base", "overlap"]
    assert (tmp_path / "out" / "report.html") in asked.save(tmp_path / "out")


@pytest.mark.slow
def test_claims_are_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    asked = netsim.claims()
    assert printed(capsys, "claims", "--jobs", "1") == json.loads(json.dumps(asked.record))
    assert len(asked.table) == 6
    assert asked.wall


def test_every_door_is_named_once() -> None:
    from netsim import api

    assert set(netsim.__all__) - {"__version__"} == set(api.__all__)
    assert set(netsim.__all__) <= set(dir(netsim))
