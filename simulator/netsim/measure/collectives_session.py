"""A session: processes for each world size, told one case after another, each row written as it is done.

The parent never communicates itself: it waits for the answers with a deadline, so that a rank that hangs or dies
ends the session in one line, and no process outlives it.
"""

from __future__ import annotations

import datetime
import importlib
import math
import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import netsim
from netsim.errors import NetsimError
from netsim.measure.collectives import ENVIRONMENT, Case
from netsim.measure.collectives_rank import FEWEST_REPS, Job, Reply, rank_main
from netsim.measure.collectives_table import Machine, Table, make_row
from netsim.measure.session import Outcome
from netsim.measure.timing import summarise

#: longest that a case, and the start of all processes, may take
TIMEOUT_S = 120.0


def load_torch() -> Any:
    """torch with torch.distributed; it may see no GPU.

    Raises NetsimError with one clear line otherwise.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise NetsimError(
            "measure --collectives needs torch: pip install 'netsim-codesign[measure]'"
        ) from None
    if not importlib.import_module("torch.distributed").is_available():
        raise NetsimError(
            f"measure --collectives needs torch.distributed, and torch {torch.__version__} lacks it"
        )
    return torch


def choose_backend(torch: Any, wanted: str | None) -> str:
    """Nccl where there is a GPU, else gloo.

    Raises NetsimError for another name, or NCCL without a GPU.
    """
    if wanted not in (None, "nccl", "gloo"):
        raise NetsimError(f"--backend {wanted}: known: gloo, nccl")
    has_gpu = bool(torch.cuda.is_available())
    if wanted == "nccl" and not has_gpu:
        raise NetsimError(f"--backend nccl: needs a CUDA GPU, and torch {torch.__version__} sees none")
    return wanted or ("nccl" if has_gpu else "gloo")


def choose_gpus(torch: Any, backend: str, wanted: int | None) -> int:
    """GPUs of this host, or as many of them (with gloo: processes) as are wanted.

    Raises NetsimError for more than there are, or no power of two.
    """
    there = torch.cuda.device_count() if backend == "nccl" else 2
    if wanted is None:
        return int(there)
    if wanted & (wanted - 1):
        raise NetsimError(f"--gpus {wanted}: must be a power of two")
    if backend == "nccl" and wanted > there:
        raise NetsimError(f"--gpus {wanted}: torch sees {there} here")
    return wanted


def machine_of(torch: Any, backend: str) -> Machine:
    """What all rows of this session share."""
    if backend == "nccl":
        nccl = ".".join(map(str, importlib.import_module("torch.cuda.nccl").version()))
        return Machine(backend, str(torch.cuda.get_device_name(0)), str(torch.__version__), nccl)
    return Machine(backend, _processor(), str(torch.__version__), "none")


def provenance(torch: Any, machine: Machine, gpus: int, seed: int) -> dict[str, object]:
    """What must be known of the machine to read its timings."""
    facts: dict[str, object] = {
        "backend": machine.backend,
        "gpus" if machine.backend == "nccl" else "processes": gpus,
        "nccl": machine.nccl,
        "host_cpus": os.cpu_count() or 0,
        "processor": _processor(),
        "kernel": platform.release(),
        "torch": machine.torch,
        "netsim": netsim.__version__,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }
    if machine.backend == "nccl":
        from netsim.measure.device import Gpu

        facts |= Gpu(seed).provenance()
        facts["gpus_here"] = torch.cuda.device_count()
    settings = {
        k: v for k, v in sorted(os.environ.items()) if k.startswith(("NCCL_", "GLOO_", "CUDA_VISIBLE"))
    }
    return facts | {"environment": settings | ENVIRONMENT}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


@contextmanager
def _for_children() -> Iterator[None]:
    """What processes started meanwhile inherit: the settings, and deafness to the terminal's Ctrl-C."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Group:
    """The processes of one world size; leaving the context ends them, whatever they do.

    Raises NetsimError when one dies, or does not answer in time.
    """

    def __init__(
        self,
        world: int,
        backend: str,
        seed: int,
        timeout_s: float = TIMEOUT_S,
        target: Callable[[Job, Connection], None] = rank_main,
    ) -> None:
        self.timeout_s = timeout_s
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []
        self._folder = tempfile.TemporaryDirectory(prefix="netsim-measure-")
        context = multiprocessing.get_context("spawn")
        try:
            with _for_children():
                for rank in range(world):
                    here, there = context.Pipe()
                    job = Job(rank, world, backend, f"{self._folder.name}/store", seed, timeout_s)
                    process = context.Process(target=target, args=(job, there), daemon=True)
                    process.start()
                    there.close()
                    self.processes.append(process)
                    self.pipes.append(here)
            for reply in self._replies("the start"):
                if isinstance(reply, Reply):
                    raise NetsimError(f"{backend} did not start among {world} processes: {reply.refused}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._dismiss()
        self.close()

    def measure(self, case: Case) -> list[Reply]:
        """The answer of every rank."""
        for rank, pipe in enumerate(self.pipes):
            try:
                pipe.send(case)
            except OSError:
                raise self._died(rank, case.name) from None
        return self._replies(case.name)

    def _replies(self, what: str) -> list[Any]:
        replies: dict[int, Any] = {}
        deadline = time.monotonic() + self.timeout_s
        while len(replies) < len(self.pipes):
            waiting = {pipe: rank for rank, pipe in enumerate(self.pipes) if rank not in replies}
            ready = multiprocessing.connection.wait(list(waiting), max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._silent(what, list(waiting.values()), replies)
            for pipe in ready:
                rank = waiting[pipe]  # type: ignore[index]
                try:
                    replies[rank] = self.pipes[rank].recv()
                except (EOFError, OSError):
                    raise self._died(rank, what) from None
        return [replies[rank] for rank in sorted(replies)]

    def _died(self, rank: int, what: str) -> NetsimError:
        self.processes[rank].join(5)
        status = self.processes[rank].exitcode
        return NetsimError(f"rank {rank} ended with status {status} at {what}; rows done are kept")

    def _silent(self, what: str, ranks: list[int], replies: dict[int, Any]) -> NetsimError:
        said = [r.refused for r in replies.values() if isinstance(r, Reply) and r.refused]
        why = f" ({said[0]})" if said else ""
        names = ", ".join(map(str, ranks))
        return NetsimError(
            f"no answer from rank {names} at {what} within {self.timeout_s:g} s{why}; rows done are kept"
        )

    def _dismiss(self) -> None:
        """Let them leave by themselves, for a while."""
        for pipe in self.pipes:
            try:
                pipe.send(None)
            except OSError:
                continue
        deadline = time.monotonic() + 10
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End what still runs; nothing is left of it."""
        for process in self.processes:
            if process.is_alive():
                process.kill()
        for process in self.processes:
            process.join()
        for pipe in self.pipes:
            pipe.close()
        self._folder.cleanup()


def slowest(replies: Iterable[Reply]) -> list[float]:
    """Each repetition as its slowest rank saw it; one that a rank could not keep is left out.

    >>> slowest([Reply([1.0, 5.0, 2.0]), Reply([3.0, 4.0, math.nan])])
    [3.0, 5.0]
    """
    columns = zip(*(reply.samples_us for reply in replies), strict=True)
    return [max(times) for times in columns if not any(map(math.isnan, times))]


def measure_all(
    plan: Iterable[Case],
    table: Table,
    seed: int,
    budget_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    start: Callable[[int, str, int], Group] = Group,
) -> Outcome:
    """Measure what the table lacks, until the budget is spent; no case is begun after that."""
    began, plan = time.monotonic(), tuple(plan)
    todo = table.missing(plan)
    outcome = Outcome(planned=len(plan), found_done=len(plan) - len(todo), left=len(todo))
    for world, cases in groupby(todo, key=lambda case: case.gpus):
        if budget_s is not None and time.monotonic() - began >= budget_s:
            break
        with start(world, table.machine.backend, seed) as group:
            for case in cases:
                if budget_s is not None and time.monotonic() - began >= budget_s:
                    break
                _one(case, group, table, outcome)
                outcome.left -= 1
                if progress is not None:
                    progress(len(todo) - outcome.left, len(todo))
    outcome.seconds = time.monotonic() - began
    return outcome


def _one(case: Case, group: Group, table: Table, outcome: Outcome) -> None:
    replies = group.measure(case)
    wrong = [reply.wrong for reply in replies if reply.wrong]
    refused = [reply.refused for reply in replies if reply.refused]
    if wrong or refused:
        (outcome.wrong if wrong else outcome.refused)[case.name] = (wrong or refused)[0]
        return
    samples = slowest(replies)
    if len(samples) < FEWEST_REPS:
        outcome.refused[case.name] = f"the compute beside ended first in all but {len(samples)} repetitions"
        return
    table.add(make_row(case, summarise(samples), replies[0].launches, table.machine))
    outcome.measured += 1
