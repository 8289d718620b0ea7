"""What an optimizer is after: an objective to make small, and what every design must obey."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.analysis.choice import fits
from netsim.errors import NetsimError, did_you_mean

#: short names of columns
METRICS = {
    "cost": "network_usd",
    "step_time": "step_time_s",
    "dollars_per_trillion_tokens": "usd_per_trillion_tokens",
    "power": "power_kw",
}
#: columns that building a design tells, without simulating it
BUILT = ("network_usd", "power_kw", "switches", "switch_links")
_CONSTRAINED = (*BUILT, "step_time_s", "usd_per_trillion_tokens", "usd_per_gpu", "exposed_comm_s", "memory_gb",
                "mfu_causal", "tokens_per_day", "worst_latency_us", "hidden_comm_fraction")  # fmt: skip
_TESTS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
_RULE = re.compile(r"^\s*([A-Za-z_0-9]+)\s*(<=|>=)\s*([-+0-9.eE]+)\s*$")


@dataclass(frozen=True)
class Constraint:
    """A column that must stay at or below, or at or above, a number."""

    metric: str
    test: str
    value: float

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row obeys."""
        return _TESTS[self.test](float(row[self.metric]), self.value)

    def __str__(self) -> str:
        return f"{self.metric} {self.test} {self.value:g}"


@dataclass(frozen=True)
class Goal:
    """A column to make small under constraints."""

    objective: str
    constraints: tuple[Constraint, ...] = ()

    def feasible(self, row: Mapping[str, Any]) -> bool:
        """Whether a simulated row is a design that may be chosen: it fits into memory and obeys."""
        return row["status"] == "ok" and fits(row) and self.obeyed(row)

    def obeyed(self, row: Mapping[str, Any]) -> bool:
        """Whether a simulated row obeys every constraint, whether or not it fits."""
        return all(each.holds(row) for each in self.constraints)


def parse_goal(objective: str, subject_to: Sequence[str]) -> Goal:
    """A goal from the words of the command line.

    Raises NetsimError for an unknown objective or a constraint that cannot be read.
    """
    if objective not in METRICS:
        raise NetsimError(f"--objective {objective}: unknown: {did_you_mean(objective, METRICS)}")
    return Goal(METRICS[objective], tuple(parse_constraint(each) for each in subject_to))


def parse_constraint(text: str) -> Constraint:
    """`step_time<=20` as a constraint.

    >>> str(parse_constraint("step_time<=20"))
    'step_time_s <= 20'
    """
    match = _RULE.match(text)
    if match is None:
        raise NetsimError(
            f"--subject-to {text}: must be written METRIC<=NUMBER or METRIC>=NUMBER, such as step_time<=20"
        )
    name, test, number = match.groups()
    metric = METRICS.get(name, name)
    if metric not in _CONSTRAINED:
        raise NetsimError(
            f"--subject-to {text}: unknown metric: {did_you_mean(name, [*METRICS, *_CONSTRAINED])}"
        )
    try:
        return Constraint(metric, test, float(number))
    except ValueError:
        raise NetsimError(f"--subject-to {text}: {number!r} is no number") from None
