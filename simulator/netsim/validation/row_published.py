"""Training rows of the files in reports/published, and what the experiment `training_steps` makes of them.

A row of such a file is `value` (seconds, or TFLOPS a GPU where only those are published), the spread of the
measurement, and the machine and plan in the words of `TrainingRow`, shared ones in `[plans]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netsim.specs.base import validate
from netsim.specs.published import PublishedRow, PublishedSpec
from netsim.validation.row_run import Answer, run_rows
from netsim.validation.training_row import TrainingRow

#: name of the experiment whose rows are training steps
EXPERIMENT = "training_steps"


def training_rows(spec: PublishedSpec) -> list[TrainingRow]:
    """The rows of a published set of training steps.

    Raises SpecError where a row has a key that no training row has.
    """
    return [_row(spec, row) for row in spec.rows]


def _row(spec: PublishedSpec, row: PublishedRow) -> TrainingRow:
    measured: dict[str, Any] = {"tflops" if in_tflops(spec, row) else "step_s": row.value}
    facts: dict[str, Any] = {
        "id": f"{spec.name}.{row.id}",
        "source": row.source or spec.source,
        "set_aside": row.set_aside,
        "sets_constant": (row.kind or spec.kind) == "calibrated",
        "within_pct": row.within_pct,
        "between_pct": row.between_pct,
    }
    place = f"reports/published/{spec.name}.toml: row {row.id}"
    return validate(TrainingRow, {**spec.where(row), **facts, **measured}, place)


def in_tflops(spec: PublishedSpec, row: PublishedRow) -> bool:
    """Whether a row is published as TFLOPS a GPU."""
    return (row.unit or spec.unit) == "TFLOPS"


def simulated(answer: Answer) -> float | None:
    """What netsim says in the unit of the row."""
    if answer.row.tflops is None or answer.simulated_s is None or answer.published_s is None:
        return answer.simulated_s
    return answer.row.tflops * answer.published_s / answer.simulated_s


def training_steps(where: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Seconds of a step of each row; None for one that netsim cannot express."""
    rows = [
        validate(TrainingRow, {"id": str(n), **facts}, "reports/published") for n, facts in enumerate(where)
    ]
    return [answer.simulated_s for answer in run_rows(rows)]
