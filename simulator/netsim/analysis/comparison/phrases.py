"""Pieces of sentences: money, percent, spans and lists as words, and the rows that a sentence is about."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def scenarios(record: Row) -> list[tuple[str, int]]:
    """(workload, GPUs) of the comparison, in order."""
    return list(dict.fromkeys((row["workload"], row["gpus"]) for row in record["tables"]["comparison"]))


def rows_of(record: Row, table: str, scenario: tuple[str, int], topology: str | None = None) -> list[Row]:
    """Rows of a table that are about a scenario (and a fabric) and hold numbers."""
    return [
        row
        for row in record["tables"][table]
        if (row["workload"], row["gpus"]) == scenario
        and not row.get("error")
        and topology in (None, row["topology"])
    ]


def musd(usd: float, sign: bool = False) -> str:
    """Dollars in millions.

    >>> musd(8_960_000), musd(6_380_000, sign=True)
    ('8.96 M$', '+6.38 M$')
    """
    text = f"{usd / 1e6:+,.2f}" if sign else f"{usd / 1e6:,.2f}"
    return f"{text} M$"


def percent(part: float, digits: int, sign: bool = False) -> str:
    """A part in percent.

    >>> percent(0.7119, 0, True), percent(0.025, 1)
    ('+71 %', '2.5 %')
    """
    return f"{part * 100:{'+' if sign else ''}.{digits}f} %"


def span(values: list[float], digits: int) -> str:
    """From the least to the most, or the one.

    >>> span([1.0, 2.0], 1), span([1.01, 1.02], 1)
    ('1.0 to 2.0', '1.0')
    """
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def listed(words: list[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
