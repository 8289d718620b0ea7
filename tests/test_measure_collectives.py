"""Measured collectives: the plan and its figures, the table, and processes that answer, lie, die or say nothing."""

import json
import os
import time
import tomllib
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from command import netsim
from netsim.errors import NetsimError
from netsim.measure.collectives import COLLECTIVES, ENVIRONMENT, Case, bandwidths_GBps, bus_factor, make_plan
from netsim.measure.collectives_rank import Job, Reply
from netsim.measure.collectives_session import Group, choose_backend, choose_gpus, measure_all
from netsim.measure.collectives_table import KEYS, Machine, Table, add_session, keys_of, read_rows

GLOO = Machine("gloo", "some processor", "2.13", "none")


# -- what is measured ------------------------------------------------------------------------------------------------


def test_the_plan_covers_every_collective_world_and_size() -> None:
    plan = make_plan(8, [64, 1 << 20], beside=True)
    assert len(plan) == len(set(plan)) == 3 * len(COLLECTIVES) * 2 * 2
    assert {case.gpus for case in plan} == {2, 4, 8}
    assert [case.gpus for case in plan] == sorted(
        case.gpus for case in plan
    )  # one group of processes a world


def test_one_gpu_has_nobody_to_send_to_and_no_bandwidth() -> None:
    plan = make_plan(1, [64], beside=False)
    assert {case.collective for case in plan} == set(COLLECTIVES) - {"send_recv"}
    assert bandwidths_GBps(plan[0], 1.0) is None


@pytest.mark.parametrize("size", [0, -4, 6, 36])
def test_a_size_that_does_not_split_is_refused(size: int) -> None:
    with pytest.raises(
        NetsimError, match=rf"--sizes: {size} B must be a multiple of 32: FP32 values of each of 8"
    ):
        make_plan(8, [size], beside=False)


def test_busbw_is_what_a_ring_moves_over_each_link() -> None:
    """A ring all-reduce of n ranks sends 2 (n-1) pieces of size/n from each; the others n-1 of them."""
    for gpus in (2, 4, 8):
        for collective in COLLECTIVES[:4]:
            pieces = (gpus - 1) * (2 if collective == "all_reduce" else 1)
            assert bus_factor(collective, gpus) == pytest.approx(pieces / gpus)


# -- the choice of machine -------------------------------------------------------------------------------------------


class Torch:
    """Sees some GPUs."""

    __version__ = "2.13"

    def __init__(self, gpus: int) -> None:
        self.cuda, self.gpus = self, gpus

    def is_available(self) -> bool:
        return self.gpus > 0

    def device_count(self) -> int:
        return self.gpus


def test_nccl_where_there_is_a_gpu() -> None:
    assert choose_backend(Torch(8), None) == "nccl"
    assert choose_backend(Torch(0), None) == "gloo"
    assert choose_backend(Torch(8), "gloo") == "gloo"
    assert choose_gpus(Torch(8), "nccl", None) == 8
    assert choose_gpus(Torch(0), "gloo", 4) == 4


@pytest.mark.parametrize(
    ("gpus", "backend", "wanted", "line"),
    [
        (0, "nccl", None, "--backend nccl: needs a CUDA GPU, and torch 2.13 sees none"),
        (0, "mpi", None, "--backend mpi: known: gloo, nccl"),
        (8, "nccl", 6, "--gpus 6: must be a power of two"),
        (2, "nccl", 4, "--gpus 4: torch sees 2 here"),
    ],
)
def test_what_is_not_there_is_refused(gpus: int, backend: str, wanted: int | None, line: str) -> None:
    with pytest.raises(NetsimError) as found:
        choose_gpus(Torch(gpus), choose_backend(Torch(gpus), backend), wanted)
    assert str(found.value) == line


# -- processes -------------------------------------------------------------------------------------------------------


def answers(job: Job, pipe: Connection) -> None:
    """Rank r takes 10 + r microseconds, and loses its first repetition if it is rank 1."""
    assert all(os.environ[name] == value for name, value in ENVIRONMENT.items())
    pipe.send("ready")
    while (case := pipe.recv()) is not None:
        lost = float("nan") if job.rank == 1 and case.beside == "gemm" else 10.0 + job.rank
        pipe.send(Reply([lost, *[10.0 + job.rank] * 7], launches=3))


def lies(job: Job, pipe: Connection) -> None:
    pipe.send("ready")
    while pipe.recv() is not None:
        pipe.send(Reply(wrong="rank 1: not the exact result from element 0 on" if job.rank else ""))


