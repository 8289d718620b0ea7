"""The CSV of mixes: a row for each kernel of each mix."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from netsim.errors import NetsimError
from netsim.measure.mix import MixPart

COLUMNS = tuple(field.name for field in fields(MixPart))
_TEXT = ("mix", "part")


def write_parts(path: Path, parts: Iterable[MixPart]) -> None:
    """Append rows, with the header where the file is new.

    Raises NetsimError when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists() or not path.stat().st_size
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if fresh:
                writer.writeheader()
            for part in parts:
                writer.writerow({k: v if k in _TEXT else f"{v:.6g}" for k, v in asdict(part).items()})
    except OSError as error:
        raise NetsimError(f"{path}: {error.strerror}") from error


def read_parts(path: Path) -> list[MixPart]:
    """Rows of a table.

    Raises NetsimError for a file that is not one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise NetsimError(f"{path}: not a table of mixes: the columns differ")
            return [MixPart(*(row[c] if c in _TEXT else float(row[c]) for c in COLUMNS)) for row in reader]  # type: ignore[arg-type]
    except OSError as error:
        raise NetsimError(f"{path}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise NetsimError(f"{path}: line {reader.line_num}: {error}") from error
