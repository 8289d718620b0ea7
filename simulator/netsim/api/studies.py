"""Many runs: `netsim sweep` and `netsim optimize` as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from netsim.api.arguments import Name, count, plain, text


@dataclass(frozen=True, eq=False)
class Study:
    """A study: `record` holds the rows of `netsim sweep --json`, `folder` the tables and every finished point."""

    record: list[dict[str, Any]]
    folder: Path
    findings: list[str]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a point: what varies, `status` (ok, invalid, failed) with its reason, and what it came to."""
        from netsim.studies.table import frame

        return frame(self.record)


@dataclass(frozen=True, eq=False)
class Design:
    """The best of a space: `record` as `netsim optimize --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a design, best first: the best and the runners-up (`rank` 0, 1, ...), None when no design obeys."""
        best = [] if self.record["best"] is None else [self.record["best"]]
        return pd.DataFrame([{"rank": n, **row} for n, row in enumerate([*best, *self.record["runners_up"]])])

    @cached_property
    def front(self) -> pd.DataFrame:
        """Simulated designs that no other beats in both network price ($) and step time (s)."""
        return pd.DataFrame(self.record["front"])


def sweep(
    study: Name | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    base: Mapping[str, Any] | None = None,
    seed: int | None = None,
    folder: Name | None = None,
    fresh: bool = False,
    large: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Study:
    """Run a study: every combination of what varies, as `netsim sweep` does; finished points are not computed again.

    study : a TOML, or one that ships; vary : values by key, such as {"switch.radix": [64, 128]}; base : what stays, as
    {"gpus": 1024}; keys are those of `--set`, and topology, workload, hardware, profile, prices, gpus, scaling, seed;
    folder : runs/NAME by default; fresh : forget what it holds; large : allow more than 100,000 points; jobs :
    processes of this machine; scheduler : the address of a Dask cluster; progress : told (done, all, status)

    Raises NetsimError for a study, key, value, folder or cluster that cannot be used; a point that cannot be built is a
    row that says why.
    """
    from netsim.errors import NetsimError
    from netsim.studies.findings import findings
    from netsim.studies.spec import check_size, count_points, make_study
    from netsim.studies.sweep import sweep as ask
    from netsim.studies.workers import Workers

    if scheduler is not None and jobs != 1:
        raise NetsimError(f"jobs = {jobs}: has no effect with a scheduler, whose workers are used")
    spec = make_study(
        text(study), {key: list(values) for key, values in (vary or {}).items()}, plain(base),
        None if seed is None else count("seed", seed),
    )  # fmt: skip
    check_size(count_points(spec), large)
    where = Path(folder) if folder is not None else Path("runs") / spec.name
    outcome = ask(spec, where, Workers(count("jobs", jobs), scheduler), fresh, progress)
    return Study(outcome.records, where, findings(outcome))


def optimize(
    objective: str = "dollars_per_trillion_tokens",
    subject_to: Sequence[str] | str = (),
    gpus: int = 2048,
    vary: Mapping[str, Sequence[Any]] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    method: str | None = None,
    trials: int | None = None,
    seed: int = 0,
    large: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Design:
    """Find the design that makes an objective least, as `netsim optimize` does.

    objective : cost ($), step_time (s), dollars_per_trillion_tokens or power (kW); subject_to : limits such as
    "step_time<=20"; vary : values by key, NIC count and speed, radix, fabric and taper by default; method : bounds,
    exhaustive or optuna, by the size of the space; trials : simulations that optuna may use; progress : told how many
    simulations there were

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.studies.design import optimize as ask

    limits = (subject_to,) if isinstance(subject_to, str) else subject_to
    return Design(
        ask(
            objective, limits, count("gpus", gpus), vary, overrides=plain(overrides), method=method, trials=trials,
            seed=count("seed", seed), large=large, told=progress,
        )
    )  # fmt: skip
