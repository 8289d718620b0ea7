"""The spec of a set of published numbers: values with units and uncertainty, and how close netsim must come.

A file is one table or figure. `experiment` names what netsim runs to reproduce it; `where` is what tells its rows
apart, and `plans` holds what several rows have in common. A row is `calibrated` when some constant was set with it,
else `predicted`. A row without `tolerance_pct` is shown and never fails; `decimals` asks for equality after rounding
instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from netsim.errors import did_you_mean
from netsim.specs.base import Preset, Strict

Evidence = Literal["calibrated", "predicted"]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Scalar = str | bool | int | float


class PublishedRow(Strict):
    """One published number; what is left out is taken from its file.

    A row without `value` is an error in percent, which nobody published and which is to be small. `plan` names a
    table of the file that several rows share, and `where` adds to it. `within_pct` and `between_pct` are the spread of
    a measurement inside a run (5th to 95th percentile) and between runs (greatest less least), over its median.
    `set_aside` marks a row that its source keeps for fitting: the null model is fitted on it, netsim only where the row
    is `calibrated`.
    """

    id: str
    value: float | None = None
    plan: str | None = None
    where: Mapping[str, Scalar] = Field(default_factory=dict)
    source: str | None = None
    within_pct: Percent | None = None
    between_pct: Percent | None = None
    metric: str | None = None
    unit: str | None = None
    uncertainty: str | None = None
    kind: Evidence | None = None
    set_aside: bool = False
    tolerance_pct: Percent | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] | None = None

    @model_validator(mode="after")
    def _has_a_relative_error(self) -> PublishedRow:
        if self.value == 0:
            raise ValueError(
                "value = 0, has no relative error: leave it out of a row that is an error itself"
            )
        if self.decimals is not None and self.value is None:
            raise ValueError(f"decimals = {self.decimals}, needs a value")
        return self


class PublishedSpec(Preset):
    """One table or figure. `median_tolerance_pct` bounds the median of the errors of rows that have a tolerance."""

    source: str
    experiment: str
    metric: str
    unit: str
    uncertainty: str
    kind: Evidence = "predicted"
    tolerance_pct: Percent | None = None
    median_tolerance_pct: Percent | None = None
    notes: str = ""
    plans: Mapping[str, Mapping[str, Scalar]] = Field(default_factory=dict)
    rows: tuple[PublishedRow, ...]

    @model_validator(mode="before")
    @classmethod
    def _tuple(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("rows"), list):
            data = {**data, "rows": tuple(data["rows"])}
        return data

    @model_validator(mode="after")
    def _known_plans(self) -> PublishedSpec:
        for row in self.rows:
            if row.plan is not None and row.plan not in self.plans:
                rule = did_you_mean(row.plan, self.plans)
                raise ValueError(f"row {row.id!r}: plan {row.plan!r} is no table of plans: {rule}")
        return self

    def where(self, row: PublishedRow) -> dict[str, Scalar]:
        """What tells a row from others, its plan included."""
        return {**(self.plans[row.plan] if row.plan else {}), **row.where}

    @model_validator(mode="after")
    def _distinct(self) -> PublishedSpec:
        ids = [row.id for row in self.rows]
        twice = next((i for i in ids if ids.count(i) > 1), None)
        if twice is not None:
            raise ValueError(f"row {twice!r} is given twice")
        return self
