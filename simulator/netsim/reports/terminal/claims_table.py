"""What `netsim claims` prints."""

from __future__ import annotations

from typing import Any


def print_claims(record: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from netsim.reports.terminal.screen import screen

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for name in ("claim", "netsim computes", "verdict", "until"):
        table.add_column(name, no_wrap=name == "verdict")
    for row in record["tables"]["claims"]:
        table.add_row(row["claim"], row["computed"], row["verdict"], row["until"])
    console = screen(max(120, screen().width))
    console.print(table)
    for sentence in record["wall"]:
        console.print(sentence)
