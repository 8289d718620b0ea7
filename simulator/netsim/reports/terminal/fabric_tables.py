"""Fabrics for a person at a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from netsim.reports.terminal.screen import line as words
from netsim.reports.terminal.screen import screen


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
    return table


def print_fabric(record: dict[str, Any]) -> None:
    """Parts, what it can do, what a failure takes, the bill, the years."""
    console = screen()
    fabric, can, cost, years = (record[key] for key in ("topology", "properties", "cost", "ownership"))
    ratios = ", ".join(f"{ratio:g}:1" for ratio in fabric["oversubscription"]) or "no tiers"
    counts = (
        f" with {fabric['gpus']:,} GPUs: {fabric['switches']:,} switches, "
        f"{fabric['switch_links']:,} switch links, {fabric['endpoints']:,} NIC ports, {fabric['planes']} "
        f"plane{'s' * (fabric['planes'] > 1)} of {fabric['tiers']} tier{'s' * (fabric['tiers'] > 1)} ({ratios})"
    )
    console.print(words((fabric["name"], "bold"), counts))
    shown = [f"{k.replace('_', ' ')} {v:.2f}" for k, v in record["latency_us"].items() if v is not None]
    bound = "" if can["bisection_exact"] else " at most"
    console.print(f"Latency (us, 64 B): {', '.join(shown)}; {can['diameter_switches']} switches at most")
    console.print(
        f"Bisection{bound} {can['bisection_GBps']:,.0f} GB/s ({can['bisection_of_line_rate']:.0%} of the NICs'), "
        f"worst permutation at most {can['permutation_bound']:.0%} of line rate, {can['disjoint_paths']} disjoint "
        f"paths between switches; grows to {can['max_gpus']:,} GPUs"
    )
    ports = _table("Ports", "", "switches", "ports", "used", "free")
    for tier, row in can["ports"].items():
        ports.add_row(tier, *(f"{row[key]:,}" for key in ("switches", "ports", "used", "free")))
    console.print(ports)
    faults = _table("One failed ...", "", "NICs cut off", "NICs slowed", "of its kind's capacity")
    for row in can["faults"]:
        faults.add_row(
            row["failed"],
            f"{row['nics_cut_off']:,}",
            f"{row['nics_slowed']:,}",
            f"{row['capacity_lost']:.2%}",
        )
    console.print(faults)
    bill = _table(
        f"Bill ({cost['price_book']} prices of {cost['price_date']})", "", "count", "$ each", "k$", "kW", ""
    )
    for line in cost["lines"]:
        bill.add_row(
            line["part"].replace("_", " "), f"{line['count']:,}", f"{line['unit_usd']:,.0f}",
            f"{line['usd'] / 1e3:,.0f}", f"{line['power_kw']:,.1f}", line["status"],
        )  # fmt: skip
    console.print(bill)
    spread = ""
    if cost["network_usd_low"] != cost["network_usd_high"]:
        spread = f" ({cost['network_usd_low'] / 1e6:.2f} to {cost['network_usd_high'] / 1e6:.2f})"
    console.print(
        f"Network {cost['network_usd'] / 1e6:.2f} M${spread}, {cost['usd_per_gpu'] / 1e3:.2f} k$ a GPU, "
        f"{cost['power_kw']:.0f} kW; {years['total_usd'] / 1e6:.2f} M$ over {years['years']:g} years; a run of "
        f"{years['run_days']:g} days takes {years['run_energy_MWh']:,.0f} MWh"
    )
    console.print(f"Not in the price: {cost['leaves_out']}")


def print_comparison(rows: list[dict[str, Any]], book: str) -> None:
    """One row a fabric; those that cannot be built below."""
    console = screen()
    table = _table(
        f"{rows[0]['gpus']:,} GPUs, {book} prices", "", "switches", "links", "M$", "k$/GPU", "kW", "M$ owned",
        "bisection GB/s", "$/(GB/s)", "permutation", "worst us", "grows to",
    )  # fmt: skip
    for row in rows:
        if not row["error"]:
            per = row["usd_per_bisection_GBps"]
            table.add_row(
                row["name"], f"{row['switches']:,}", f"{row['switch_links']:,}", f"{row['network_usd'] / 1e6:.2f}",
                f"{row['usd_per_gpu'] / 1e3:.2f}", f"{row['power_kw']:.0f}", f"{row['ownership_usd'] / 1e6:.2f}",
                f"{row['bisection_GBps']:,.0f}", f"{per:,.0f}" if per else "", f"{row['permutation_bound']:.0%}",
                f"{row['worst_latency_us']:.2f}", f"{row['max_gpus']:,}",
            )  # fmt: skip
    screen(max(140, console.width)).print(table)
    for row in rows:
        if row["error"]:
            console.print(row["error"], soft_wrap=True)
