"""What varies in a table: its axes, as numbers where they are numbers, and what each does to a result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Records = Sequence[Mapping[str, Any]]
_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)\s*$", re.ASCII)


@dataclass(frozen=True)
class Axis:
    """A setting that takes several values: `labels` in order, and `numbers` beside them when they are numeric."""

    key: str
    labels: tuple[str, ...]
    numbers: tuple[float, ...] | None
    unit: str

    @property
    def title(self) -> str:
        return f"{self.key} ({self.unit})" if self.unit else self.key

    @property
    def geometric(self) -> bool:
        """Whether the values are spread over a factor of eight or more, so that a logarithmic axis shows them."""
        numbers = self.numbers
        return (
            numbers is not None and min(numbers) > 0 and max(numbers) / min(numbers) >= 8 and len(numbers) > 2
        )

    def place(self, value: Any) -> float:
        """Where a value stands: its number, or its rank among the labels."""
        at = self.labels.index(label(value))
        return float(at) if self.numbers is None else self.numbers[at]


def label(value: Any) -> str:
    """A value as text; names and lists as they are written."""
    return value if isinstance(value, str) else json.dumps(value)


def axes_of(records: Records, keys: Sequence[str]) -> list[Axis]:
    """The keys that take more than one value in the records, in their order."""
    found = []
    for key in keys:
        values = [record[key] for record in records if key in record]
        labels = list(dict.fromkeys(label(value) for value in values))
        if len(labels) < 2:
            continue
        numbers, unit = _numbers(labels)
        if numbers is not None:
            order = sorted(range(len(labels)), key=lambda n: numbers[n])
            found.append(Axis(key, tuple(labels[n] for n in order), tuple(numbers[n] for n in order), unit))
        else:
            found.append(Axis(key, tuple(labels), None, ""))
    return found


def _numbers(labels: Sequence[str]) -> tuple[list[float] | None, str]:
    """Numbers and unit of labels that are all numbers, or quantities of one unit."""
    pairs = [_number(text) for text in labels]
    units = {unit for pair in pairs if pair is not None for unit in pair[1:]}
    if any(pair is None for pair in pairs) or len(units) != 1:
        return None, ""
    return [pair[0] for pair in pairs if pair is not None], units.pop()


def _number(text: str) -> tuple[float, str] | None:
    try:
        return float(text), ""
    except ValueError:
        match = _QUANTITY.match(text)
        return (float(match.group(1)), match.group(2)) if match else None


def values(records: Records, metric: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A metric of every record, (n,), NaN where it has none."""
    return np.array([_float(record.get(metric)) for record in records], dtype=np.float64)


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def main_effects(records: Records, axis: Axis, metric: str, axes: Sequence[Axis] = ()) -> tuple[float, float]:
    """Least and greatest mean of a metric over the values of an axis, everything else averaged.

    Where some points of a grid failed, like is compared with like: only combinations of the other `axes` count that
    hold every value of this one, if there are any. An axis with more values than a grid would have (a sampled range)
    is cut into quarters first.
    """
    place = np.array([axis.place(record[axis.key]) for record in records])
    found = values(records, metric)
    if axis.numbers is not None and len(axis.numbers) > max(8, len(records) // 4):
        place = np.searchsorted(np.quantile(place, [0.25, 0.5, 0.75]), place, side="right").astype(float)
    rest = [str([record[other.key] for other in axes if other.key != axis.key]) for record in records]
    seen: dict[str, set[float]] = {}
    for combination, at, value in zip(rest, place.tolist(), found.tolist(), strict=True):
        seen.setdefault(combination, set()).update(() if np.isnan(value) else (at,))
    whole = np.array([len(seen[combination]) == len(np.unique(place)) for combination in rest])
    if axes and whole.any():
        place, found = place[whole], found[whole]
    means = [float(found[place == each].mean()) for each in np.unique(place)]
    return min(means), max(means)


def pareto_front(records: Records, metrics: Sequence[str], tie: float = 0.0) -> list[int]:
    """Places of the records that no other beats in every metric at once, the best in the first metric first.

    Less is better. Of records that tie, to within the share `tie` of each positive metric, the first one is kept.

    >>> pareto_front([{"a": 1, "b": 3}, {"a": 2, "b": 2}, {"a": 3, "b": 3}, {"a": 1, "b": 3}], ["a", "b"])
    [0, 1]
    """
    if not records:
        return []
    table = np.column_stack([values(records, metric) for metric in metrics])
    order = np.lexsort((np.arange(len(table)), *table.T[::-1]))
    front: list[int] = []
    for n in order.tolist():
        known = not np.isnan(table[n]).any()
        if known and not any((table[kept] <= table[n] * (1 + tie)).all() for kept in front):
            front.append(n)
    return front
