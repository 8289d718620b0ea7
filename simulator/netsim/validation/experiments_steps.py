"""Steps that were measured on a GPU at hand, against what the simulator says of the same cut.

A row of the published file names a cut of a table of `netsim measure --step` and a part of its step: forward with loss,
backward, optimizer or the whole. The published value is the table's. Left out: exchanges inside forward and backward,
which `step` has. Without the tables (an installed wheel) there is nothing to compare.

Source: workloads/compute/measured/h200_steps*.csv, own measurement on NVIDIA H200.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from netsim.errors import NetsimError, did_you_mean
from netsim.measure.step_cut import from_cells
from netsim.measure.step_predict import Predicted, predict
from netsim.measure.step_table import read_rows
from netsim.specs.catalog import root

FOLDER = "workloads/compute/measured"
PARTS = ("fwd", "bwd", "opt", "step")


def measured_steps(where: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Milliseconds of a part of a step, for rows with `table`, `cut` and `part`."""
    found: list[float | None] = []
    for w in where:
        if w["part"] not in PARTS:
            raise NetsimError(f"part = {w['part']!r}: {did_you_mean(w['part'], PARTS)}")
        step = _predicted(str(w["table"]), str(w["cut"]))
        found.append(None if step is None else float(getattr(step, f"{w['part']}_ms")))
    return found


@lru_cache(maxsize=64)
def _predicted(table: str, cut: str) -> Predicted | None:
    """What the simulator says of a cut of a table; None where the table is not installed."""
    path = root() / FOLDER / table
    if not path.is_file():
        return None
    rows = {row["name"]: row for row in read_rows(path)}
    if cut not in rows:
        raise NetsimError(f"{path}: no cut {cut!r}: {did_you_mean(cut, rows)}")
    return predict(from_cells(rows[cut]))
