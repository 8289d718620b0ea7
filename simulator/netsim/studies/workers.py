"""Who computes the points: this process, worker processes of this machine, or a Dask cluster.

Dask does the scheduling: a worker that dies is replaced (on this machine) or done without (on a cluster), and what
it held is computed elsewhere. Every question has one key, so no answer is counted twice. At most a few questions per
worker are handed out at once, so a study of any length fits into memory and an interrupt wastes little.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netsim.errors import NetsimError
from netsim.studies.evaluate import FILES, changed_file, evaluate
from netsim.studies.question import StudyPoint

#: deaths of workers that a point may take part in before it is given up as failed
_DEATHS = 5
_AHEAD = 4


@dataclass(frozen=True)
class Workers:
    """How to compute: in this process (`jobs` 1), in so many processes, or at a scheduler's address."""

    jobs: int = 1
    scheduler: str | None = None
    timeout_s: float = 10.0

    @property
    def here(self) -> bool:
        """Whether this process computes, without Dask."""
        return self.scheduler is None and self.jobs == 1

    def check(self) -> None:
        """Raises NetsimError when Dask is needed and not installed."""
        if self.here or all(importlib.util.find_spec(name) for name in ("dask", "distributed")):
            return
        what = f"--scheduler {self.scheduler}" if self.scheduler else f"--jobs {self.jobs}"
        raise NetsimError(f"{what}: needs Dask: pip install 'netsim-codesign[dask]'")


@dataclass(frozen=True)
class Terms:
    """What every evaluation of a study shares."""

    gpu_usd_per_hour: float
    years: float


Answer = tuple[str, dict[str, Any]]


def answers(questions: Iterable[StudyPoint], terms: Terms, workers: Workers) -> Iterator[Answer]:
    """(id, row) of each question as it is finished, in no certain order.

    Raises NetsimError when there is no Dask, or no cluster at the address.
    """
    workers.check()
    if workers.here:
        for question in questions:
            yield (
                question.id,
                evaluate(question.as_values(), question.id, terms.gpu_usd_per_hour, terms.years),
            )
        return
    with _client(workers) as client:
        yield from _through(client, iter(questions), terms)


def _through(client: Any, questions: Iterator[StudyPoint], terms: Terms) -> Iterator[Answer]:
    from distributed import as_completed

    def submit(question: StudyPoint) -> Any:
        return client.submit(
            evaluate, question.as_values(), question.id, terms.gpu_usd_per_hour, terms.years,
            key=f"netsim-{question.id}", pure=False,
        )  # fmt: skip

    ahead = max(8, _AHEAD * sum(client.nthreads().values()))
    running = as_completed([], loop=client.loop)
    for question in itertools.islice(questions, ahead):
        running.add(submit(question))
    for future in running:
        point = future.key.removeprefix("netsim-")
        error = future.exception() if future.status == "error" else None
        if error is None and future.status == "finished":
            row = _agreed(future.result())
        else:
            row = {"status": "failed", "reason": _why(error, future.status)}
        future.release()
        following = next(questions, None)
        if following is not None:
            running.add(submit(following))
        yield point, row


def _agreed(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a worker, unless it read files that are others here."""
    name = changed_file(row.get(FILES, {}))
    if name is None:
        return row
    return {"status": "failed", "reason": f"the worker has another version of netsim or another file: {name}"}


def _why(error: BaseException | None, status: str) -> str:
    if type(error).__name__ == "KilledWorker":
        return f"{_DEATHS} workers died while they had it"
    return (
        " ".join(f"{type(error).__name__}: {error}".split()) if error else f"the cluster gave it up: {status}"
    )


@contextlib.contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    """A Dask client, and for `jobs` the cluster behind it; Dask's own chatter is kept off the terminal."""
    import dask
    import distributed

    settings = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        "distributed.worker.profile.enabled": False,
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(settings), warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        if workers.scheduler is None:
            with _importable_main(), _deaf_children():
                cluster = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers.jobs, threads_per_worker=1, processes=True, dashboard_address=None,
                        silence_logs=logging.CRITICAL, memory_limit=0,
                    )
                )  # fmt: skip
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        else:
            client = stack.enter_context(_reach(distributed, workers))
        yield client


@contextlib.contextmanager
def _importable_main() -> Iterator[None]:
    """Worker processes import the main module again; one that is no file (a pipe) cannot be, and is not needed."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or not path.startswith("<"):
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = path


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started inside do not hear Ctrl-C: a terminal sends it to all, and this one stops the others."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say so
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def _reach(distributed: Any, workers: Workers) -> Any:
    """A client of the cluster at the address.

    Raises NetsimError when nobody answers there in time, or has no workers.
    """
    address, seconds = str(workers.scheduler), workers.timeout_s
    try:
        asyncio.run(_greet(address, seconds))
        client = distributed.Client(address, timeout=seconds, set_as_default=False)
    except OSError:  # a timeout is one too
        raise NetsimError(f"--scheduler {address}: does not answer within {seconds:g} s") from None
    except (ValueError, TypeError) as error:
        raise NetsimError(f"--scheduler {address}: no address of a scheduler: {error}") from None
    try:
        client.wait_for_workers(1, timeout=seconds)
    except OSError:
        client.close()
        raise NetsimError(f"--scheduler {address}: has no workers after {seconds:g} s") from None
    return client


async def _greet(address: str, seconds: float) -> None:
    """Ask a scheduler who it is: a client of Dask would wait for ever at a port that listens and says nothing."""
    from distributed.core import connect

    async with asyncio.timeout(seconds):
        comm = await connect(address, timeout=seconds)
        try:
            await comm.write({"op": "identity", "reply": True})
            await comm.read()
        finally:
            comm.abort()
