"""What one process of a measurement does: join the group, then run, check and time each case it is told.

A rank answers every case with its own samples; how many there are was agreed with the others beforehand, so that
none waits alone. It ends with its parent, and leaves Ctrl-C to it.
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

from netsim.measure.collectives import ENVIRONMENT, ITEM_BYTES, Case

#: values of a rank repeat after so many: a prime, so that a shift or a swapped piece is seen
PERIOD = 4099
#: how long a repetition lasts, and how long all of a case
SAMPLE_S, CASE_S = 1e-3, 0.4
FEWEST_REPS, MOST_REPS, MOST_LAUNCHES, WARM_UPS = 7, 41, 20, 5
GEMM_SIDE, MOST_GEMMS = 4096, 800
_CHECKED_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Job:
    """What a rank must know to join."""

    rank: int
    world: int
    backend: str
    store: str
    seed: int
    timeout_s: float


@dataclass(frozen=True)
class Reply:
    """A rank's answer: times of each repetition, or why there is none."""

    samples_us: list[float] = field(default_factory=list)
    launches: int = 0
    wrong: str = ""
    refused: str = ""


def effort(once_s: float) -> tuple[int, int]:
    """Repetitions, and launches in each, of a collective that takes about this long.

    >>> effort(1e-5), effort(1e-3), effort(0.1)
    ((41, 20), (41, 1), (7, 1))
    """
    launches = min(MOST_LAUNCHES, max(1, math.ceil(SAMPLE_S / max(once_s, 1e-6))))
    return min(MOST_REPS, max(FEWEST_REPS, round(CASE_S / max(once_s * launches, 1e-6)))), launches


def rank_main(job: Job, pipe: Connection) -> None:
    """Entry point of a process: answer "ready", then one Reply a Case, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    os.environ.update(ENVIRONMENT)
    try:
        rank = Rank(job)
        pipe.send("ready")
        while (case := pipe.recv()) is not None:
            pipe.send(rank.answer(case))
        rank.dist.destroy_process_group()
    except EOFError:
        pass
    except Exception as error:
        pipe.send(Reply(refused=_line(error)))
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


class Rank:
    """One member of the group, on a GPU of its own or on the CPU."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.torch = torch = importlib.import_module("torch")
        self.dist = importlib.import_module("torch.distributed")
        dist = self.dist  # torch 2.13 has new names for these two, and warns of the old ones
        self.scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        self.gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
        self.cuda = job.backend == "nccl"
        self.device = torch.device("cuda", job.rank) if self.cuda else torch.device("cpu")
        if self.cuda:
            torch.cuda.set_device(self.device)
            self.side = torch.cuda.Stream()
        else:
            torch.set_num_threads(1)
        self.dist.init_process_group(
            job.backend,
            store=self.dist.FileStore(job.store, job.world),
            rank=job.rank,
            world_size=job.world,
            timeout=timedelta(seconds=job.timeout_s),
        )
        random = torch.Generator().manual_seed(job.seed)
        drawn = torch.randint(0, 128, (job.world, PERIOD), generator=random, dtype=torch.float32)
        self.values = drawn.to(self.device)
        self._agreed(0.0)  # makes the connections

    def answer(self, case: Case) -> Reply:
        """Measure one case, all ranks together; a rank that lacks memory keeps all from beginning."""
        try:
            operation: Operation | None = Operation(self, case)
            why = ""
        except RuntimeError as error:  # out of memory is one of them
            operation, why = None, _line(error)
        if self._agreed(0.0 if operation else 1.0) or operation is None:
            return Reply(refused=why or "another rank has not the memory")
        try:
            return self._measure(case, operation)
        except RuntimeError as error:
            return Reply(refused=_line(error))

    def _measure(self, case: Case, operation: Operation) -> Reply:
        wrong = operation.wrong()
        if self._agreed(1.0 if wrong else 0.0):  # else the right ones would wait for this one
            return Reply(wrong=wrong or "another rank's result is not the exact one")
        operation.refill()
        once_s = self._agreed(self._timed(operation.run, WARM_UPS) / WARM_UPS)
        reps, launches = effort(once_s)
        measure = self._beside if case.beside == "gemm" else self._alone
        samples = [1e6 * s / launches for s in measure(operation, reps, launches)]
        return Reply(samples, launches, wrong=operation.wrong())

    def _alone(self, operation: Operation, reps: int, launches: int) -> Iterator[float]:
        for _ in range(reps):
            operation.refill()
            self._barrier()
            yield self._timed(operation.run, launches)

    def _beside(self, operation: Operation, reps: int, launches: int) -> Iterator[float]:
        """As alone, each time next to queued products; NaN when they ended first, and then more are queued."""
        torch = self.torch
        a = torch.randn(GEMM_SIDE, GEMM_SIDE, device=self.device, dtype=torch.bfloat16)
        out = torch.empty_like(a)
        gemm_s = self._timed(lambda: torch.mm(a, a, out=out), WARM_UPS) / WARM_UPS
        once_s = self._timed(operation.run, launches)
        gemms = min(MOST_GEMMS, math.ceil((4 * once_s + 0.005) / gemm_s))
        for _ in range(reps):
            operation.refill()
            self._barrier()
            with torch.cuda.stream(self.side):
                for _ in range(gemms):
                    torch.mm(a, a, out=out)
                ended = torch.cuda.Event()
                ended.record()
            seconds = self._timed(operation.run, launches)
            covered = not ended.query()
            self.side.synchronize()
            gemms = gemms if covered else min(MOST_GEMMS, 2 * gemms)
            yield seconds if covered else math.nan

    def _timed(self, run: Callable[[], Any], launches: int) -> float:
        """Seconds of some launches back to back, from an idle start to the end of the last."""
        if not self.cuda:
            began = time.perf_counter()
            for _ in range(launches):
                run()
            return time.perf_counter() - began
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(launches):
            run()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) * 1e-3

    def _agreed(self, value: float) -> float:
        """The largest of all ranks."""
        shared = self.torch.tensor([value], dtype=self.torch.float64, device=self.device)
        self.dist.all_reduce(shared, op=self.dist.ReduceOp.MAX)
        return float(shared)

    def _barrier(self) -> None:
        """All ranks are here, and nothing is left to do on the device."""
        self._agreed(0.0)


