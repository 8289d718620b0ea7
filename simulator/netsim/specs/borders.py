"""Words that others chose, made safe where they leave: one escaping per border.

Text of a terminal and of XML holds no control characters; a spreadsheet computes a cell that begins as a formula does.
Markup of tables on a terminal is off (`netsim.reports.terminal.screen`), mathematics in plots is off
(`netsim.reports.plots`), and pages escape by themselves (`netsim.reports.page`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: control characters but tab and newline, lone surrogates, and marks that reverse the direction of text
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""Text for a terminal: control characters as they would be typed.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def cell(value: Any) -> Any:
    """A value for a spreadsheet: text that would be computed begins with an apostrophe, and so stays text.

    >>> cell("=1+1"), cell("mpft"), cell(-3)
    ("'=1+1", 'mpft', -3)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A frame as CSV for spreadsheets, headings included."""
    frame.rename(columns=cell).map(cell).to_csv(path, index=False)
