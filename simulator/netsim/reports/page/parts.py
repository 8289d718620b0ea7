"""What a report is put together from: sections of text, facts, tables and figures. Values only; `render` draws them."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Value = Any


@dataclass(frozen=True)
class Text:
    """A paragraph. `lead` stands out, `note` steps back."""

    template: ClassVar[str] = "text"
    text: str
    kind: Literal["plain", "lead", "note", "code"] = "plain"


@dataclass(frozen=True)
class Listing:
    """Sentences under each other, each with a word in front that says what it is about (or none)."""

    template: ClassVar[str] = "listing"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Fact:
    """One number that is asked first: what it is, the number as text, and what to know of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """Facts side by side."""

    template: ClassVar[str] = "facts"
    facts: Sequence[Fact]


def plain(value: Value) -> str:
    """A value as it is; what is missing is left empty.

    >>> plain(None), plain(True), plain(2048), plain("mpft")
    ('', 'yes', '2,048', 'mpft')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def number(digits: int, scale: float = 1.0, sign: bool = False) -> Callable[[Value], str]:
    """A number with so many digits behind the point, divided by `scale`.

    >>> number(2, 1e6)(8_960_000), number(1)(None), number(2, sign=True)(0.5)
    ('8.96', '', '+0.50')
    """
    form = f"{'+' if sign else ''},.{digits}f"
    return lambda value: "" if value is None else format(value / scale, form)


def percent(digits: int = 1) -> Callable[[Value], str]:
    """A fraction in percent.

    >>> percent()(0.434)
    '43.4 %'
    """
    return lambda value: "" if value is None else f"{value * 100:,.{digits}f} %"


@dataclass(frozen=True)
class Column:
    """One column that is shown: key of the rows, heading, how a value is written; `left` for words."""

    key: str
    label: str
    form: Callable[[Value], str] = plain
    left: bool = False


@dataclass(frozen=True)
class Table:
    """Rows with the columns to show; the CSV to download holds every key of every row.

    folded : closed until asked for, for long tables; marked : index of a row that stands out, or None
    """

    template: ClassVar[str] = "table"
    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    folded: bool = False
    note: str = ""
    marked: int | None = None

    def cells(self, row: Mapping[str, Value]) -> list[tuple[Column, str, str]]:
        """(column, text to show, value as JSON) of a row."""
        return [
            (c, c.form(row.get(c.key)), json.dumps(row.get(c.key), allow_nan=False)) for c in self.columns
        ]

    def csv(self) -> str:
        """All keys and values, one row a line."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=keys, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in self.rows)
        return text.getvalue()

    def uri(self) -> str:
        """The CSV as an address that needs no network."""
        return data_uri(self.csv(), "text/csv")


@dataclass(frozen=True)
class Figure:
    """A picture as SVG text and what it shows; `wide` ones take the whole width."""

    id: str
    caption: str
    svg: str
    wide: bool = False


@dataclass(frozen=True)
class Figures:
    """Pictures side by side where there is room; `small` ones three in a row."""

    template: ClassVar[str] = "figures"
    figures: Sequence[Figure]
    small: bool = False


@dataclass(frozen=True)
class Beside:
    """Words, with a picture at their right where there is room."""

    template: ClassVar[str] = "beside"
    parts: Sequence[Text | Listing]
    figure: Figure


Part = Text | Listing | Facts | Table | Figures | Beside


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    id: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Document:
    """A whole report; `record` is what its tables were made of, to download as JSON."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    record_name: str
    record: Mapping[str, Value]
    foot: str = ""

    def record_uri(self) -> str:
        """The record as an address that needs no network."""
        return data_uri(json.dumps(self.record, indent=1, allow_nan=False) + "\n", "application/json")


def data_uri(text: str, kind: str) -> str:
    """Text as an address.

    >>> data_uri("a", "text/csv")
    'data:text/csv;charset=utf-8;base64,YQ=='
    """
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def _cell(value: Value) -> Value:
    return json.dumps(value) if isinstance(value, dict | list) else value
