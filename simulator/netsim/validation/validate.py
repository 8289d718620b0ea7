"""netsim against what other people measured: one row a published number, with its error and its tolerance.

    error = simulated / published - 1, in percent; of a row that is an error itself (nothing is published), its value

A row is fine when its error is within its tolerance (zero means equal to nine digits), or when both round to the same
decimals where the file says so. Rows without a tolerance are shown and never fail. `calibrated` rows were used to set
a constant, `predicted` ones were not; nothing is fitted to a predicted row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, NamedTuple

from netsim.errors import NetsimError, did_you_mean
from netsim.specs import catalog, load
from netsim.specs.published import PublishedRow, PublishedSpec
from netsim.validation import row_published
from netsim.validation.experiments import EXPERIMENTS
from netsim.validation.row_published import training_rows
from netsim.validation.row_run import Answer, run_rows

_EQUAL_PCT = 1e-7
SETS = ("all", "training", "papers")


@dataclass(frozen=True)
class Check:
    """One published number beside its simulated one; `ok` is None where there is no tolerance.

    `published` is None for an error in percent, which is to be small. Training steps also have the noise of the
    measurement and the error of the null model (`netsim.validation.row_null`), which is None for rows that set it.
    """

    id: str
    source: str
    metric: str
    unit: str
    published: float | None
    simulated: float
    error_pct: float
    tolerance_pct: float | None
    kind: str
    ok: bool | None
    noise_pct: float | None = None
    null_error_pct: float | None = None

    def record(self) -> dict[str, Any]:
        """The row as plain values; noise and null model where there are such."""
        known = asdict(self)
        if self.noise_pct is None and self.null_error_pct is None:
            del known["noise_pct"], known["null_error_pct"]
        return known

    def __str__(self) -> str:
        """The row in words: what is computed, what is published, and how close it must come."""
        if self.published is None:
            return f"{self.id}: {self.error_pct:.1f} % ({self.bound}), {self.kind}"
        return (
            f"{self.id}: {self.simulated:.4g} {self.unit}, published {self.published:.4g} "
            f"({self.error_pct:+.1f} %, {self.bound}), {self.kind}"
        )

    @property
    def bound(self) -> str:
        """The tolerance in words; empty without."""
        if self.tolerance_pct is None:
            return ""
        return f"{'at most' if self.published is None else 'tolerance'} {self.tolerance_pct:.2g} %"


def published(only: Iterable[str] = ()) -> list[PublishedSpec]:
    """The published sets, all or those named by the start of their name.

    Raises NetsimError when a name matches none, or a file names an unknown experiment.
    """
    names = catalog.names("published")
    wanted = list(only)
    for prefix in wanted:
        if not any(_named(name, prefix) for name in names):
            raise NetsimError(f"--only {prefix}: no such published set: {did_you_mean(prefix, names)}")
    chosen = [n for n in names if not wanted or any(_named(n, prefix) for prefix in wanted)]
    specs = [load(PublishedSpec, "published", name) for name in chosen]
    for spec in specs:
        if spec.experiment not in EXPERIMENTS:
            hint = did_you_mean(spec.experiment, EXPERIMENTS)
            raise NetsimError(
                f"reports/published/{spec.name}.toml: no experiment {spec.experiment!r}: {hint}"
            )
    return specs


def of_kind(specs: Sequence[PublishedSpec], sets: str) -> list[PublishedSpec]:
    """Training sets, the others (`papers`), or all.

    Raises NetsimError for another word.
    """
    if sets not in SETS:
        raise NetsimError(f"--sets {sets}: {did_you_mean(sets, SETS)}")
    training = [spec for spec in specs if spec.experiment == row_published.EXPERIMENT]
    return {
        "all": list(specs),
        "training": training,
        "papers": [spec for spec in specs if spec not in training],
    }[sets]


def _named(name: str, prefix: str) -> bool:
    """`fig5` and `isca25_fig5` both name isca25_fig5."""
    return name.startswith(prefix) or prefix in name.split("_")


class Validation(NamedTuple):
    """The checks of each set, and the training steps behind those that are of training."""

    checks: list[list[Check]]
    steps: list[Answer]


def validate_all(specs: Sequence[PublishedSpec], jobs: int = 1) -> Validation:
    """Run the experiments of published sets; training steps of all of them in `jobs` processes."""
    rows = [
        row for spec in specs if spec.experiment == row_published.EXPERIMENT for row in training_rows(spec)
    ]
    steps = run_rows(rows, jobs)
    answers = {answer.row.id: answer for answer in steps}
    checks = [
        _training_checks(spec, [answers[row.id] for row in training_rows(spec)])
        if spec.experiment == row_published.EXPERIMENT
        else validate(spec)
        for spec in specs
    ]
    return Validation(checks, steps)


def _training_checks(spec: PublishedSpec, answers: Sequence[Answer]) -> list[Check]:
    """The rows that netsim can express. Targets are of predicted rows: calibrated ones have no tolerance."""
    found = []
    for row, answer in zip(spec.rows, answers, strict=True):
        value = row_published.simulated(answer)
        if value is not None:
            check = replace(_check(spec, row, value), noise_pct=answer.noise_pct)
            check = replace(check, null_error_pct=answer.null_error_pct)
            free = check.kind == "calibrated"
            found.append(replace(check, tolerance_pct=None, ok=None) if free else check)
    return [*found, *_median(spec, found)]


def validate(spec: PublishedSpec) -> list[Check]:
    """Run the experiment of one published set."""
    simulated = EXPERIMENTS[spec.experiment]([spec.where(row) for row in spec.rows])
    pairs = zip(spec.rows, simulated, strict=True)
    checks = [_check(spec, row, value) for row, value in pairs if value is not None]
    return [*checks, *_median(spec, checks)]


def _check(spec: PublishedSpec, row: PublishedRow, simulated: float) -> Check:
    simulated = float(simulated)  # a number of numpy is none to JSON
    error = simulated if row.value is None else 100.0 * (simulated / row.value - 1.0)
    tolerance = spec.tolerance_pct if row.tolerance_pct is None else row.tolerance_pct
    ok: bool | None = None
    if row.decimals is not None and row.value:
        tolerance = 100.0 * 0.5 * 10.0**-row.decimals / row.value
        ok = round(simulated, row.decimals) == row.value
    elif tolerance is not None:
        ok = abs(error) <= max(tolerance, _EQUAL_PCT)
    return Check(
        id=f"{spec.name}.{row.id}",
        source=spec.source,
        metric=row.metric or spec.metric,
        unit=row.unit or spec.unit,
        published=row.value,
        simulated=simulated,
        error_pct=error,
        tolerance_pct=tolerance,
        kind=row.kind or spec.kind,
        ok=ok,
    )


def _median(spec: PublishedSpec, checks: Sequence[Check]) -> list[Check]:
    """The median of the absolute errors, where the set has a bound on it."""
    if spec.median_tolerance_pct is None:
        return []
    errors = [abs(check.error_pct) for check in checks if check.tolerance_pct is not None]
    if not errors:
        return []
    middle = median(errors)
    return [
        Check(
            id=f"{spec.name}.median",
            source=spec.source,
            metric=f"median error of {len(errors)} rows",
            unit="%",
            published=None,
            simulated=middle,
            error_pct=middle,
            tolerance_pct=spec.median_tolerance_pct,
            kind="predicted",
            ok=middle <= spec.median_tolerance_pct,
        )
    ]


@dataclass(frozen=True)
class Score:
    """One published set in a line: rows, those with a tolerance, misses; absolute errors of the latter, and of all."""

    name: str
    description: str
    rows: int
    checked: int
    missed: int
    calibrated: int
    median_pct: float | None
    worst_pct: float | None
    median_all_pct: float | None
    worst_all_pct: float | None


def score(spec: PublishedSpec, checks: Sequence[Check]) -> Score:
    """Count one set."""
    rows = [check for check in checks if not check.id.endswith(".median")]
    judged = [check for check in rows if check.ok is not None]
    errors = [abs(check.error_pct) for check in judged]
    every = [abs(check.error_pct) for check in rows]
    return Score(
        name=spec.name,
        description=spec.description,
        rows=len(rows),
        checked=len(judged),
        missed=sum(check.ok is False for check in checks),
        calibrated=sum(check.kind == "calibrated" for check in rows),
        median_pct=median(errors) if errors else None,
        worst_pct=max(errors) if errors else None,
        median_all_pct=median(every) if every else None,
        worst_all_pct=max(every, default=None),
    )


def percent(value: float | None) -> str:
    """An error for people; empty where there is none.

    >>> percent(2.345), percent(None)
    ('2.3 %', '')
    """
    return "" if value is None else f"{value:.1f} %"
