"""A cluster over months and among neighbours: `netsim goodput` and `netsim share` as functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import pandas as pd

from netsim.api.arguments import Asked, Name, count, question_of
from netsim.specs.question import Question
from netsim.topologies import Topology


@dataclass(frozen=True, eq=False)
class Goodput:
    """What failures leave of a long run: `record` as `netsim goodput --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def parts(self) -> pd.DataFrame:
        """A row a kind of part: how many, what its failure does, how often (days), repair (hours), speed meanwhile."""
        return pd.DataFrame(self.record["parts"])

    @cached_property
    def by_spares(self) -> pd.DataFrame:
        """Goodput in the long run by the number of spare hosts."""
        return pd.DataFrame(self.record["by_spares"])


@dataclass(frozen=True, eq=False)
class Sharing:
    """Jobs on one fabric: `record` as `netsim share --json` prints it."""

    record: dict[str, Any]
    topology: Topology

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """A row a job: its step alone and together in seconds, and the slow-down."""
        rows = [{k: v for k, v in job.items() if k != "collectives"} for job in self.record["jobs"]]
        return pd.DataFrame(rows)

    @cached_property
    def collectives(self) -> pd.DataFrame:
        """A row a job and kind of collective: milliseconds alone and together, the slow-down, what bounds it."""
        rows = [{"job": job["name"], **row} for job in self.record["jobs"] for row in job["collectives"]]
        return pd.DataFrame(rows)


def goodput(
    topology: Name | Question = "mpft",
    gpus: int = 2048,
    workload: Name = "deepseek-v3",
    *,
    days: int = 30,
    checkpoint_interval: str = "auto",
    checkpoint_time: str | None = None,
    restart: str = "10min",
    spares: int = 0,
    runs: int = 1000,
    progress: Callable[[int, int], None] | None = None,
    **more: Unpack[Asked],
) -> Goodput:
    """What failures, checkpoints, restarts and repairs leave of a long run, as `netsim goodput` says.

    days, runs : length and number of the sampled runs; checkpoint_interval,
    checkpoint_time, restart : times with their unit, such as "30min" ("auto": the best interval); spares : spare hosts;
    more : see `Asked`; reliability : what fails how often (llama3); overrides also of that table
    (reliability.gpu.mtbf); progress : told (done, all) simulations

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.uncertainty.serving import add_goodput_intervals
    from netsim.reliability.request import make_request
    from netsim.reliability.study import goodput as ask

    request = make_request(
        question_of(topology, gpus, workload, more), days=count("days", days),
        checkpoint_interval=checkpoint_interval, checkpoint_time=checkpoint_time, restart=restart,
        spares=count("spares", spares), runs=count("runs", runs),
    )  # fmt: skip
    record = ask(request, progress)
    add_goodput_intervals(record, request.case, request.gpus)
    return Goodput(record)


def share(
    jobs: Name,
    topology: Name | Question = "mpft",
    gpus: int = 2048,
    *,
    progress: Callable[[int, int], None] | None = None,
    **more: Unpack[Asked],
) -> Sharing:
    """Run several jobs on one fabric at once and compare each with itself alone, as `netsim share` does.

    jobs : a preset, or a TOML of `[[jobs]]`; more : see `Asked`; overrides are keys of the fabric and its hosts;
    progress : told (done, all)
    simulations

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.sharing import make_tenants, sharing

    question = question_of(topology, gpus, "", more)
    fabric, tenants = make_tenants(str(jobs), question)
    record = sharing(fabric, tenants, seed=question.seed, folded=question.folded, progress=progress)
    return Sharing(record, fabric)
