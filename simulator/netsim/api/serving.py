"""A served model: `netsim infer` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from netsim.api.arguments import Name, count, question_with, text
from netsim.specs.question import Question
from netsim.specs.requests import ServeRequest

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
    model: Name | Question = "deepseek-v3",
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

    model : a workload, or a whole `Question`, whose fabric, hosts, profile, routing and GPUs are used; gpus : of the
    phase (with both: of decode), one unit by default; rate : requests a second, with both phases; ideal : the bound,
    without compute, latency and headers and at line rate

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.serving import answer
    from netsim.inference.serve import deployment_of

    request = ServeRequest(
        gpus=None if gpus is None else count("gpus", gpus), phase=phase, rate=rate, deployment=text(deployment),
        prefill_gpus=None if prefill_gpus is None else count("prefill_gpus", prefill_gpus), ideal=ideal,
    )  # fmt: skip
    question = question_with(
        model if isinstance(model, Question) else topology, 0, str(model), hardware=hardware, profile=profile,
        overrides=overrides, seed=seed,
    )  # fmt: skip
    if isinstance(model, Question) and gpus is None:
        request = replace(request, gpus=question.gpus)
    found = answer(deployment_of(question, request), request)
    return Inference(found.record, found.iterations)
