"""A served model: `netsim infer` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from netsim.api.arguments import Name, count, plain, text

if TYPE_CHECKING:
    from netsim.inference import Iteration


@dataclass(frozen=True, eq=False)
class Inference:
    """A served model: `record` as `netsim infer --json` prints it, and `iterations` with every detail."""

    record: dict[str, Any]
    iterations: tuple[Iteration, ...]

    @cached_property
    def parts(self) -> pd.DataFrame:
        """A row a phase and part of its iteration: milliseconds, share of the iteration, what bounds it."""
        rows = [
            {"phase": phase, **row}
            for phase in ("prefill", "decode")
            for row in self.record.get(phase, {}).get("parts", ())
        ]
        return pd.DataFrame(rows)


def infer(
    model: Name = "deepseek-v3",
    topology: Name = "mpft",
    gpus: int | None = None,
    *,
    phase: str = "both",
    prefill_gpus: int | None = None,
    rate: float | None = None,
    deployment: Name | None = None,
    hardware: Name | None = None,
    profile: Name | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    ideal: bool = False,
) -> Inference:
    """Serve a model, as `netsim infer` does; overrides (`decode.batch`, `speculative.acceptance`, ...) set the rest.

    gpus : of the phase (with both: of decode), one unit by default; rate : requests a second, with both phases; ideal :
    the bound, without compute, latency and headers and at line rate

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.uncertainty.serving import add_serving_intervals
    from netsim.inference import EVERYTHING, IDEAL, make_deployment, refuse_idle
    from netsim.inference import inference_record as report

    made = make_deployment(
        str(topology), str(model), preset=text(deployment), hardware=text(hardware), profile=text(profile),
        overrides=plain(overrides), seed=count("seed", seed), assume=IDEAL if ideal else EVERYTHING,
    )  # fmt: skip
    refuse_idle(overrides or {}, phase, rate, made)
    record, found, _ = report.infer(
        made,
        phase,
        None if gpus is None else count("gpus", gpus),
        None if prefill_gpus is None else count("prefill_gpus", prefill_gpus),
        rate,
    )
    if not ideal:
        add_serving_intervals(record)
    return Inference(record, tuple(found))
