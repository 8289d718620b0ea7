"""Progress of a study on stderr: a bar with the time left for a person, a line now and then for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 10.0


@contextmanager
def study_progress(count: int, quiet: bool) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yields `report(finished, all, status)`, or None when nobody wants to know."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(count) as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _bar(count: int) -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("points", total=count)
        yield lambda done, total, _status: bar.update(shown, completed=done, total=total)


def _lines() -> Callable[[int, int, str], None]:
    began = last = time.monotonic()
    first: int | None = None

    def report(done: int, total: int, _status: str) -> None:
        nonlocal last, first
        first = done - 1 if first is None else first
        now = time.monotonic()
        if now - last >= EVERY_S and done < total:
            last = now
            left = (now - began) / (done - first) * (total - done)
            print(f"{done:,} of {total:,} points, about {left:.0f} s left", file=sys.stderr, flush=True)

    return report
