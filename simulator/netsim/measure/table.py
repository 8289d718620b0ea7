"""The CSV of measured kernels: its columns, what is done already, and rows flushed one by one.

A table belongs to one GPU model and one torch: a row of another would be taken for the same experiment.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from netsim.errors import NetsimError
from netsim.measure.plan import Measurement
from netsim.measure.timing import Timing

#: what a row is of
KEYS = (
    "kernel", "kind", "dtype", "out_dtype", "m", "n", "k", "groups", "batch", "v_dim", "group_rows",
    "set", "operator", "mode", "side", "side_sms",
)  # fmt: skip
#: what was measured; the package docstring explains each
VALUES = (
    "time_us", "p10_us", "p90_us", "min_us", "reps", "sm_clock_GHz", "side_GBps",
    "flops", "bytes", "tflops", "GBps", "error_rel", "gpu", "torch",
)  # fmt: skip
COLUMNS = KEYS + VALUES
#: a row is the same measurement whatever set it was drawn for
_LABELS = ("kind", "set", "operator")

Key = tuple[str, ...]
Row = dict[str, str]


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def keys_of(m: Measurement) -> Row:
    """The cells that say what a row is of."""
    s = m.shape
    rows = " ".join(map(str, s.group_rows))
    cells = (s.kernel, s.kind, s.dtype, s.out_dtype, s.m, s.n, s.k, s.groups, s.batch, s.v_dim, rows,
             m.set, m.operator, m.mode, m.side, m.side_sms)  # fmt: skip
    return dict(zip(KEYS, map(str, cells), strict=True))


def identity(row: Row) -> Key:
    """What makes two rows the same measurement."""
    return tuple(row[name] for name in KEYS if name not in _LABELS)


def make_row(m: Measurement, timing: Timing, error_rel: float, gpu: str, torch: str) -> Row:
    """A whole row; rates come from the median."""
    s, seconds = m.shape, timing.time_us * 1e-6
    return keys_of(m) | {
        "time_us": f"{timing.time_us:.3f}",
        "p10_us": f"{timing.p10_us:.3f}",
        "p90_us": f"{timing.p90_us:.3f}",
        "min_us": f"{timing.min_us:.3f}",
        "reps": str(timing.reps),
        "sm_clock_GHz": _number(timing.sm_clock_GHz, 4),
        "side_GBps": _number(timing.side_GBps, 5),
        "flops": f"{s.flops:.0f}",
        "bytes": f"{s.bytes:.0f}",
        "tflops": _number(s.flops / seconds / 1e12, 5) if s.flops else "",
        "GBps": _number(s.bytes / seconds / 1e9, 5) if s.bytes else "",
        "error_rel": _number(error_rel, 3),
        "gpu": gpu,
        "torch": torch,
    }


def read_rows(path: Path) -> list[Row]:
    """Rows of a table, in order.

    Raises NetsimError when the file is not one, or ends in the middle of a row.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise NetsimError(f"{path}: not a table of netsim measure: the columns differ; choose another -o")
        rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise NetsimError(f"{path}: line {number} has not {len(COLUMNS)} cells; remove it and run again")
    return rows


class Table:
    """An output CSV that grows by whole rows; opened again, it knows what it holds.

    Raises NetsimError when the file is of another GPU or torch, or cannot be written.
    """

    def __init__(self, path: Path, gpu: str, torch: str) -> None:
        self.path = path
        rows = read_rows(path) if path.is_file() and path.stat().st_size else []
        for row in rows:
            if (row["gpu"], row["torch"]) != (gpu, torch):
                raise NetsimError(
                    f"{path}: holds rows of {row['gpu']} with torch {row['torch']}, and this is {gpu} "
                    f"with torch {torch}; choose another -o"
                )
        self.done = {identity(row) for row in rows}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", newline="")
        except OSError as error:
            raise NetsimError(f"{path}: {error.strerror}") from error
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        if not rows and not path.stat().st_size:
            self._writer.writeheader()
            self._file.flush()

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def missing(self, plan: Iterable[Measurement]) -> list[Measurement]:
        """What of a plan is not in the table, in the plan's order."""
        return [m for m in plan if identity(keys_of(m)) not in self.done]

    def add(self, row: Row) -> None:
        """Append a row and push it to disk."""
        self._writer.writerow(row)
        self._file.flush()
        self.done.add(identity(row))
