"""A study, run: what is not yet in the store is computed, and the store becomes the table.

The table is made from the store and the study alone, so that it is the same, bit for bit, after one run or five
interrupted ones, with one worker or many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.studies.points import points
from netsim.studies.question import StudyPoint
from netsim.studies.spec import StudySpec
from netsim.studies.store import Store, open_store
from netsim.studies.table import tidy, write_tables
from netsim.studies.workers import Terms, Workers, answers

#: told (finished, all, status of the one just finished)
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Outcome:
    """The table of a study, and how it came about."""

    spec: StudySpec
    records: list[dict[str, Any]]
    reused: int
    computed: int

    def count(self, status: str) -> int:
        """Points of a status: ok, invalid or failed."""
        return sum(record["status"] == status for record in self.records)

    @property
    def ok(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["status"] == "ok"]


def sweep(
    spec: StudySpec,
    folder: Path,
    workers: Workers | None = None,
    fresh: bool = False,
    report: Report | None = None,
) -> Outcome:
    """Compute the points that the folder does not hold yet, and write the table.

    An interrupt leaves every finished point in the store, and a table of them. `fresh` forgets what was there.

    Raises NetsimError for a study, a folder or a cluster that cannot be used.
    """
    workers = workers or Workers()
    workers.check()  # before there is a folder
    with open_store(folder, fresh) as store:
        return _sweep(spec, folder, store, workers, report)


def _sweep(spec: StudySpec, folder: Path, store: Store, workers: Workers, report: Report | None) -> Outcome:
    asked = list(points(spec))
    unique = {point.question.id: point.question for point in asked}
    wanted = [question for point, question in unique.items() if not store.done(point)]
    reused = len(unique) - len(wanted)
    try:
        finished = reused
        for point, row in compute(wanted, spec, workers):
            store.add(point, row)
            finished += 1
            if report is not None:
                report(finished, len(unique), row["status"])
    finally:
        records = tidy(asked, store.rows)
        write_tables(folder, records)
    return Outcome(spec, records, reused, len(wanted))


def compute(
    wanted: list[StudyPoint], spec: StudySpec, workers: Workers
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of questions under the terms of a study; no worker is started for nothing."""
    if wanted:
        yield from answers(wanted, Terms(spec.gpu_usd_per_hour, spec.years), workers)
