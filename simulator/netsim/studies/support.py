"""What the draws say of a study's choice: in how many of them the same point would be chosen.

Points without what draws need (a table of an older netsim) say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.uncertainty.draws import in_words, prices, steps
from netsim.studies.goal import Goal

Floats = NDArray[np.float64]
#: share of the draws that a recommendation needs
SUPPORT = 0.8
#: designs whose objective is so close to the best count as equal
EQUAL = 0.001


def drawn(records: Sequence[Mapping[str, Any]], seed: int) -> tuple[Floats, Floats] | None:
    """(points, draws) seconds of the step and price of the network; None where a point does not say how sure it is."""
    if not all(record.get("uncertainty") for record in records):
        return None
    designs = [json.loads(record["uncertainty"]) for record in records]
    seconds = [record["step_time_s"] for record in records]
    return steps(seconds, designs, seed), prices(records, seed)


def support(
    records: Sequence[Mapping[str, Any]], seed: int, may_take: Callable[[Floats, Floats], NDArray[np.bool_]]
) -> NDArray[np.float64] | None:
    """(points,) share of the draws in which a rule may take each point; None where nothing can be said."""
    found = drawn(records, seed)
    return None if found is None else np.asarray(may_take(*found).mean(axis=1))


def cheapest_near_fastest(near: float) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    """The rule: of the points at most `near` slower than the fastest, the cheapest."""

    def rule(step_s: Floats, usd: Floats) -> NDArray[np.bool_]:
        quick = step_s <= step_s.min(axis=0) * (1.0 + near)
        least = np.where(quick, usd, np.inf).min(axis=0)
        return np.asarray(quick & (usd <= least * (1.0 + EQUAL)))

    return rule


def support_words(share: float) -> str:
    """A share as the end of a recommendation."""
    return f"so in {in_words(share)}"


#: columns that go with the time of a step, and with its inverse
_WITH_TIME, _AGAINST_TIME = ("step_time_s", "usd_per_trillion_tokens"), ("tokens_per_day", "mfu_causal")
_WITH_PRICE = ("network_usd", "usd_per_gpu")


def decide(records: Sequence[Mapping[str, Any]], goal: Goal, seed: int) -> dict[str, Any] | None:
    """What the draws say of the first record as the best: how often it obeys, and is best where any obeys.

    Columns that neither time nor prices move (memory, latency) are taken as they are.
    """
    found = drawn(records, seed)
    if found is None:
        return None
    obeys = np.ones(found[0].shape, dtype=bool)
    for each in goal.constraints:
        value = _drawn_column(records, each.metric, *found)
        obeys &= value <= each.value if each.test == "<=" else value >= each.value
    objective = np.where(obeys, _drawn_column(records, goal.objective, *found), np.inf)
    least = objective.min(axis=0)
    some = np.isfinite(least)
    best = objective[0][some] <= least[some] * (1.0 + EQUAL)
    support = float(best.mean()) if some.any() else 0.0
    return {
        "obeys_share": float(obeys[0].mean()),
        "any_obeys_share": float(some.mean()),
        "support": support,
        "supported": support >= SUPPORT,
        "sentence": _decision_words(support, float(obeys[0].mean()), bool(goal.constraints)),
    }


def _drawn_column(records: Sequence[Mapping[str, Any]], column: str, step_s: Floats, usd: Floats) -> Floats:
    value = np.array([[float(record[column])] for record in records])
    longer = step_s / np.array([[record["step_time_s"]] for record in records])
    if column in _WITH_TIME:
        moved = value * longer
    elif column in _AGAINST_TIME:
        moved = value / longer
    elif column in _WITH_PRICE:
        moved = value * usd / np.array([[record["network_usd"]] for record in records])
    else:
        moved = np.broadcast_to(value, step_s.shape)
    return np.asarray(moved)


def _decision_words(support: float, obeys: float, bound: bool) -> str:
    limits = f"; it obeys in {in_words(obeys)}" if bound else ""
    if support >= SUPPORT:
        return f"The best of the simulated designs in {in_words(support)}{limits}."
    return f"Not decided: the best of the simulated designs in {in_words(support)} only{limits}."
