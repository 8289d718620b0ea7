"""`netsim collective` as a user meets it: rows, files, and one clear line for a mistake."""

import csv
import io
import json
from pathlib import Path

import pytest

from netsim.cli.app import run_app


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["al_to_all"], "did you mean 'all_to_all'?"),
        (["all_reduce", "--algorithm", "treee"], "did you mean 'tree'?"),
        (["all_reduce", "--algorithm", "one_host"], "span 8 hosts"),
        (["all_reduce", "--protocol", "ncl"], "did you mean 'nccl'?"),
        (["all_reduce", "--topology", "mpftt"], "did you mean 'mpft'?"),
        (["all_reduce", "--gpus", "12"], "multiple of the 8 GPUs"),
        (["all_reduce", "--sizes", "1GiB:1MiB"], "runs backwards"),
        (["all_reduce", "--sizes", "huge"], "must be bytes"),
        (["all_reduce", "--routing", "magic"], "routing"),
        (["all_reduce", "--routing", "ecmp", "--set", "routing=static"], "also given by --set"),
        (["all_reduce", "--group-size", "7"], "must be at least 2 and divide the 64 GPUs"),
        (["all_reduce", "--group-size", "1"], "must be at least 2"),
        (["all_reduce", "--json", "--csv"], "choose one"),
        (["all_reduce", "--tokens", "4"], "--tokens: has no effect on all_reduce"),
        (["all_reduce", "--set", "batch.sequences=2"], "has no effect on a collective"),
        (["all_reduce", "--set", "protocol.ring.bass=1"], "did you mean 'base'?"),
        (["dispatch", "--sizes", "1MiB"], "--sizes: has no effect on dispatch"),
        (["dispatch", "--algorithm", "quick"], "low_latency"),
        (["dispatch", "--gate", "modell"], "did you mean 'model'?"),
        (["dispatch", "--ep", "x"], "must be whole numbers"),
        (["dispatch", "--ep", "128"], "divide the 64 GPUs"),
        (["dispatch", "--load", "zipf"], "must be zipf:NUMBER"),
        (["dispatch", "--load", "nowhere.txt"], "must be uniform, zipf:S"),
        (["dispatch", "--redundant", "8"], "add --load"),
        (["dispatch", "--tokens", "0"], "--tokens"),
        (["dispatch", "--beside-compute", "--algorithm", "low_latency"], "no measured rate"),
        (["all_to_all", "--gpus", "16384", "--algorithm", "direct"], "make the groups smaller"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["collective", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert line in said.err


def test_rows_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["collective", "all_to_all", "--gpus", "64", "--sizes", "1GiB:4GiB", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["size_bytes"] for row in rows] == [1 << 30, 1 << 31, 1 << 32]
    assert {
        "time_us",
        "algbw_GBps",
        "busbw_GBps",
        "wire_GBps",
        "logical_GBps",
        "bottleneck",
        "utilisation",
    } <= set(rows[0])


def test_rows_as_csv_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["collective", "deepep", "--gpus", "32", "--ep", "8:32", "--csv", "-o", str(tmp_path / "out")]
    assert run_app(command) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [(row["kind"], row["ranks"]) for row in rows][:3] == [
        ("dispatch", "8"),
        ("combine", "8"),
        ("dispatch", "16"),
    ]
    assert said.err.startswith("wrote collective.csv, collective.svg, result.json")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(result["rows"]) == 6
    assert result["provenance"]["evidence"]["deepep"]["low_latency"].startswith("calibrated")
    assert run_app(command) == 2
    assert "already holds a result.json" in capsys.readouterr().err


def test_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["collective", "all_reduce", "--gpus", "16", "--sizes", "1MiB"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert "busbw_GBps" in head
    assert "1048576" in row
    assert run_app(["collective", "all_reduce", "--gpus", "16", "--sizes", "1MiB", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_set_reaches_fabric_host_and_library(capsys: pytest.CaptureFixture[str]) -> None:
    def time_us(*more: str) -> float:
        command = ["collective", "all_to_all", "--gpus", "32", "--sizes", "1GiB", "--json", *more]
        assert run_app(command) == 0
        return float(json.loads(capsys.readouterr().out)[0]["time_us"])

    plain = time_us()
    # 24 remote peers at 10 instead of 4.7 us
    assert time_us("--set", "protocol.message.per_peer=10 us") - plain == pytest.approx(24 * 5.3)
    assert time_us("--set", "switch.port_rate=200 Gb/s", "--set", "nic.line_rate=200 Gb/s") > 1.9 * plain