def dies(job: Job, pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()
    if job.rank:
        os._exit(7)
    time.sleep(60)


def says_nothing(job: Job, pipe: Connection) -> None:
    pipe.send("ready")
    time.sleep(60)


def does_not_start(job: Job, pipe: Connection) -> None:
    pipe.send(Reply(refused="no such device"))


def group(target: object) -> Group:
    return Group(2, "gloo", 0, 120.0, target)  # type: ignore[arg-type]


def test_the_slowest_rank_of_each_repetition_counts_and_a_session_goes_on_where_it_ended(
    tmp_path: Path,
) -> None:
    plan = make_plan(2, [64, 128], beside=True)
    path = tmp_path / "t.csv"
    with Table(path, GLOO) as table:
        first = measure_all(plan[:5], table, 0, start=lambda *_: group(answers))
    assert (first.measured, first.left) == (5, 0)
    with Table(path, GLOO) as table:
        rest = measure_all(plan, table, 0, start=lambda *_: group(answers))
    assert (rest.found_done, rest.measured, rest.left) == (5, len(plan) - 5, 0)
    rows = read_rows(path)
    assert [tuple(row[key] for key in KEYS) for row in rows] == [
        tuple(keys_of(case, "gloo").values()) for case in plan
    ]
    assert {row["time_us"] for row in rows} == {"11.000"}
    assert {(row["beside"], row["reps"]) for row in rows} == {("none", "8"), ("gemm", "7")}
    assert {row["launches"] for row in rows} == {"3"}
    one = next(row for row in rows if row["collective"] == "all_reduce" and row["size_bytes"] == "128")
    assert float(one["algbw_GBps"]) == pytest.approx(128 / 11e-6 / 1e9, rel=1e-4)


def test_a_wrong_result_gives_no_row(tmp_path: Path) -> None:
    plan = make_plan(2, [64], beside=False)
    with Table(tmp_path / "t.csv", GLOO) as table:
        outcome = measure_all(plan, table, 0, start=lambda *_: group(lies))
    assert (outcome.measured, len(outcome.wrong)) == (0, len(plan))
    assert read_rows(tmp_path / "t.csv") == []


@pytest.mark.parametrize(
    ("target", "timeout_s", "line"),
    [
        (dies, 30.0, "rank 1 ended with status 7 at all_reduce:2:64:none; rows done are kept"),
        (
            says_nothing,
            1.0,
            "no answer from rank 0, 1 at all_reduce:2:64:none within 1 s; rows done are kept",
        ),
        (does_not_start, 30.0, "gloo did not start among 2 processes: no such device"),
    ],
)
def test_a_rank_that_fails_ends_the_session_in_one_line(target: object, timeout_s: float, line: str) -> None:
    begun: list[Group] = []

    def session() -> None:
        with group(target) as members:
            begun.append(members)
            members.timeout_s = timeout_s  # that of the start is longer: a busy machine is no silent one
            members.measure(Case("all_reduce", 2, 64))

    with pytest.raises(NetsimError) as found:
        session()
    assert str(found.value) == line
    assert not any(process.is_alive() for members in begun for process in members.processes)


# -- the table -------------------------------------------------------------------------------------------------------


def test_a_table_belongs_to_one_machine(tmp_path: Path) -> None:
    with Table(tmp_path / "t.csv", GLOO) as table:
        measure_all(make_plan(2, [64], beside=False)[:1], table, 0, start=lambda *_: group(answers))
    with pytest.raises(NetsimError, match="choose another -o"):
        Table(tmp_path / "t.csv", Machine("nccl", "H200", "2.13", "2.28"))


@pytest.mark.parametrize(
    ("text", "line"),
    [("a,b\n1,2\n", "the columns differ"), (None, "cannot be read"), ("\xff", "the columns differ")],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, text: str | None, line: str) -> None:
    path = tmp_path / "t.csv"
    path.mkdir() if text is None else path.write_text(text, encoding="utf-8")
    with pytest.raises(NetsimError, match=line):
        Table(path, GLOO)


def test_the_provenance_lists_sessions_and_forgets_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for first_row, date in ((1, "2026-01-01"), (1, "2026-01-02"), (5, "2026-01-03")):
        add_session(path, first_row, {"date": date}, seed=0)
    facts = tomllib.loads((tmp_path / "t.toml").read_text(encoding="utf-8"))
    assert [(s["first_row"], s["date"]) for s in facts["session"]] == [(1, "2026-01-02"), (5, "2026-01-03")]
    (tmp_path / "t.toml").write_text("session = 3", encoding="utf-8")
    with pytest.raises(NetsimError, match="is in the way of the provenance"):
        add_session(path, 9, {}, seed=0)


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--gpus", "2"], "--gpus: has an effect only with --collectives or --step"),
        (["--collectives", "--quick"], "--quick: has no effect with --collectives"),
        (["--collectives"], "measure --collectives needs -o FILE.csv to write to"),
    ],
)
def test_options_without_effect_are_refused(arguments: list[str], line: str) -> None:
    done = netsim("measure", *arguments)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", f"netsim: {line}")


def test_gloo_among_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch, an optional extra")
    path = tmp_path / "t.csv"
    done = netsim(
        "measure",
        "--collectives",
        "--backend",
        "gloo",
        "--gpus",
        "2",
        "--sizes",
        "64B:1KiB",
        "-o",
        str(path),
        "--json",
    )
    assert (done.returncode, done.stderr.count("Warning")) == (0, 0), done.stderr
    assert json.loads(done.stdout)["measured"] == len(read_rows(path)) == 25
