"""An ablation for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich import box
from rich.table import Table

from netsim.reports.terminal.screen import screen

#: heading, key, value as text
_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("step s", "step_time_s", "{:.2f}".format),
    ("memory GB", "memory_gb", "{:.1f}".format),
    ("NIC GB", "nic_bytes_per_gpu", lambda v: f"{v / 1e9:.1f}"),
    ("network M$", "network_usd", lambda v: f"{v / 1e6:.2f}"),
    ("M tokens/$", "tokens_per_usd", lambda v: f"{v / 1e6:.2f}"),
    ("KV KB", "kv_cache_bytes_per_token", lambda v: f"{v / 1e3:.1f}"),
    ("batch", "decode_batch", "{}".format),
    ("TPOT ms", "decode_tpot_ms", "{:.1f}".format),
    ("tokens/s", "decode_tokens_per_s_per_gpu", "{:,.0f}".format),
)


def print_ablation(record: dict[str, Any]) -> None:
    """One row a job, then what each choice changed in words."""
    ask = record["question"]
    console = screen(max(130, screen().width))
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold",
        title=f"{ask['model']} on {ask['gpus']:,} GPUs over {ask['topology']}, one choice turned off at a time",
    )  # fmt: skip
    table.add_column("without", no_wrap=True)
    table.add_column("instead", no_wrap=True)
    for heading, _, _ in _COLUMNS:
        table.add_column(heading, justify="right")
    for row in record["tables"]["ablation"]:
        cells = [form(row[key]) if row.get(key) is not None else "-" for _, key, form in _COLUMNS]
        if not row["error"] and not row["fits"]:
            cells[1] += " !"
        name = "-" if row["choice"] == "base" else row["name"]
        table.add_row(name, row["instead"], *cells)
    console.print(table)
    if any(not row["error"] and not row["fits"] for row in record["tables"]["ablation"]):
        console.print("! does not fit into the memory of a GPU; simulated all the same", style="dim")
    plain = screen()
    names = {row["choice"]: row["name"] for row in record["tables"]["ablation"]}
    for finding in record["findings"]:
        if finding["notes"]:
            plain.print(f"{names[finding['choice']]}: {' '.join(finding['notes'])}")
