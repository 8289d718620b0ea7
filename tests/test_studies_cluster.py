"""200 points on a cluster that loses workers and a sweep that is killed: the table is that of one process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TABLES = ("table.parquet", "table.csv", "table.json")
STUDY = """
base.gpus = 64
base.schedule = "1f1b"
base.parallelism.pipeline = 1
[vary]
nics_per_host = [1, 2, 4, 8]
topology = ["ft2", "mrft"]
switch.radix = [16, 32, 48, 64, 128]
batch.microbatches = [1, 2, 3, 4, 5]
"""


def command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "netsim",
        "sweep",
        str(folder.parent / "study.toml"),
        "-o",
        str(folder),
        "-q",
        *more,
    ]


def finished(folder: Path) -> int:
    path = folder / "points.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(folder: Path, points: int, running: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    while finished(folder) < points:
        assert running.poll() is None, "the sweep ended early"
        assert time.monotonic() - began < 300
        time.sleep(0.05)


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


def children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" (", 1)
        except OSError:
            continue
        if int(rest.rpartition(")")[2].split()[1]) == process:
            found.append(int(number))
    return found


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The table of one process, and its seconds."""
    home = tmp_path_factory.mktemp("studies")
    (home / "study.toml").write_text(STUDY)
    began = time.monotonic()
    subprocess.run(command(home / "serial"), check=True, timeout=600)
    return home / "serial", time.monotonic() - began


def test_two_local_workers_make_the_same_table(serial: tuple[Path, float]) -> None:
    folder = serial[0].with_name("two")
    began = time.monotonic()
    subprocess.run(command(folder, "--jobs", "2"), check=True, timeout=600)
    print(f"200 points: {serial[1]:.1f} s in one process, {time.monotonic() - began:.1f} s on two workers")
    assert finished(folder) == 200
    assert bytes_of(folder) == bytes_of(serial[0])


def test_a_killed_worker_and_then_a_killed_sweep_lose_and_double_nothing(serial: tuple[Path, float]) -> None:
    folder = serial[0].with_name("killed")
    with subprocess.Popen(command(folder, "--jobs", "2"), start_new_session=True) as running:
        wait_for(folder, 20, running)
        # workers are the children that run netsim; the resource tracker of multiprocessing is another
        workers = [
            c for c in children(running.pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()
        ]
        os.kill(workers[0], signal.SIGKILL)
        wait_for(folder, 60, running)
        running.kill()
    assert 60 <= finished(folder) < 200
    before = finished(folder)
    subprocess.run(command(folder, "--jobs", "2"), check=True, timeout=600)
    lines = (folder / "points.jsonl").read_text().splitlines()
    assert len(lines) == 200, f"{before} before, nothing twice"
    assert bytes_of(folder) == bytes_of(serial[0])


def test_ctrl_c_leaves_a_table_of_what_is_done(serial: tuple[Path, float]) -> None:
    folder = serial[0].with_name("interrupted")
    with subprocess.Popen(
        command(folder, "--jobs", "2"), start_new_session=True, stderr=subprocess.PIPE
    ) as running:
        wait_for(folder, 20, running)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.decode().splitlines()[-1] == "netsim: interrupted"
    assert b"Traceback" not in said
    assert (folder / "table.csv").read_text().count("\n") == finished(folder) + 1


@contextmanager
def cluster(home: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each started on its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home}
    host, port = address.removeprefix("tcp://").split(":")
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", host, "--port", port, "--no-dashboard"], **quiet
    )
    workers = [
        subprocess.Popen(
            [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"], **quiet
        )
        for _ in range(2)
    ]
    try:
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_real_scheduler_with_two_workers_one_of_which_dies(
    serial: tuple[Path, float], tmp_path: Path
) -> None:
    folder = serial[0].with_name("cluster")
    with cluster(tmp_path) as (address, workers):
        arguments = command(folder, "--scheduler", address, "--scheduler-timeout", "60")
        with subprocess.Popen(arguments) as running:
            wait_for(folder, 60, running)
            workers[0].kill()
            assert running.wait(timeout=600) == 0
    assert finished(folder) == 200
    assert bytes_of(folder) == bytes_of(serial[0])
