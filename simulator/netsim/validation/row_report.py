"""Published training rows as text and as records: each row, a summary a group, the ranking, and what could not run.

Targets are of predicted rows: the median and the worst absolute error of a group of rows, by kind of model and of
GPU. A group that misses one is shown as missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from netsim.validation.row_interval import interval_s, is_inside
from netsim.validation.row_ranking import Pair
from netsim.validation.row_run import Answer, ranking

#: (kind of model, generation of GPU) -> median and worst error that are asked for, percent
TARGETS = {
    ("dense", "Hopper"): (4.0, 10.0),
    ("MoE", "Hopper"): (8.0, 15.0),
    ("dense", "Blackwell"): (6.0, 12.0),
    ("MoE", "Blackwell"): (8.0, 12.0),
}
#: share of the pairs of measured plans that must be in the right order
RANKING_TARGET = 0.9
_HOPPER = ("H100", "H200", "H800", "H20")
_BLACKWELL = ("B200", "B300", "GB200", "GB300")


def generation(gpu: str) -> str:
    """The generation of a GPU as its row writes it.

    >>> generation("H200-NVL"), generation("GB300"), generation("MI300X")
    ('Hopper', 'Blackwell', 'other')
    """
    if gpu.startswith(_HOPPER):
        return "Hopper"
    return "Blackwell" if gpu.startswith(_BLACKWELL) else "other"


def record(answer: Answer) -> dict[str, Any]:
    """A row as plain values."""
    return {
        "id": answer.row.id,
        "source": answer.row.source,
        "gpu": answer.row.gpu,
        "model": answer.row.model,
        "metric": "time of a step",
        "unit": "s",
        "published": answer.published_s,
        "simulated": answer.simulated_s,
        "interval_s": interval_s(answer),
        "inside": is_inside(answer),
        "error_pct": answer.error_pct,
        "noise_pct": answer.noise_pct,
        "null": answer.null_s,
        "null_error_pct": answer.null_error_pct,
        "kind": "calibrated" if answer.row.sets_constant else "predicted",
        "set_aside": answer.row.set_aside,
        "assumed": list(answer.assumed),
        "ignored": list(answer.ignored),
        "reason": answer.reason,
    }


@dataclass(frozen=True)
class Summary:
    """Predicted rows of one kind of model on one generation of GPU, and what is asked of them."""

    name: str
    rows: int
    median_pct: float
    worst_pct: float
    null_median_pct: float | None
    median_target_pct: float | None
    worst_target_pct: float | None

    @property
    def missed(self) -> bool:
        """Whether a target is missed."""
        return (self.median_target_pct is not None and self.median_pct > self.median_target_pct) or (
            self.worst_target_pct is not None and self.worst_pct > self.worst_target_pct
        )


def summaries(answers: Iterable[Answer]) -> list[Summary]:
    """One line a kind of model and generation of GPU, and one a cluster's framework below it."""
    groups: dict[tuple[str, str, str], list[Answer]] = {}
    for answer in answers:
        if answer.error_pct is None or answer.row.sets_constant:
            continue
        kind, gpu = "MoE" if answer.moe else "dense", generation(answer.row.gpu)
        for part in ("", f"{answer.row.framework.split(' 2')[0]}, {answer.row.gpu}"):
            groups.setdefault((gpu, kind, part), []).append(answer)
    return [_summary(key, groups[key]) for key in sorted(groups)]


def _summary(key: tuple[str, str, str], answers: Sequence[Answer]) -> Summary:
    gpu, kind, part = key
    errors = [abs(a.error_pct) for a in answers if a.error_pct is not None]
    null = [abs(a.null_error_pct) for a in answers if a.null_error_pct is not None]
    target = TARGETS.get((kind, gpu), (None, None)) if not part else (None, None)
    name = f"{kind}, {gpu}" + (f": {part}" if part else "")
    return Summary(
        name, len(errors), median(errors), max(errors), median(null) if null else None, target[0], target[1]
    )


def right_share(pairs: Sequence[Pair]) -> float | None:
    """Share of the pairs that are in the right order; None without pairs."""
    return sum(pair.right for pair in pairs) / len(pairs) if pairs else None


HEAD = (
    "row",
    "published_s",
    "simulated_s",
    "80 % interval",
    "error_pct",
    "noise_pct",
    "null_error_pct",
    "kind",
)


def table(answers: Iterable[Answer]) -> list[tuple[str, ...]]:
    """The rows that have an answer, as words under `HEAD`."""
    words: list[tuple[str, ...]] = [
        (
            answer.row.id,
            _seconds(answer.published_s),
            _seconds(answer.simulated_s),
            "-".join(map(_seconds, interval_s(answer) or ())),
            _percent(answer.error_pct, "+.1f"),
            _percent(answer.noise_pct, ".1f"),
            "fit" if answer.null_fitted else _percent(answer.null_error_pct, "+.1f"),
            "calibrated" if answer.row.sets_constant else "predicted",
        )
        for answer in answers
        if answer.simulated_s is not None
    ]
    return [HEAD, *words]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _percent(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def not_run(answers: Iterable[Answer]) -> dict[str, list[str]]:
    """Rows without an answer, by reason."""
    found: dict[str, list[str]] = {}
    for answer in answers:
        if answer.reason:
            found.setdefault(answer.reason, []).append(answer.row.id)
    return found


def missed(answers: Sequence[Answer]) -> bool:
    """Whether a target is missed, of a group of rows or of the ranking."""
    share = right_share(ranking(answers))
    return any(group.missed for group in summaries(answers)) or (share is not None and share < RANKING_TARGET)
