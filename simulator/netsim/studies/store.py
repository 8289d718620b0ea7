"""Finished points on disk: one line of JSON each, appended and synced, so that nothing that is done is lost.

A line that was cut short (the machine went down while it was written) is ignored and the point done again. Where a
point is met twice, the last line counts; a failed point counts as not done, and so does one whose files have changed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from netsim.errors import NetsimError
from netsim.specs.output import refuse_taken
from netsim.studies.evaluate import FILES, changed_file

FILE = "points.jsonl"


class Store:
    """The open file of finished points; made by `open_store`."""

    def __init__(self, file: BinaryIO, rows: dict[str, dict[str, Any]]) -> None:
        self._file = file
        self.rows = rows
        self._stale: dict[tuple[tuple[str, str], ...], bool] = {}

    def done(self, point: str) -> bool:
        """Whether a point has its answer: a failed one has not, nor one that read a file which changed since."""
        row = self.rows.get(point)
        if row is None or row["status"] == "failed":
            return False
        read = row.get(FILES, {})
        told = tuple(sorted(read.items()))
        if told not in self._stale:
            self._stale[told] = changed_file(read) is not None
        return not self._stale[told]

    def add(self, point: str, row: dict[str, Any]) -> None:
        """Append a row and wait until it is on disk."""
        line = json.dumps({"id": point, **row}, allow_nan=False) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        # what a later run would read, such as a plain float for one of numpy
        self.rows[point] = json.loads(line)


@contextmanager
def open_store(folder: Path, fresh: bool = False) -> Iterator[Store]:
    """Open the points of a folder to read and to append; one process at a time.

    Raises NetsimError when the folder cannot be written, or another sweep is writing here.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222:
            raise NetsimError(f"-o {folder}: is read-only")
        refuse_taken(folder, fresh, own=FILE)
        file = path.open("a+b")
    except OSError as error:
        raise NetsimError(f"-o {folder}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NetsimError(f"-o {folder}: another sweep is writing here") from None
        if fresh:
            file.truncate(0)
        yield Store(file, _read(file, path))


def _read(file: BinaryIO, path: Path) -> dict[str, dict[str, Any]]:
    file.seek(0)
    text = file.read()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):  # a line that was cut short: take it away, or the next one would be glued to it
        file.truncate(whole)
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text[:whole].splitlines(), start=1):
        try:
            row = json.loads(line)
            rows[row["id"]] = row
            row["status"]
        except (ValueError, KeyError, TypeError):
            raise NetsimError(f"{path}: line {number}: is no finished point; --force starts anew") from None
    return rows
