"""What commands do with their answer: a folder that is said on stderr, then JSON or tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError
from netsim.specs.borders import printable


def needs_folder(output: Path | None, **given: bool) -> None:
    """Options about a folder with results, by name, are a mistake where no folder is written."""
    for name in given:
        if given[name] and output is None:
            raise NetsimError(f"--{name}: is about a folder with results; add -o DIR")


def say_warnings(lines: Sequence[str]) -> None:
    """Warnings of an answer, a line each."""
    for line in lines:
        print(f"netsim: warning: {printable(line)}", file=sys.stderr)


def say_written(folder: Path, files: Sequence[Path], quiet: bool) -> None:
    """The files that were written."""
    if not quiet:
        print(f"wrote {', '.join(file.name for file in files)} to {folder}", file=sys.stderr)


def answer(record: dict[str, Any], json: bool, quiet: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """The record as JSON, or as `show` prints it for people."""
    from netsim.reports.rundir import to_json

    if json:
        sys.stdout.write(to_json(record))
    elif not quiet:
        show(record)
