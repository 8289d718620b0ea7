"""How many published steps fall inside their intervals: the check of the uncertainty model.

*Left out*: each row is predicted without its cluster, and the width is that of the other clusters' scores, so it is
what a reader with a new cluster meets. *All in*: the interval that `netsim run` prints today for that job. Rows that
set a constant take no part. Calibrated means: of intervals at a level, that share of rows falls inside, at every level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.analysis.uncertainty.evidence import StepError
from netsim.analysis.uncertainty.predict import LEVEL, Errors

#: how far the share inside may be from the level
WITHIN = 0.08
#: levels of the calibration plot
LEVELS = tuple(n / 20.0 for n in range(1, 20))


@dataclass(frozen=True)
class Share:
    """Rows of a source or kind, and the shares inside: cluster left out, and all in; median width, high over low."""

    name: str
    rows: int
    clusters: int
    left_out: float
    all_in: float
    width_pct: float

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return vars(self)


def inside_left_out(errors: Errors, row: StepError, level: float = LEVEL) -> bool:
    """Whether a row falls inside the interval that the other clusters give it."""
    return errors.score(row, row.cluster) <= errors.quantile(level, row.cluster)


def inside_all_in(errors: Errors, row: StepError, level: float = LEVEL) -> bool:
    """Whether a row falls inside the interval of all evidence."""
    return errors.score(row) <= errors.quantile(level)


def coverage(errors: Errors) -> list[Share]:
    """Shares over all rows, by source (published set) and by kind of job."""
    groups: dict[str, list[StepError]] = defaultdict(list)
    for row in errors.rows:
        kind = row.kind
        names = ("all", f"set {row.id.split('.')[0]}", f"{kind.model}, {kind.generation}, {kind.framework}")
        for name in names:
            groups[name].append(row)
    return [_share(name, groups[name], errors) for name in sorted(groups, key=_order)]


def _order(name: str) -> tuple[int, str]:
    return (0 if name == "all" else 1 if name.startswith("set ") else 2), name


def _share(name: str, rows: Sequence[StepError], errors: Errors) -> Share:
    widths = sorted(_width_pct(errors, row) for row in rows)
    return Share(
        name,
        len(rows),
        len({row.cluster for row in rows}),
        _part(rows, lambda row: inside_left_out(errors, row)),
        _part(rows, lambda row: inside_all_in(errors, row)),
        widths[len(widths) // 2],
    )


def _width_pct(errors: Errors, row: StepError) -> float:
    """Half the interval over the answer, in percent."""
    return 100.0 * errors.quantile() * errors.predict(row.kind).scale(row.constants)


def _part(rows: Sequence[StepError], test: Callable[[StepError], bool]) -> float:
    return sum(map(test, rows)) / len(rows) if rows else 0.0


def calibration(errors: Errors, rows: Sequence[StepError] | None = None) -> list[dict[str, float]]:
    """Share inside at each level, cluster left out and all in: the calibration curve."""
    some = errors.rows if rows is None else rows
    return [
        {
            "level": level,
            "left_out": _part(some, lambda row, level=level: inside_left_out(errors, row, level)),  # type: ignore[misc]
            "all_in": _part(some, lambda row, level=level: inside_all_in(errors, row, level)),  # type: ignore[misc]
        }
        for level in LEVELS
    ]


def is_calibrated(shares: Sequence[Share]) -> bool:
    """Whether the share over all rows is the level, to WITHIN, both ways."""
    whole = shares[0]
    return all(abs(part - LEVEL) <= WITHIN for part in (whole.left_out, whole.all_in))