class Operation:
    """A collective with its buffers; element i of what rank r gives is value i mod PERIOD of r."""

    def __init__(self, rank: Rank, case: Case) -> None:
        self.rank, self.case, self.world = rank, case, case.gpus
        self.count = case.size_bytes // ITEM_BYTES
        self.piece = self.count // self.world
        make = rank.torch.empty
        given = self.piece if case.collective == "all_gather" else self.count
        taken = self.piece if case.collective == "reduce_scatter" else self.count
        self.given = make(given, device=rank.device)
        self.taken = self.given if case.in_place else make(taken, device=rank.device)
        self.run: Callable[[], Any] = getattr(self, f"_{case.collective}")

    def refill(self) -> None:
        """The operand as it was; sums in place would grow without end."""
        self._fill(self.given, self.rank.values[self.rank.job.rank])

    def _fill(self, buffer: Any, values: Any) -> None:
        whole = buffer.numel() // PERIOD * PERIOD
        buffer[:whole].view(-1, PERIOD).copy_(values)
        buffer[whole:].copy_(values[: buffer.numel() - whole])

    def wrong(self) -> str:
        """Run once and compare everything with the exact result; says where it differs, else nothing."""
        self.refill()
        if self.taken is not self.given:
            self.taken.fill_(-1)
        self.run()
        for begin, length, values, offset in self._expected():
            for at in range(0, length, _CHECKED_AT_ONCE):
                part = self.taken[begin + at : begin + min(length, at + _CHECKED_AT_ONCE)]
                index = (self.rank.torch.arange(part.numel(), device=part.device) + offset + at) % PERIOD
                if not self.rank.torch.equal(part, values[index]):
                    return f"rank {self.rank.job.rank}: not the exact result from element {begin + at} on"
        return ""

    def _expected(self) -> list[tuple[int, int, Any, int]]:
        """Pieces of the result: first element, length, the values that repeat in it, and from which one."""
        values, me, piece = self.rank.values, self.rank.job.rank, self.piece
        match self.case.collective:
            case "all_reduce":
                return [(0, self.count, values.sum(0), 0)]
            case "reduce_scatter":
                return [(0, piece, values.sum(0), me * piece)]
            case "all_gather":
                return [(r * piece, piece, values[r], 0) for r in range(self.world)]
            case "all_to_all":
                return [(r * piece, piece, values[r], me * piece) for r in range(self.world)]
            case _:
                return [(0, self.count, values[(me - 1) % self.world], 0)]

    def _all_reduce(self) -> None:
        self.rank.dist.all_reduce(self.given)

    def _reduce_scatter(self) -> None:
        self.rank.scatter(self.taken, self.given)

    def _all_gather(self) -> None:
        self.rank.gather(self.taken, self.given)

    def _all_to_all(self) -> None:
        self.rank.dist.all_to_all_single(self.taken, self.given)

    def _send_recv(self) -> None:
        dist, me = self.rank.dist, self.rank.job.rank
        both = [
            dist.P2POp(dist.isend, self.given, (me + 1) % self.world),
            dist.P2POp(dist.irecv, self.taken, (me - 1) % self.world),
        ]
        for work in dist.batch_isend_irecv(both):
            work.wait()
