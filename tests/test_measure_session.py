"""A measuring session with a bench that only pretends: order, budget, refusals, wrong results, interruption."""

from pathlib import Path

import pytest

from netsim.errors import NetsimError
from netsim.measure import provenance
from netsim.measure.plan import Measurement
from netsim.measure.session import Refused, WrongResult, measure_all
from netsim.measure.shapes import gemm
from netsim.measure.table import Table, read_rows
from netsim.measure.timing import Timing

PLAN = tuple(Measurement(gemm("bf16", m, 128, 128), "grid") for m in (64, 128, 256, 512))


class Pretend:
    """Takes ten seconds for each measurement."""

    gpu_name, torch_version = "pretend", "0"

    def __init__(self, failures: dict[int, Exception] | None = None) -> None:
        self.failures, self.seen, self.now = failures or {}, [], 0.0

    def measure(self, m: Measurement) -> tuple[Timing, float]:
        self.now += 10.0
        self.seen.append(m.shape.m)
        if m.shape.m in self.failures:
            raise self.failures[m.shape.m]
        return Timing(1.0, 1.0, 1.0, 1.0, 3), 1e-3

    def clock(self) -> float:
        return self.now


def open_table(folder: Path) -> Table:
    return Table(folder / "t.csv", "pretend", "0")


def test_a_second_session_measures_only_what_is_left(tmp_path: Path) -> None:
    bench = Pretend()
    with open_table(tmp_path) as table:
        first = measure_all(PLAN, bench, table, budget_s=15.0, clock=bench.clock)
    assert (first.measured, first.left, bench.seen) == (2, 2, [64, 128])
    with open_table(tmp_path) as table:
        second = measure_all(PLAN, bench, table)
    assert (second.found_done, second.measured, second.left) == (2, 2, 0)
    assert bench.seen == [64, 128, 256, 512]
    assert len(read_rows(tmp_path / "t.csv")) == 4


def test_a_refused_and_a_wrong_kernel_give_no_row_and_a_reason(tmp_path: Path) -> None:
    bench = Pretend({64: Refused("not on this GPU"), 256: WrongResult("relative error 0.5")})
    with open_table(tmp_path) as table:
        outcome = measure_all(PLAN, bench, table)
    assert outcome.measured == 2
    assert list(outcome.refused.values()) == ["not on this GPU"]
    assert list(outcome.wrong) == [PLAN[2].name]
    assert [row["m"] for row in read_rows(tmp_path / "t.csv")] == ["128", "512"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), NetsimError("the GPU stopped")])
def test_what_is_done_stays_readable_when_the_session_ends_early(tmp_path: Path, end: BaseException) -> None:
    with open_table(tmp_path) as table, pytest.raises(type(end)):
        measure_all(PLAN, Pretend({256: end}), table)  # type: ignore[dict-item]
    assert [row["m"] for row in read_rows(tmp_path / "t.csv")] == ["64", "128"]


def test_progress_counts_what_is_measured_now(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    with open_table(tmp_path) as table:
        measure_all(PLAN, Pretend(), table, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_sessions_add_up_in_the_provenance(tmp_path: Path) -> None:
    import tomllib

    table = tmp_path / "t.csv"
    for first_row, date in ((1, "Monday"), (1, "Tuesday"), (5, "Wednesday")):
        provenance.add_session(table, first_row, {"gpu": "pretend", "date": date}, seed=0, quick=False)
    found = tomllib.loads((tmp_path / "t.toml").read_text())
    # Monday's session added no row, so its facts say nothing of the table
    assert [(s["first_row"], s["date"]) for s in found["session"]] == [(1, "Tuesday"), (5, "Wednesday")]
    (tmp_path / "t.toml").write_text("not [ toml")
    with pytest.raises(NetsimError, match="in the way"):
        provenance.add_session(table, 6, {}, seed=0, quick=False)
