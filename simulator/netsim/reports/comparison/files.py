"""A comparison on disk: report.html to send, report.json with the same numbers, and each table as Parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.reports.comparison.document import document
from netsim.reports.rundir import to_json, write_frame
from netsim.specs.output import begin_folder, claim_folder, release_folder, write_text_whole

if TYPE_CHECKING:
    import pandas as pd

    from netsim.reports.page import Document

#: the file that tells a folder with a comparison
MARK = "report.json"


def prepare(folder: Path, force: bool = False) -> None:
    """Make sure that a comparison can be written here, before the work is done.

    Raises NetsimError when the folder cannot be made or written, or already holds a comparison.
    """
    claim_folder(folder, force)


def write(
    folder: Path,
    record: dict[str, Any],
    csv: bool = False,
    page_of: Callable[[dict[str, Any]], Document] = document,
) -> list[Path]:
    """Write the report of a record with `tables`, the page as `page_of` lays it out; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    from netsim.reports.page import render

    page = render(page_of(record))
    begin_folder(folder)
    files = [write_text_whole(folder / "report.html", page)]
    for name, frame in frames(record).items():
        if not frame.empty:
            files += write_frame(folder, name, frame, csv)
    # last: a folder with a report is whole
    files = [write_text_whole(folder / MARK, to_json(record)), *files]
    release_folder(folder)
    return files


def frames(record: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables as pandas frames."""
    import pandas as pd

    return {name: pd.DataFrame(rows) for name, rows in record["tables"].items()}
