"""A cluster over months and among neighbours: `netsim goodput` and `netsim share` as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from netsim.api.arguments import Name, count, plain, text
from netsim.topologies import Topology

if TYPE_CHECKING:
    from netsim.workloads.plan import Scaling


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
    topology: Name = "mpft",
    gpus: int = 2048,
    workload: Name = "deepseek-v3",
    *,
    profile: Name | None = None,
    routing: str | None = None,
    schedule: str | None = None,
    scaling: Scaling = "weak",
    reliability: Name = "llama3",
    days: int = 30,
    checkpoint_interval: str = "auto",
    checkpoint_time: str | None = None,
    restart: str = "10min",
    spares: int = 0,
    runs: int = 1000,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Goodput:
    """What failures, checkpoints, restarts and repairs leave of a long run, as `netsim goodput` says.

    reliability : what fails how often; days, runs : length and number of the sampled runs; checkpoint_interval,
    checkpoint_time, restart : times with their unit, such as "30min" ("auto": the best interval); spares : spare hosts;
    overrides : keys as of `--set`, also of the table (reliability.gpu.mtbf); progress : told (done, all) simulations

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.reliability.request import make_question
    from netsim.reliability.study import goodput as ask

    question = make_question(
        str(topology), count("gpus", gpus), str(workload), profile=text(profile), routing=routing, schedule=schedule,
        scaling=scaling, reliability=str(reliability), days=count("days", days),
        checkpoint_interval=checkpoint_interval, checkpoint_time=checkpoint_time, restart=restart,
        spares=count("spares", spares), runs=count("runs", runs), seed=count("seed", seed), overrides=plain(overrides),
    )  # fmt: skip
    return Goodput(ask(question, progress))


def share(
    jobs: Name,
    topology: Name = "mpft",
    gpus: int = 2048,
    *,
    routing: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    folded: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Sharing:
    """Run several jobs on one fabric at once and compare each with itself alone, as `netsim share` does.

    jobs : a preset, or a TOML of `[[jobs]]`; overrides : keys of the fabric and its hosts; progress : told (done, all)
    simulations

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.sharing import make_tenants, sharing

    fabric, tenants = make_tenants(str(jobs), str(topology), count("gpus", gpus), routing, plain(overrides))
    record = sharing(fabric, tenants, seed=count("seed", seed), folded=folded, progress=progress)
    return Sharing(record, fabric)
