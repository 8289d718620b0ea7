"""One function over many arguments, in fresh processes or in turn; what is returned does not depend on which."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from netsim.errors import NetsimError

T = TypeVar("T")


def run_all(
    function: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[T]:
    """`function(*each)` for each of `arguments`, in their order; `progress` is told (done, all) as they end.

    Raises NetsimError when a process dies.
    """
    found: dict[int, T] = {}
    split = jobs > 1 and len(arguments) > 1
    for n, result in _in_processes(function, arguments, jobs) if split else _in_turn(function, arguments):
        found[n] = result
        if progress is not None:
            progress(len(found), len(arguments))
    return [found[n] for n in range(len(arguments))]


def _in_turn(function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, T]]:
    for n, each in enumerate(arguments):
        yield n, function(*each)


def _in_processes(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, T]]:
    """In the order in which they end. Workers start fresh: a fork of a process with threads may hang."""
    fresh = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(min(jobs, len(arguments)), mp_context=fresh) as pool:
        futures = {pool.submit(function, *each): n for n, each in enumerate(arguments)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            rule = f"--jobs {jobs}: a worker process died (out of memory?); try --jobs 1"
            raise NetsimError(rule) from None
        except KeyboardInterrupt:
            # a worker would finish its part and take the next, and the pool wait for it
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
