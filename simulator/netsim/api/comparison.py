"""The same jobs on several fabrics: `netsim compare` as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from netsim.api.arguments import Asked, Name, count, names, question_of
from netsim.errors import NetsimError


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fabrics side by side: `record` as `netsim compare --json` prints it, and its tables as frames."""

    record: dict[str, Any]

    def _frame(self, name: str) -> pd.DataFrame:
        return pd.DataFrame(self.record["tables"][name])

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a fabric, job and size: step, throughput, price, power, latency; `error` says why one is left out."""
        return self._frame("comparison")

    @cached_property
    def breakdown(self) -> pd.DataFrame:
        """Compute, idle time in chunks, bubble and tail of each step, in seconds."""
        return self._frame("breakdown")

    @cached_property
    def binding(self) -> pd.DataFrame:
        """The gain in step time from 10 % more of each resource."""
        return self._frame("binding")

    @cached_property
    def collectives(self) -> pd.DataFrame:
        """Collectives inside the step, a row a fabric and kind."""
        return self._frame("collectives")

    @cached_property
    def bandwidth(self) -> pd.DataFrame:
        """All-to-all and all-reduce on the idle fabrics over message sizes."""
        return self._frame("bandwidth")

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        return self._frame("latency")

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bills of materials, a row a part."""
        return self._frame("bill")

    @cached_property
    def recommendations(self) -> list[str]:
        """What to take, a sentence for each job and size."""
        return [advice["sentence"] for advice in self.record["recommendations"]]

    @cached_property
    def findings(self) -> list[str]:
        """What changed and why, in sentences."""
        return [finding["text"] for finding in self.record["findings"]]

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the report of `netsim compare -o`; returns its files."""
        from netsim.reports.comparison import files

        files.prepare(Path(folder), force)
        return files.write(Path(folder), self.record, csv)


def compare(
    topologies: Sequence[Name],
    workloads: Sequence[Name] | Name = "deepseek-v3",
    gpus: Sequence[int] | int = 2048,
    *,
    sizes: str | None = None,
    bind: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **more: Unpack[Asked],
) -> Comparison:
    """Simulate the same jobs on several fabrics and say what differs, as `netsim compare` does.

    sizes : message sizes of the curves on idle fabrics; bind : also simulate each step with 10 % more of each resource;
    jobs : processes, which change nothing but the time; progress : told (done, all) parts

    Raises NetsimError for a name, key or value that is wrong, and when nothing can be simulated.
    """
    from netsim.analysis.comparison import CompareRequest
    from netsim.analysis.comparison import compare as ask
    from netsim.analysis.comparison.question import SIZES

    several = gpus if isinstance(gpus, Iterable) else [gpus]
    if more.get("gpu_hour_usd") is not None:
        raise NetsimError("gpu_hour_usd: has no effect on a comparison")
    request = CompareRequest(
        names(topologies), names(workloads), tuple(count("gpus", n) for n in several),
        question_of("", 0, "", more), sizes or SIZES, bind,
    )  # fmt: skip
    return Comparison(ask(request, count("jobs", jobs), progress))
