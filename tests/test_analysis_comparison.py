"""Fabrics side by side: the numbers are those of single runs, the words follow from them, the files hold the same."""

import base64
import copy
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

import netsim
from netsim.analysis.binding import binding
from netsim.analysis.comparison import CompareRequest
from netsim.analysis.comparison.advice import recommendations
from netsim.analysis.comparison.compare import merge, parts_of
from netsim.analysis.comparison.decide import decisions
from netsim.analysis.comparison.point import measure
from netsim.analysis.comparison.words import why
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs import catalog
from netsim.specs.question import Question

#: small, and with more than one leaf a plane at 256 GPUs
JOB: dict[str, Any] = {
    "schedule": "1f1b",
    "overrides": {
        "workload.parallelism.pipeline": 2,
        "batch.microbatches": 2,
        "switch.radix": 16,
        "hardware.gpu.hbm": "1 TB",
    },
}
ARGUMENTS = ["--schedule", "1f1b", *(f"--set={k}={v}" for k, v in JOB["overrides"].items())]
SIZES = "1MiB,1GiB"


@pytest.fixture(scope="module")
def compared() -> netsim.Comparison:
    """Three fabrics, one of which cannot be built so small: a rail-only fabric of 16 ports ends at 128 GPUs."""
    return netsim.compare(["mpft", "ft3", "rail_only"], gpus=[128, 256], sizes=SIZES, **JOB)


def test_rows_are_those_of_single_runs(compared: netsim.Comparison) -> None:
    alone = netsim.run("ft3", 256, **JOB)
    row = compared.table.query("topology == 'ft3' and gpus == 256").iloc[0]
    for key, value in alone.headline.iloc[0].items():
        assert row[key] == value, key
    bill = compared.bill.query("topology == 'ft3' and gpus == 256")
    assert bill["usd"].sum() == pytest.approx(alone.record["cost"]["network_usd"])
    wide = netsim.collective("all_reduce", "ft3", 256, sizes=SIZES, overrides={"switch.radix": 16})
    curve = compared.bandwidth.query("topology == 'ft3' and gpus == 256 and collective == 'all_reduce'")
    assert curve["busbw_GBps"].tolist() == wide.table["busbw_GBps"].tolist()


def test_what_cannot_be_built_is_a_row_that_says_why(compared: netsim.Comparison) -> None:
    row = compared.table.query("topology == 'rail_only' and gpus == 256").iloc[0]
    assert "128 GPUs at most" in row["error"]
    assert any("rail_only is left out" in text for text in compared.findings)
    assert "rail_only" not in set(compared.binding.query("gpus == 256")["topology"])


def test_parts_of_the_step_add_up(compared: netsim.Comparison) -> None:
    parts = compared.breakdown[["compute_s", "chunk_idle_s", "bubble_s", "tail_s"]].sum(axis=1)
    steps = compared.table[compared.table["error"].isna()]["step_time_s"]
    assert parts.tolist() == pytest.approx(steps.tolist())


def test_gains_are_simulated_again(compared: netsim.Comparison) -> None:
    """10 % more of the GPU is what the overrides of a single run make of it."""
    gpu = compared.binding.query("topology == 'mpft' and gpus == 128 and resource == 'hbm'").iloc[0]
    faster = netsim.run(
        "mpft", 128, schedule="1f1b", overrides=JOB["overrides"] | {"gpu.hbm_rate": "3.685 TB/s"}
    )
    assert gpu["step_time_s"] == pytest.approx(faster.record["step"]["time_s"], rel=1e-12)
    quicker = {"latency.endpoint": f"{2.8 - 0.9} us"}  # any latency may not be slower than the base
    base = compared.table.query("topology == 'mpft' and gpus == 128").iloc[0]["step_time_s"]
    less = netsim.run("mpft", 128, schedule="1f1b", overrides=JOB["overrides"] | quicker)
    assert less.record["step"]["time_s"] < base
    free = compared.binding.query("resource == 'network'")
    assert (
        free["gain_pct"] >= compared.binding.groupby(["topology", "gpus"])["gain_pct"].median().min()
    ).all()


