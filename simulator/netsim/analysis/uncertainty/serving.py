"""Intervals of answers that are no single step: serving, and goodput.

Published rows of serving are few (one service, five numbers), so the interval is theirs as it is: mean and spread of
their errors, widened by Student's t for so few. It is the same for times per token and for rates. Left out: what the
constants explain of it.

Goodput counts steps: its step is as sure as `netsim run` makes it, with constants that explain as much as they do of
the published steps of its kind.
"""

from __future__ import annotations

import math
from typing import Any

from netsim.analysis.uncertainty.evidence import evidence
from netsim.analysis.uncertainty.factors import Factor
from netsim.analysis.uncertainty.interval import errors, sure_of
from netsim.analysis.uncertainty.kinds import kind_of
from netsim.analysis.uncertainty.predict import LEVEL, group_of
from netsim.specs.case import Case

#: key of a phase's record -> whether it is a rate
_KEYS = {
    "tpot_ms": False, "ttft_ms": False, "iteration_ms": False, "tokens_per_s_per_gpu": True,
    "tokens_per_s_per_host": True,
}  # fmt: skip
#: Student's t at 90 % for so many degrees of freedom; 1.282 for many
_T90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372)


def add_serving_intervals(record: dict[str, Any]) -> None:
    """Put intervals beside the times and rates of a `netsim infer` record."""
    known = evidence().constants.get("serving")
    if known is None or known.rows < 2:
        return
    reach = _T90[min(known.rows - 2, len(_T90) - 1)] * known.spread * math.sqrt(1.0 + 1.0 / known.rows)
    low, high = math.exp(known.bias - reach), math.exp(known.bias + reach)
    for phase in ("prefill", "decode"):
        told: dict[str, Any] = {}
        for key, value in record.get(phase, {}).items():
            told[key] = value
            if key in _KEYS and value is not None:
                told[f"{key}_interval"] = (
                    [value / high, value / low] if _KEYS[key] else [value * low, value * high]
                )
        if told:
            record[phase] = told
    record["uncertainty"] = {"level": LEVEL, **known.model_dump()}


def add_goodput_intervals(record: dict[str, Any], case: Case, gpus: int) -> None:
    """Put intervals beside the step and the steps a day of a `netsim goodput` record."""
    kind = kind_of(case)
    rows = errors().rows
    alike = [row for row in rows if group_of(row.kind) == group_of(kind)] or rows
    constants = math.sqrt(sum(row.constants**2 for row in alike) / len(alike)) if alike else 0.0
    made = Factor("all constants", constants, 0.0, constants, "published steps of the kind")
    sure = sure_of(kind, gpus, (made,))
    work, good = record["workload"], record["goodput"]
    work["step_interval_s"] = sure.of(work["step_s"])
    work["steps_per_day_interval"] = sure.of_rate(work["steps_per_day"])
    good["steps_per_day_interval"] = sure.of_rate(good["steps_per_day"])
    record["uncertainty"] = sure.record()
