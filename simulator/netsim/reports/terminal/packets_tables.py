"""A packet simulation for a person at a terminal: the record, then its groups of messages."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.rows import print_rows


def print_packets(record: dict[str, Any]) -> None:
    """The record as text."""
    left_out = ("groups", "provenance", "schema")
    plain = [(name, _text(value)) for name, value in record.items() if name not in left_out]
    print_rows([("what", "value"), *plain], left=1)
    print()
    names = list(record["groups"][0])
    rows = [tuple(_text(group.get(name)) for name in names) for group in record["groups"]]
    print_rows([("group", *names[1:]), *rows], left=1)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else f"{value}"
