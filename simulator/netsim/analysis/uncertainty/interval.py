"""The interval of an answer: what it is made of, and where it is wider because nobody published a step alike.

    true step = step x exp(location + scale x z),    scale^2 = structure^2 + sum over factors of effect^2

at LEVEL the interval is step x exp(location -+ q x scale). Location is what steps of the group were missed by on
average, so an interval need not have the answer in its middle, and where netsim is known to be too fast it lies above.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from netsim.analysis.explain.anatomy import anatomy
from netsim.analysis.uncertainty.evidence import Kind, evidence
from netsim.analysis.uncertainty.factors import Factor, factors, total
from netsim.analysis.uncertainty.kinds import kind_of, words
from netsim.analysis.uncertainty.predict import LEVEL, Errors, Prediction, group_of
from netsim.training.simulate import Step

#: a job on more GPUs than so many times the largest published one of its group is outside what was seen
_FURTHER = 4.0
#: factors that a record names
_TOLD = 6


@dataclass(frozen=True)
class Sure:
    """How sure an answer is.

    quantile : scales that the level takes to each side; outside : why nobody's step says how far this one may be off
    """

    kind: Kind
    prediction: Prediction
    factors: tuple[Factor, ...]
    quantile: float
    outside: tuple[str, ...] = ()
    level: float = LEVEL

    @property
    def constants(self) -> float:
        """One standard deviation of ln(step) from the constants."""
        return total(self.factors)

    @property
    def ratios(self) -> tuple[float, float]:
        """What the answer is to be multiplied by at the lower and the upper end."""
        reach = self.quantile * self.prediction.scale(self.constants)
        return math.exp(self.prediction.location - reach), math.exp(self.prediction.location + reach)

    def of(self, value: float) -> list[float]:
        """The interval of something that goes with the time of the step."""
        low, high = self.ratios
        return [value * low, value * high]

    def of_rate(self, value: float) -> list[float]:
        """The interval of something that goes with its inverse."""
        low, high = self.ratios
        return [value / high, value / low]

    def record(self) -> dict[str, Any]:
        """What the interval is made of."""
        found = self.prediction
        return {
            "level": self.level,
            "kind": self.kind.model_dump(),
            "published_steps": found.rows,
            "clusters": found.clusters,
            "location_pct": 100.0 * math.expm1(found.location),
            "structure_pct": 100.0 * found.structure,
            "constants_pct": 100.0 * self.constants,
            "quantile": self.quantile,
            "outside": list(self.outside),
            "factors": [asdict(factor) for factor in self.factors],
            "evidence": evidence().version,
        }


@lru_cache(maxsize=1)
def errors() -> Errors:
    """The published steps that ship."""
    return Errors.of(evidence().steps)


def how_sure(step: Step) -> Sure:
    """How sure the answer of an executed step is."""
    made = factors(anatomy(step), evidence())
    return sure_of(kind_of(step.case), step.plan.gpus, tuple(made))


def sure_of(kind: Kind, gpus: int, made: tuple[Factor, ...]) -> Sure:
    """How sure an answer of a kind is, with the effects of its constants."""
    known = errors()
    alike = [row for row in known.rows if group_of(row.kind) == group_of(kind)]
    outside = []
    if not alike:
        outside.append(
            f"no published step of {words(kind)}: the interval is that of jobs nobody has published"
        )
    elif gpus > _FURTHER * (most := max(row.gpus for row in alike)):
        outside.append(f"published steps of {words(kind)} end at {most:,} GPUs")
    prediction = known.stranger(kind) if outside else known.predict(kind)
    return Sure(kind, prediction, made, known.quantile(), tuple(outside))


def add_intervals(record: dict[str, Any], sure: Sure) -> None:
    """Put intervals beside the answers of a `netsim run` record, and what they are made of into it."""
    step, told = record["step"], {}
    for key, value in step.items():
        told[key] = value
        if key == "time_s":
            told["interval_s"] = sure.of(value)
        elif key in ("tokens_per_day", "mfu_causal", "mfu_noncausal"):
            told[f"{key}_interval"] = sure.of_rate(value)
        elif key == "gpu_hours_per_trillion_tokens":
            told[f"{key}_interval"] = sure.of(value)
    cost = told["cost"]
    for key in ("usd_per_step", "usd_per_trillion_tokens"):
        cost[f"{key}_interval"] = sure.of(cost[key])
    step.clear()
    step.update(told)
    record["uncertainty"] = sure.record()


def seconds_words(value: float, interval: list[float] | None, level: float = LEVEL) -> str:
    """A time and its interval as people write it.

    >>> seconds_words(19.165, [18.02, 20.71])
    '19.165 s (18.0-20.7, 80 %)'
    """
    if interval is None:
        return f"{value:.3f} s"
    return f"{value:.3f} s ({ends_words(*interval)}, {100.0 * level:.0f} %)"


def ends_words(low: float, high: float) -> str:
    """Both ends with three digits.

    >>> ends_words(18.02, 20.71), ends_words(0.5432, 0.61), ends_words(1234.0, 1400.0)
    ('18.0-20.7', '0.543-0.610', '1234-1400')
    """
    digits = max(0, 2 - math.floor(math.log10(max(high, 1e-9))))
    return f"{low:.{digits}f}-{high:.{digits}f}"
