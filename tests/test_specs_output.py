"""Files are written whole or not at all, and a folder has one writer and one kind of answer."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from netsim.errors import NetsimError
from netsim.specs.output import LOCK, claim_folder, release_folder, write_text_whole, write_whole

SMALL = ["-n", "64", "--set", "parallelism.pipeline=1", "--schedule", "1f1b", "--set", "batch.microbatches=2"]
START = [sys.executable, "-c", "from netsim.cli import main; main()"]


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = write_text_whole(tmp_path / "table.csv", "old")

    def half(partial: Path) -> None:
        partial.write_text("new, but ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(NetsimError, match=r"table.csv: cannot be written: No space left"):
        write_whole(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_claimed_folder_is_refused_to_another_process_and_free_again_afterwards(tmp_path: Path) -> None:
    claim_folder(tmp_path / "out")
    other = [
        sys.executable,
        "-c",
        "import sys, pathlib; from netsim.specs.output import claim_folder as c; c(pathlib.Path(sys.argv[1]))",
    ]
    done = subprocess.run(
        [*other, str(tmp_path / "out")], capture_output=True, text=True, timeout=60, check=False
    )
    assert "another netsim is writing here" in done.stderr
    release_folder(tmp_path / "out")
    assert not (tmp_path / "out" / LOCK).exists()
    done = subprocess.run(
        [*other, str(tmp_path / "out")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.parametrize("mark", ["result.json", "report.json", "points.jsonl"])
def test_a_folder_with_another_answer_is_refused_without_force(mark: str, tmp_path: Path) -> None:
    (tmp_path / mark).write_text("{}")
    with pytest.raises(NetsimError, match=f"already holds .*{mark}.*--force"):
        claim_folder(tmp_path)
    claim_folder(tmp_path, force=True)
    release_folder(tmp_path)


def test_two_runs_into_one_folder_leave_one_whole_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs = [
        subprocess.Popen(
            [*START, "run", *SMALL, "--set", f"nic.line_rate={rate} Gb/s", "-o", str(out), "--force", "-q"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rate in (400, 100)
    ]  # fmt: skip
    errors = [run.communicate(timeout=300)[1] for run in runs]
    statuses = sorted(run.returncode for run in runs)
    assert statuses in ([0, 2], [0, 0])
    if 2 in statuses:
        assert any("another netsim is writing here" in error for error in errors)
    step_s = json.loads((out / "result.json").read_text())["step"]["time_s"]
    assert pd.read_parquet(out / "tasks.parquet")["end_ms"].max() == pytest.approx(step_s * 1e3, rel=1e-3)
    assert not [path for path in out.iterdir() if ".part" in path.name or path.name == LOCK]


def test_an_interrupted_run_gives_its_folder_back(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [*START, "run", "-n", "1024", "-o", str(tmp_path / "out"), "-q"], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "out" / LOCK).exists():
        time.sleep(0.05)
        assert run.poll() is None
    run.kill()
    run.wait(timeout=60)
    claim_folder(tmp_path / "out")
    release_folder(tmp_path / "out")
