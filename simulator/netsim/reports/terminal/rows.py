"""Rows of text under each other, as wide as they need to be: nothing is cut, whoever reads."""

from __future__ import annotations

from collections.abc import Sequence


def print_rows(rows: Sequence[Sequence[str]], left: int = 0) -> None:
    """Print rows in columns; the first `left` columns are flush left, the others flush right.

    >>> print_rows([("name", "n"), ("a", "10")], left=1)
    name   n
    a     10
    """
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [
            word.ljust(width) if n < left else word.rjust(width)
            for n, (word, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
