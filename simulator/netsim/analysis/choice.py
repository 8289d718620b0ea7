"""Which of several designs to take: the one rule behind compare, sweep and optimize.

A design that does not fit into GPU memory is never taken. Of those that fit, the cheapest among the nearly fastest;
where prices tie, the quickest, then the one that draws least power. What ties in an objective is broken by the other
objectives in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

Row = Mapping[str, Any]
R = TypeVar("R", bound=Row)
#: columns that break a tie, in this order: shorter, cheaper, less power
BREAKERS = ("step_time_s", "network_usd", "power_kw")
#: objectives that differ by less than this share are the same but for rounding
SAME = 1e-9


def fits(row: Row) -> bool:
    """Whether a design fits into GPU memory; one that does not say so does."""
    return bool(row.get("fits_memory", True))


def fitting(rows: Sequence[R]) -> list[R]:
    """The designs that fit."""
    return [row for row in rows if fits(row)]


def nearly_fastest(rows: Sequence[R], near: float) -> list[R]:
    """The designs whose step is at most a share `near` longer than the shortest."""
    fastest = min(row["step_time_s"] for row in rows)
    return [row for row in rows if row["step_time_s"] <= fastest * (1.0 + near)]


def cheapest(rows: Sequence[R], equal: float = SAME, price: str = "network_usd") -> list[R]:
    """The designs that cost the least, to a share `equal`.

    >>> cheapest([{"network_usd": 1.0}, {"network_usd": 2.0}])
    [{'network_usd': 1.0}]
    """
    least = min(row[price] for row in rows)
    return [row for row in rows if row[price] <= least * (1.0 + equal)]


def rank(row: Row, objective: str) -> tuple[float, ...]:
    """Sorts designs by an objective; what ties in it, but for rounding, by the other columns."""
    rest = [float(row[key]) for key in BREAKERS if key != objective]
    return (float(f"{row[objective]:.9g}"), *rest)
