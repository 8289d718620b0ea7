"""What a reader with a pocket calculator would predict: the null model that netsim has to beat.

    step = a x work + b        work = (micro-batches + bubble) x operations of a micro-batch a GPU
    bubble = (pp - 1) / vp     in micro-batches, as interleaved 1F1B has it

`a` (seconds per operation) and `b` (a fixed time) come from two measured rows of the same model, GPU and precision:
those that their source sets aside for fitting, else the rows of fewest and most work. One row alone gives `a`, and
`b` is zero; so it is when the two would make `b` negative, or when their work is the same to a percent. The model
knows no network and no kernel: constant use of the peak, an ideal bubble, and a remainder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A row as the null model sees it: `group` of rows that share constants, its work, and what was measured."""

    group: tuple[str, ...]
    work: float
    step_s: float | None
    set_aside: bool


def work(microbatches: int, pp: int, vp: int, flops_per_gpu: float) -> float:
    """Operations on a GPU in a step, the bubble counted as if it computed.

    >>> work(8, 4, 1, 2.0), work(8, 4, 3, 2.0)
    (22.0, 18.0)
    """
    return (microbatches + (pp - 1) / vp) * flops_per_gpu


def fit(points: Sequence[Point]) -> tuple[float, float]:
    """(a, b) through one or two points.

    >>> fit([Point(("m",), 10.0, 12.0, True), Point(("m",), 20.0, 22.0, True)])
    (1.0, 2.0)
    """
    least, most = min(points, key=lambda p: p.work), max(points, key=lambda p: p.work)
    if most.work > 1.01 * least.work:
        a = (_step(most) - _step(least)) / (most.work - least.work)
        b = _step(least) - a * least.work
        if a > 0.0 and b >= 0.0:
            return a, b
    return sum(_step(p) for p in points) / sum(p.work for p in points), 0.0


def predict(points: Sequence[Point]) -> list[tuple[float, bool] | None]:
    """(seconds, whether the row itself set the constants) for each point; None where no other row is known."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for n, point in enumerate(points):
        if point.step_s is not None:
            groups.setdefault(point.group, []).append(n)
    found: list[tuple[float, bool] | None] = [None] * len(points)
    for members in groups.values():
        chosen = _chosen(points, members)
        a, b = fit([points[n] for n in chosen])
        for n in members:
            found[n] = (a * points[n].work + b, n in chosen)
    return found


def _chosen(points: Sequence[Point], members: Sequence[int]) -> set[int]:
    marked = [n for n in members if points[n].set_aside] or list(members)
    ends = {min(marked, key=lambda n: points[n].work), max(marked, key=lambda n: points[n].work)}
    return ends


def _step(point: Point) -> float:
    assert point.step_s is not None, "only measured rows are fitted"
    return point.step_s