def test_more_of_what_is_not_there_gains_nothing() -> None:
    one_leaf = netsim.run(
        "mpft", 128, schedule="1f1b", overrides=JOB["overrides"] | {"switch.radix": 64}
    ).step
    assert one_leaf.topology.switch_links == 0
    rows = {row["resource"]: row for row in binding(one_leaf, ["fabric", "nic"])}
    assert rows["fabric"]["gain_pct"] == 0.0
    assert rows["nic"]["gain_pct"] > 0.0


def test_parts_change_nothing(compared: netsim.Comparison) -> None:
    """A point that several processes share has the rows of one that a single process did."""
    request = CompareRequest(
        ("mpft",), gpus=(128,), question=Question(schedule="1f1b", overrides=JOB["overrides"]), sizes=SIZES
    )
    parts = [measure(*part) for part in parts_of(request, request.points()[0], jobs=2)]
    assert len(parts) == 2
    together = merge(parts)["tables"]["binding"]
    assert together == compared.binding.query("topology == 'mpft' and gpus == 128").to_dict("records")


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    question: dict[str, Any] = {"gpus": 128, "sizes": SIZES, **JOB}
    one = netsim.compare(["mpft", "ft3"], **question)
    two = netsim.compare(["mpft", "ft3"], jobs=2, **question)
    assert json.dumps(one.record) == json.dumps(two.record)


def changed(compared: netsim.Comparison, gpus: int, **of_ft3: float) -> dict[str, Any]:
    """The record at one size, ft3 with other numbers."""
    record = copy.deepcopy(compared.record)
    for name, rows in record["tables"].items():
        record["tables"][name] = [r for r in rows if r["gpus"] == gpus and r["topology"] != "rail_only"]
    for row in record["tables"]["comparison"]:
        if row["topology"] == "ft3":
            before = dict(row)
            row.update(of_ft3)
            longer = row["step_time_s"] / before["step_time_s"]
            row.update({end: before[end] * longer for end in ("step_time_low_s", "step_time_high_s")})
            row.update({f"network_usd_{end}": row["network_usd"] for end in ("low", "high")})
    record["decisions"] = decisions(record)
    return record


def test_recommendation_follows_the_numbers(compared: netsim.Comparison) -> None:
    base = changed(compared, 256)["tables"]["comparison"][0]
    seconds, usd = base["step_time_s"], base["network_usd"]
    # as quick and dearer: leave it
    record = changed(compared, 256, step_time_s=seconds * 1.001, network_usd=2 * usd)
    assert recommendations(record)[0]["topology"] == "mpft"
    assert f"costs {usd / 1e6:,.2f} M$ more (+100 %" in recommendations(record)[0]["sentence"]
    # as quick and cheaper: take it
    assert (
        recommendations(changed(compared, 256, step_time_s=seconds, network_usd=usd / 2))[0]["topology"]
        == "ft3"
    )
    # slower and cheaper: say what time must be worth; 2 % for half of the price
    record = changed(compared, 256, step_time_s=seconds * 1.02, network_usd=usd / 2)
    advice = recommendations(record)[0]
    assert advice["topology"] == "mpft"
    assert any(f"less than {usd / 4 / 1e6:,.2f} M$" in told for told in advice["otherwise"])


def test_words_tell_hidden_from_slower(compared: netsim.Comparison) -> None:
    base = changed(compared, 256)["tables"]["comparison"][0]
    seconds = base["step_time_s"]
    same = changed(compared, 256, step_time_s=seconds * 1.0002)
    for gain, words in ((5.0, "The network is hidden here; topology cannot matter."),
                        (30.0, "Topology cannot matter here, although the network shows")):  # fmt: skip
        for row in same["tables"]["binding"]:
            row["gain_pct"] = gain
        first = why(same)[0]
        assert first["subject"] == "hidden"
        assert first["text"].startswith(words)
    same["tables"]["binding"] = []  # --no-bind: what is exposed decides
    for row in same["tables"]["comparison"]:
        row.update(exposed_comm_s=0.25 * seconds)
    assert why(same)[0]["text"].startswith("Topology cannot matter here, although the network shows")
    slower = why(changed(compared, 256, step_time_s=base["step_time_s"] * 1.1))
    assert slower[0]["subject"] == "step"
    assert "(+10.00 %) against mpft" in slower[0]["text"]
    assert not any("topology cannot matter" in f["text"] for f in slower)


