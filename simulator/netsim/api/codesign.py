"""What the choices of DeepSeek-V3 are worth, and its hardware story: `compare --ablate` and `claims` as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from netsim.api.arguments import Asked, Name, count, question_of
from netsim.specs.question import Question


@dataclass(frozen=True, eq=False)
class Ablation:
    """One job with and without each choice: `record` as `netsim compare --ablate ... --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a choice, the job itself first: step, memory, NIC bytes, network price, KV cache, time per token."""
        return pd.DataFrame(self.record["tables"]["ablation"])

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the report of `netsim compare --ablate ... -o`; returns its files."""
        from netsim.reports.codesign.ablation_page import document
        from netsim.reports.comparison import files

        files.prepare(Path(folder), force)
        return files.write(Path(folder), self.record, csv, document)


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims beside what is computed: `record` as `netsim claims --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a claim: what the paper says, what netsim computes, a verdict, and where it stops being true."""
        return pd.DataFrame(self.record["tables"]["claims"])

    @cached_property
    def wall(self) -> list[str]:
        """The memory wall over context and model size, in sentences."""
        return list(self.record["wall"])

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the report of `netsim claims -o`; returns its files."""
        from netsim.reports.codesign.claims_page import document
        from netsim.reports.comparison import files

        files.prepare(Path(folder), force)
        return files.write(Path(folder), self.record, csv, document)


def ablate(
    choices: Sequence[str] | str = "all",
    topology: Name | Question = "mpft",
    workload: Name = "deepseek-v3",
    gpus: int = 2048,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **more: Unpack[Asked],
) -> Ablation:
    """Replace each choice of a job by its conventional counterpart, as `netsim compare --ablate` does.

    choices : of mla, moe, fp8, mtp, node_limit, overlap and mpft, or "all"; topology : a fabric, or a whole `Question`;
    more : see `Asked`; jobs : processes, which change nothing but the time; progress : told (done, all) rows

    Raises NetsimError for a name, key, value or choice that is wrong, and when the job itself cannot be simulated.
    """
    from netsim.analysis.codesign.ablation import ablate as ask
    from netsim.analysis.codesign.choices import CHOICES, AblationRequest

    if isinstance(choices, str):
        choices = tuple(CHOICES) if choices == "all" else (choices,)
    question = question_of(topology, gpus, workload, more)
    asked = AblationRequest(**question.as_values(), choices=tuple(choices))
    return Ablation(ask(asked, count("jobs", jobs), progress))


def claims(*, jobs: int = 1, progress: Callable[[int, int], None] | None = None) -> Claims:
    """Check the published claims of the DeepSeek-V3 hardware story, as `netsim claims` does.

    jobs : processes, which change nothing but the time; progress : told (done, all) simulations
    """
    from netsim.analysis.codesign.claims import claims as ask

    return Claims(ask(count("jobs", jobs), progress))
