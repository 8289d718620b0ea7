"""The CSV of `netsim measure`: whole rows, what is done already, and files that are something else."""

import csv
from pathlib import Path

import pytest

from netsim.errors import NetsimError
from netsim.measure.plan import Measurement
from netsim.measure.shapes import gemm, grouped_gemm
from netsim.measure.table import COLUMNS, Table, make_row, read_rows
from netsim.measure.timing import Timing

GPU, TORCH = "NVIDIA H200", "2.11.0"
TIMING = Timing(100.0, 99.0, 102.0, 98.5, 30, sm_clock_GHz=1.6)
ONE = Measurement(gemm("bf16", 4096, 4096, 4096), "workload", "shared_gateup_fwd")


def test_a_row_has_every_column_and_its_rates() -> None:
    row = make_row(ONE, TIMING, 1.7e-3, GPU, TORCH)
    assert tuple(row) == COLUMNS
    assert row["tflops"] == f"{2 * 4096**3 / 100e-6 / 1e12:.5g}"
    assert row["GBps"] == f"{3 * 2 * 4096**2 / 100e-6 / 1e9:.5g}"
    assert (row["side_GBps"], row["sm_clock_GHz"]) == ("", "1.6")


def test_rows_are_on_disk_as_soon_as_they_are_added(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "t.csv"
    with Table(path, GPU, TORCH) as table:
        table.add(make_row(ONE, TIMING, 0.0, GPU, TORCH))
        assert [row["operator"] for row in read_rows(path)] == ["shared_gateup_fwd"]


def test_a_table_opened_again_knows_what_it_holds(tmp_path: Path) -> None:
    skewed = Measurement(grouped_gemm("bf16", (16, 48), 256, 128), "random")
    even = Measurement(grouped_gemm("bf16", (32, 32), 256, 128), "random")
    hot = Measurement(ONE.shape, "workload", mode="hot")
    with Table(tmp_path / "t.csv", GPU, TORCH) as table:
        for m in (ONE, skewed):
            table.add(make_row(m, TIMING, 0.0, GPU, TORCH))
    with Table(tmp_path / "t.csv", GPU, TORCH) as table:
        assert table.missing([ONE, even, skewed, hot]) == [even, hot]
        # the same kernel drawn for another set is the same measurement
        assert table.missing([Measurement(ONE.shape, "grid")]) == []
    assert (tmp_path / "t.csv").read_text().count("kernel,") == 1


def test_rows_of_another_gpu_are_not_mixed_in(tmp_path: Path) -> None:
    with Table(tmp_path / "t.csv", GPU, TORCH) as table:
        table.add(make_row(ONE, TIMING, 0.0, GPU, TORCH))
    with pytest.raises(NetsimError, match="holds rows of NVIDIA H200"):
        Table(tmp_path / "t.csv", "NVIDIA H100", TORCH)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(NetsimError, match="columns differ"):
        Table(path, GPU, TORCH)


def test_a_cut_last_row_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with Table(path, GPU, TORCH) as table:
        table.add(make_row(ONE, TIMING, 0.0, GPU, TORCH))
    path.write_text(path.read_text()[:-40])
    with pytest.raises(NetsimError, match="line 2 has not"):
        read_rows(path)


SHIPPED = sorted((Path(__file__).parents[1] / "workloads" / "compute" / "measured").glob("h200.csv"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_tables_are_physical(path: Path) -> None:
    """No row beats the tensor cores at its own clock, or moves more than HBM and L2 could; nothing stands twice."""
    per_clock = {"bf16": 4096, "fp8_tensor": 8192, "fp8_row": 8192, "fp8_block": 8192}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    labels = ("kind", "set", "operator")
    keys = [tuple(r[c] for c in COLUMNS[:16] if c not in labels) for r in rows]
    assert len(keys) == len(set(keys)) > 2000
    for r in rows:
        assert 0 < float(r["min_us"]) <= float(r["p10_us"]) <= float(r["time_us"]) <= float(r["p90_us"])
        assert float(r["error_rel"]) < 0.04
        if r["tflops"]:
            sms = 132 - int(r["side_sms"])
            assert float(r["tflops"]) * 1e3 <= per_clock[r["dtype"]] * sms * float(r["sm_clock_GHz"]), r
    assert path.with_suffix(".toml").is_file()
