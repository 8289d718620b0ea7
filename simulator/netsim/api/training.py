"""One training step: `netsim run` as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pandas as pd

from netsim.api.arguments import Asked, Name, question_of
from netsim.api.frames import bill_frame, latency_frame
from netsim.specs.question import Question

if TYPE_CHECKING:
    from netsim.training.simulate import Step


@dataclass(frozen=True, eq=False)
class Run:
    """One simulated training step: `record` as `netsim run --json` prints it, and `step` with every detail."""

    record: dict[str, Any]
    step: Step

    @cached_property
    def headline(self) -> pd.DataFrame:
        """One row of what is asked first: step time, tokens/day, MFU, exposed communication, cost and power."""
        from netsim.training.headline import headline

        return pd.DataFrame([headline(self.record)])

    @cached_property
    def phases(self) -> pd.DataFrame:
        """Seconds of a rank by phase: mean over ranks, least and most."""
        step = self.record["step"]
        rows = [
            {"phase": phase, "mean_s": mean, "least_s": low, "most_s": high}
            for (phase, mean), (low, high) in zip(
                step["phases_s"].items(), step["phases_range_s"].values(), strict=True
            )
        ]
        return pd.DataFrame(rows)

    @cached_property
    def collectives(self) -> pd.DataFrame:
        """A row a kind of collective: count, times, bytes, rates and what bound it."""
        return pd.DataFrame(self.record["collectives"])

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        return latency_frame(self.record)

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bill of materials, a row a part."""
        return bill_frame(self.record)

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """Every task that ran (`tasks.parquet` of a run directory)."""
        from netsim.training.tables import tasks_table

        return tasks_table(self.step)

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """Every task that moved data (`collectives.parquet` of a run directory)."""
        from netsim.training.tables import collectives_table

        return collectives_table(self.step)

    @cached_property
    def links(self) -> pd.DataFrame:
        """Every link (class) that some flow crosses: capacity, bytes, time busy (`links.parquet`)."""
        from netsim.training.tables import links_table

        return links_table(self.step)

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the run directory of `netsim run -o`; returns its files."""
        from netsim.reports import rundir

        rundir.prepare(Path(folder), force)
        return rundir.write_run(Path(folder), self.step, self.record, csv)


def run(
    topology: Name | Question = "mpft",
    gpus: int = 2048,
    workload: Name = "deepseek-v3",
    *,
    progress: Callable[[int, int], None] | None = None,
    **more: Unpack[Asked],
) -> Run:
    """Simulate one training step, as `netsim run` does.

    topology : a fabric, or a whole `Question`, of which `more` changes fields; more : see `Asked`; progress : told
    (done, all) tasks

    Raises NetsimError for a name, key or value that is wrong, and for what cannot be built, StalledError for a step
    that faults keep from ever ending.
    """
    from netsim.analysis.answer import answer

    step, record = answer(question_of(topology, gpus, workload, more), progress)
    return Run(record, step)
