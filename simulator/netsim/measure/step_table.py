"""The CSV of measured steps: a row a cut, with what it was, how long its phases took and what the GPU did meanwhile.

Times are of the slowest rank, medians over the last third of the soak (`cold_*`: the first 0.4 s after rest);
`busy_ms`, `span_ms`, `launches` and the milliseconds by class are of two traced steps of rank 0 (kernel times added up,
so what runs side by side counts twice by class, once in `busy_ms`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from netsim.errors import NetsimError
from netsim.measure.step_cut import Cut, cells_of
from netsim.measure.step_meter import CLASSES
from netsim.measure.step_rank import PHASES, Measured

Row = dict[str, str]
KEYS = ("name", *(field.name for field in fields(Cut)))
VALUES = (
    *(f"{p}_ms" for p in PHASES), "step_ms", "step_p10_ms", "step_p90_ms", "steps", "host_ms",
    "clock_mhz", "power_w", *(f"cold_{p}_ms" for p in PHASES), "cold_clock_mhz",
    "memory_peak_bytes", "parameters", "loss", "prepare_s", "busy_ms", "span_ms", "launches",
    *(f"{c}_ms" for c in CLASSES), "gpu", "torch",
)  # fmt: skip
COLUMNS = KEYS + VALUES


def _number(value: float, digits: int = 6) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def make_row(cut: Cut, ranks: Sequence[Measured], gpu: str, torch: str) -> Row:
    """A whole row from what every rank measured."""
    first = ranks[0]
    cells = {"name": cut.name, **cells_of(cut)}
    for p in PHASES:
        cells[f"{p}_ms"] = _number(max(r.hot_ms[p] for r in ranks))
        cells[f"cold_{p}_ms"] = _number(max(r.cold_ms[p] for r in ranks))
    for name in ("step_ms", "step_p10_ms", "step_p90_ms", "host_ms", "power_w"):
        cells[name] = _number(max(getattr(r, name) for r in ranks))
    for name in ("clock_mhz", "cold_clock_mhz"):
        cells[name] = _number(min(getattr(r, name) for r in ranks))
    cells["steps"], cells["parameters"] = str(first.steps), str(first.parameters)
    cells["memory_peak_bytes"] = str(max(r.memory_peak_bytes for r in ranks))
    cells["loss"], cells["prepare_s"] = _number(ranks[-1].loss), _number(first.prepare_s, 3)
    traced = first.traced
    cells["busy_ms"], cells["span_ms"] = (
        (_number(traced.busy_ms), _number(traced.span_ms)) if traced else ("", "")
    )
    cells["launches"] = str(traced.launches) if traced else ""
    for c in CLASSES:
        cells[f"{c}_ms"] = _number(traced.by_class_ms[c]) if traced else ""
    return {name: cells[name] for name in COLUMNS[:-2]} | {"gpu": gpu, "torch": torch}


def read_rows(path: Path) -> list[Row]:
    """Rows of a table, in order.

    Raises NetsimError when the file is not one, or ends in the middle of a row.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise NetsimError(f"{path}: cannot be read: {error}") from error
    if columns != COLUMNS:
        raise NetsimError(f"{path}: not a table of measured steps: the columns differ; choose another -o")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise NetsimError(f"{path}: line {number} has not {len(COLUMNS)} cells; remove it and run again")
    return rows


def add_row(path: Path, row: Row) -> None:
    """Append a row, with the header where the file is new.

    Raises NetsimError when the file is another table, or of another machine.
    """
    rows = read_rows(path) if path.exists() and path.stat().st_size else []
    for there in rows:
        if (there["gpu"], there["torch"]) != (row["gpu"], row["torch"]):
            raise NetsimError(
                f"{path}: holds rows of {there['gpu']} with torch {there['torch']}; choose another -o"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if not rows:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise NetsimError(f"{path}: {error.strerror}") from error
