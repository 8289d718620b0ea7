"""`netsim sweep` as a user meets it: options, exit statuses, one clear line for a mistake."""

import json
import socket
from pathlib import Path

import pytest

from netsim.cli.app import run_app

SMALL = [
    "--topology",
    "ft2",
    "--gpus",
    "64",
    "--set",
    "schedule=1f1b",
    "--set",
    "parallelism.pipeline=1",
    "--set",
    "batch.microbatches=2",
]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "nothing varies"),
        (["--vary", "nics_per_hots=1,2"], "nics_per_hots: unknown key: did you mean 'nics_per_host'?"),
        (["--vary", "nics_per_host="], "--vary nics_per_host: has no values"),
        (["--vary", "nics_per_host"], "must be written key=value,value"),
        (["--vary", "gpus=1,2", "--vary", "gpus=3"], "--vary gpus: given twice"),
        (["--vary", "gpus=64,128", "--gpus", "64"], "gpus: given twice"),
        (["--vary", "topology=mpftt"], "did you mean 'mpft'?"),
        (["--vary", "gpus=64,abc"], "gpus = 'abc', must be a whole number"),
        (["missing.toml"], "missing.toml: no such study file"),
        (["--vary", "gpus=64", "--jobs", "0"], "jobs"),
        (
            ["--vary", "gpus=64", "--jobs", "2", "--scheduler", "tcp://h:1"],
            "--jobs 2: has no effect with --scheduler",
        ),
        (["--vary", "gpus=64", "--scheduler-timeout", "3"], "is about a --scheduler"),
        (
            ["--vary", "gpus=65,66", "-o", "out"],
            "no point of the study can be built; the first: --gpus: gpus = 65",
        ),
        (["--vary", "gpus=64", "-o", "file/below"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert run_app(["sweep", *arguments, "--quiet"]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_billion_points_are_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    thousand = ",".join(map(str, range(1, 1001)))
    vary = [f"--vary={key}={thousand}" for key in ("gpus", "seed", "queue_pairs")]
    assert run_app(["sweep", *vary]) == 2
    assert "1,000,000,000 points, more than 100,000: add --yes" in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_one_line_within_its_timeout(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        command = ["sweep", "--vary", "gpus=64,128", "--scheduler", address, "--scheduler-timeout", "1"]
        assert run_app([*command, "-o", str(tmp_path), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert f"--scheduler {address}: does not answer within 1 s" in said
    assert said.count("\n") == 1


def test_rows_on_stdout_files_in_the_folder_progress_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["sweep", "--vary", "nics_per_host=4,8", *SMALL, "-o", str(out)]
    assert run_app([*command, "--json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [row["nics_per_host"] for row in rows] == [4, 8]
    assert rows[0]["step_time_s"] > rows[1]["step_time_s"]
    assert rows == json.loads((out / "table.json").read_text())
    assert {file.name for file in out.iterdir()} == {
        "points.jsonl", "table.parquet", "table.csv", "table.json", "study.toml", "findings.md",
        "lines.svg",
    }  # fmt: skip
    # the study that it wrote asks the same questions: nothing is left to do
    assert run_app(["sweep", str(out / "study.toml"), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "0 points computed, 2 were there already" in said.err
    assert "Nothing is recommended: no point fits into GPU memory" in said.out
