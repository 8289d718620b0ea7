"""A comparison for a person at a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from netsim.analysis.uncertainty.interval import ends_words
from netsim.reports.terminal.screen import screen

_COLUMNS = (
    "",
    "job",
    "GPUs",
    "step s",
    "80 %",
    "B tokens/day",
    "MFU",
    "exposed s",
    "M$",
    "k$/GPU",
    "kW",
    "worst us",
    "grows to",
)


def _musd(row: dict[str, Any]) -> str:
    """The price in M$, with the range of the book's offers where it has one."""
    low, high = row["network_usd_low"] / 1e6, row["network_usd_high"] / 1e6
    return f"{row['network_usd'] / 1e6:.2f}" + (f" ({low:.1f}-{high:.1f})" if low < high else "")


def print_comparison(record: dict[str, Any]) -> None:
    """What to take, one row a fabric, and what changed and why."""
    console = screen()
    for advice in record["recommendations"]:
        console.print(advice["sentence"], style="bold")
        for sentence in (*advice["draws"], *advice["prices"], *advice["otherwise"]):
            console.print(sentence)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if number > 1 else "left", no_wrap=True)
    for row in record["tables"]["comparison"]:
        if not row["error"]:
            table.add_row(
                row["topology"], row["workload"], f"{row['gpus']:,}", f"{row['step_time_s']:.3f}",
                ends_words(row["step_time_low_s"], row["step_time_high_s"]),
                f"{row['tokens_per_day'] / 1e9:.1f}", f"{row['mfu_causal']:.1%}", f"{row['exposed_comm_s']:.2f}",
                _musd(row), f"{row['usd_per_gpu'] / 1e3:.2f}", f"{row['power_kw']:,.0f}",
                f"{row['worst_latency_us']:.2f}", f"{row['max_gpus']:,}",
            )  # fmt: skip
    screen(max(130, console.width)).print(table)
    for finding in record["findings"]:
        console.print(finding["text"])
    for condition in dict.fromkeys(advice["condition"] for advice in record["recommendations"]):
        console.print(condition, style="dim")