@pytest.fixture(scope="module")
def saved(compared: netsim.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    compared.save(folder, csv=True)
    return folder


def test_every_csv_of_the_page_reads_back(saved: Path) -> None:
    page, record = (saved / "report.html").read_text(), json.loads((saved / "report.json").read_text())
    found = dict(
        re.findall(r'download="([\w-]+)\.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)
    )
    for name, rows in {
        "comparison": "comparison", "breakdown": "breakdown", "binding": "binding", "bandwidth": "bandwidth",
        "collectives-in-step": "collectives", "latency-by-path": "latency", "bill-of-materials": "bill",
    }.items():  # fmt: skip
        read = list(csv.DictReader(io.StringIO(base64.b64decode(found[name]).decode())))
        assert len(read) == len(record["tables"][rows])
        for text, row in zip(read, record["tables"][rows], strict=True):
            for key, value in row.items():
                assert (float(text[key]) if isinstance(value, float) else text[key]) == _text(value)


def _text(value: Any) -> Any:
    return value if isinstance(value, float) else "" if value is None else str(value)


def test_files_hold_the_same(compared: netsim.Comparison, saved: Path) -> None:
    import pandas as pd

    assert {"report.html", "comparison.parquet", "bandwidth.csv"} <= {f.name for f in saved.iterdir()}
    record = json.loads((saved / "report.json").read_text())
    assert record == json.loads(json.dumps(compared.record))
    for name, rows in record["tables"].items():
        if not rows:
            assert not (saved / f"{name}.parquet").exists()
            continue
        read = pd.read_parquet(saved / f"{name}.parquet").astype(object)
        assert read.where(read.notna(), None).to_dict("records") == [
            {key: row.get(key) for key in read.columns} for row in rows
        ]
    with pytest.raises(NetsimError, match=r"already holds a report\.json"):
        compared.save(saved)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "compare",
        "--topologies",
        "mpft,ft3",
        "--gpus",
        "128",
        "--sizes",
        SIZES,
        "--no-bind",
        "--jobs",
        "1",
    ]
    assert run_app([*command, *ARGUMENTS, "--json", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    record = json.loads(said.out)
    assert record == json.loads((tmp_path / "out" / "report.json").read_text())
    asked = netsim.compare(["mpft", "ft3"], gpus=128, sizes=SIZES, bind=False, **JOB)
    assert record == json.loads(json.dumps(asked.record))
    assert "What binds" not in (tmp_path / "out" / "report.html").read_text()
    assert run_app([*command, *ARGUMENTS]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(record["recommendations"][0]["sentence"][:40])


def test_two_files_of_one_name(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text((catalog.folder("topology") / "mpft.toml").read_text())
    with pytest.raises(NetsimError, match=r"mpft and .*other\.toml have the same name = 'mpft'"):
        netsim.compare(["mpft", other], gpus=128, **JOB)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--topologies", "mpft,ft33"], "did you mean 'ft3'?"),
        (["--topologies", "mpft,,ft3"], "must be names with a comma between"),
        (["--topologies", "mpft,mpft"], "--topologies mpft: given twice"),
        (["--workloads", "deepseek-v4"], "no workload preset"),
        (["--gpus", "2048,x"], "must be whole numbers"),
        (["--gpus", "7"], "7"),
        (["--gpus", "2048,2048"], "--gpus 2048: given twice"),
        (["--sizes", "huge"], "must be bytes"),
        (["--prices", "publishd"], "did you mean 'published'?"),
        (["--hardware", "h801"], "did you mean 'h800'?"),
        (["--set", "switch.radios=1"], "unknown key"),
        (["--set", "batch.sequences=8"], "has no effect under weak scaling"),
        (["--routing", "magic"], "routing"),
        (["--scaling", "sideways", "--jobs", "1"], "weak"),
        (["--jobs", "0"], "--jobs"),
        (["--csv"], "add -o DIR"),
        (["--force"], "add -o DIR"),
        (["-o", "/proc/nowhere"], "cannot be created"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["compare", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert line in said.err
