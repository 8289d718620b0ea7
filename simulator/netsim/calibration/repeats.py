"""Layers of a model from the order of its operators: the part of a sequence that comes again and again.

A run of a period p is a stretch in which every element equals the one p before it. The run that covers most of the
time counts, with the shortest period that covers nearly as much; what is left before and behind it is searched in
the same way (layers of two sorts). A period of fewer than `LEAST` operators, or with fewer than two matrix products or
attentions, is no layer.

Left out: layers of which each differs from its neighbours; a first layer that begins otherwise moves into the next
by those operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: operators of one layer at least and at most, and operators of a pass that are searched
LEAST, LONGEST, MOST = 4, 4096, 60_000
#: a shorter period wins that covers this share of the best
NEARLY = 0.98


class Run(NamedTuple):
    """`times` times the same `period` elements from `start` on."""

    start: int
    period: int
    times: int

    @property
    def end(self) -> int:
        """Behind its last element."""
        return self.start + self.period * self.times


def layers_of(keys: Sequence[str], seconds: Sequence[float], heavy: Sequence[bool]) -> list[int | None]:
    """Number of the layer of each element, counted from 0 in their order; None outside.

    >>> layers_of(list("eabcdabcdh"), [1.0] * 10, [True] * 10)
    [None, 0, 0, 0, 0, 1, 1, 1, 1, None]
    """
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    found = runs(
        np.array([number[key] for key in keys], dtype=np.int64),
        np.array(seconds, dtype=np.float64),
        np.array(heavy, dtype=bool),
    )
    layers: list[int | None] = [None] * len(keys)
    first = 0
    for run in sorted(found):
        for position in range(run.start, run.end):
            layers[position] = first + (position - run.start) // run.period
        first += run.times
    return layers


def runs(keys: NDArray[np.int64], seconds: NDArray[np.float64], heavy: NDArray[np.bool_]) -> list[Run]:
    """Runs of a sequence that do not overlap, the one that covers most first."""
    found: list[Run] = []
    waiting = [(0, len(keys))]
    while waiting:
        low, high = waiting.pop()
        best = _best(keys[low:high], seconds[low:high], heavy[low:high])
        if best is not None:
            run = best._replace(start=best.start + low)
            found.append(run)
            waiting += [(low, run.start), (run.end, high)]
    return found


def _best(keys: NDArray[np.int64], seconds: NDArray[np.float64], heavy: NDArray[np.bool_]) -> Run | None:
    if len(keys) < 2 * LEAST or len(keys) > MOST or heavy.sum() < 4:
        return None
    spent, products = (np.concatenate(([0.0], np.cumsum(values))) for values in (seconds, heavy))
    candidates: list[tuple[float, Run]] = []
    for period in range(LEAST, min(len(keys) // 2, LONGEST) + 1):
        for start, length in _stretches(keys[period:] == keys[:-period]):
            run = Run(start, period, (length + period) // period)
            if run.times >= 2 and products[start + period] - products[start] >= 2:
                candidates.append((float(spent[run.end] - spent[start]), run))
    if not candidates:
        return None
    most = max(covered for covered, _ in candidates)
    return min(
        (run for covered, run in candidates if covered >= NEARLY * most),
        key=lambda run: (run.period, run.start),
    )


def _stretches(same: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, length) of the longest stretch of truth, and of those that are half as long."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not len(lengths):
        return []
    chosen = np.flatnonzero(lengths * 2 >= lengths.max())[:16]
    return [(int(starts[i]), int(lengths[i])) for i in chosen]
