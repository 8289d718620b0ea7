"""The CSV of measured collectives, and the TOML beside it: what machine, libraries and settings its rows come from.

Columns: what a row is of (`collective`, `gpus`, `size_bytes`, `dtype`, `in_place`, `beside`, `backend`); `time_us`
(median over `reps`, of the slowest rank of each; a repetition is the mean of `launches` back to back), `p10_us`,
`p90_us`, `min_us`; `algbw_GBps`, `busbw_GBps` (empty for one GPU); `device`, `torch`, `nccl`. Only rows whose result
was the exact one are written. A table belongs to one device, torch and library.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import tomli_w

from netsim.errors import NetsimError
from netsim.measure.collectives import Case, bandwidths_GBps
from netsim.measure.provenance import beside
from netsim.measure.timing import Timing

KEYS = ("collective", "gpus", "size_bytes", "dtype", "in_place", "beside", "backend")
VALUES = ("time_us", "p10_us", "p90_us", "min_us", "reps", "launches", "algbw_GBps", "busbw_GBps")
MACHINE = ("device", "torch", "nccl")
COLUMNS = KEYS + VALUES + MACHINE

Row = dict[str, str]


@dataclass(frozen=True)
class Machine:
    """What all rows of a table share."""

    backend: str
    device: str
    torch: str
    nccl: str


def keys_of(case: Case, backend: str) -> Row:
    """The cells that say what a row is of."""
    cells = (case.collective, case.gpus, case.size_bytes, "fp32", "yes" if case.in_place else "no",
             case.beside, backend)  # fmt: skip
    return dict(zip(KEYS, map(str, cells), strict=True))


def make_row(case: Case, timing: Timing, launches: int, machine: Machine) -> Row:
    """A whole row; rates come from the median."""
    rates = bandwidths_GBps(case, timing.time_us)
    return keys_of(case, machine.backend) | {
        "time_us": f"{timing.time_us:.3f}",
        "p10_us": f"{timing.p10_us:.3f}",
        "p90_us": f"{timing.p90_us:.3f}",
        "min_us": f"{timing.min_us:.3f}",
        "reps": str(timing.reps),
        "launches": str(launches),
        "algbw_GBps": f"{rates[0]:.5g}" if rates else "",
        "busbw_GBps": f"{rates[1]:.5g}" if rates else "",
        "device": machine.device,
        "torch": machine.torch,
        "nccl": machine.nccl,
    }


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
        raise NetsimError(
            f"{path}: not a table of measured collectives: the columns differ; choose another -o"
        )
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise NetsimError(f"{path}: line {number} has not {len(COLUMNS)} cells; remove it and run again")
    return rows


class Table:
    """An output CSV that grows by whole rows; opened again, it knows what it holds.

    Raises NetsimError when the file is of another machine, or cannot be written.
    """

    def __init__(self, path: Path, machine: Machine) -> None:
        self.path, self.machine = path, machine
        rows = read_rows(path) if path.exists() and (path.is_dir() or path.stat().st_size) else []
        here = tuple(getattr(machine, name) for name in MACHINE)
        for row in rows:
            if (there := tuple(row[name] for name in MACHINE)) != here:
                raise NetsimError(f"{path}: holds rows of {there}, and this is {here}; choose another -o")
        self.done = {tuple(row[name] for name in KEYS) for row in rows}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", newline="", encoding="utf-8")
        except OSError as error:
            raise NetsimError(f"{path}: {error.strerror}") from error
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        if not path.stat().st_size:
            self._writer.writeheader()
            self._file.flush()

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def missing(self, plan: Iterable[Case]) -> list[Case]:
        """What of a plan is not in the table, in the plan's order."""
        backend = self.machine.backend
        return [case for case in plan if tuple(keys_of(case, backend).values()) not in self.done]

    def add(self, row: Row) -> None:
        """Append a row and push it to disk."""
        self._writer.writerow(row)
        self._file.flush()
        self.done.add(tuple(row[name] for name in KEYS))


def add_session(table: Path, first_row: int, machine: Mapping[str, object], seed: int) -> None:
    """Write, or add to, the provenance of a table; a session before it that added no row is forgotten.

    Raises NetsimError when there is a file that is no such provenance.
    """
    path = beside(table)
    try:
        before = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        sessions = [s for s in before.get("session", []) if s["first_row"] < first_row]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise NetsimError(f"{path}: is in the way of the provenance of {table.name}: {error}") from error
    sessions.append({"first_row": first_row, "seed": seed, **machine})
    facts = {"table": table.name, "protocol": PROTOCOL, "session": sessions}
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")


PROTOCOL = {
    "conventions": "nccl-tests: algbw = size / time; busbw = algbw x 2(n-1)/n (all-reduce), (n-1)/n "
    "(reduce-scatter, all-gather, all-to-all) or 1 (send/receive)",
    "statistic": "median of repetitions with 10 % and 90 % quantiles; the slowest rank counts in each; a repetition "
    "is the mean of launches back to back after a barrier, by CUDA events (gloo: the host's clock)",
    "data": "whole numbers below 128 in FP32, all results compared with the exact one before and after timing",
    "beside": "gemm: BF16 products of 4096 x 4096 x 4096 on another stream, still running when the repetition ended",
}
