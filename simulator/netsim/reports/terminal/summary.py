"""The result for a person at a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from netsim.analysis.uncertainty.interval import seconds_words
from netsim.reports.sure_words import sure_words
from netsim.reports.terminal.screen import line, screen

_ORIGINS = {"table": "measured table", "model": "calibrated model", "extrapolated": "extrapolated"}


def print_summary(result: dict[str, Any]) -> None:
    """Step, phases, collectives, network and where the numbers come from."""
    console = screen()
    step, work, fabric = result["step"], result["workload"], result["topology"]
    time = seconds_words(step["time_s"], step.get("interval_s"))
    console.print(
        line(
            (work["model"], "bold"), f" on {fabric['gpus']:,} GPUs over ", (fabric["name"], "bold"), ": ",
            (time, "bold"), f" a step of {work['tokens_per_step']:,} tokens",
        )
    )  # fmt: skip
    console.print(
        f"{step['tokens_per_day'] / 1e9:.1f} B tokens/day, {step['tflops_per_gpu_causal']:.0f} TFLOPS/GPU causal "
        f"({step['mfu_causal']:.1%} MFU), {step['gpu_hours_per_trillion_tokens'] / 1e3:.0f} K GPU-hours "
        f"({step['cost']['usd_per_trillion_tokens'] / 1e6:.2f} M$) a trillion tokens"
    )
    if "uncertainty" in result:
        console.print(sure_words(result))
    console.print(
        f"{work['parallelism']}, {work['schedule']}, {work['microbatches_per_pipeline']} micro-batches a pipeline; "
        f"{step['hidden_comm_fraction']:.1%} of communication hidden, {step['exposed_comm_s']:.2f} s exposed"
    )
    ways = ", ".join(f"{kind} {way}" for kind, way in work["exchanges"].items())
    console.print(f"Exchanges as with {work['framework']}: {ways}\n")
    _print_table(console, _phases(step))
    if "bubble_by_cause_s" in step:
        causes = ", ".join(
            f"{name.replace('_', ' ')} {s:.2f}" for name, s in step["bubble_by_cause_s"].items()
        )
        console.print(f"Bubble by cause (s): {causes}\n")
    if "explain" in result:
        from netsim.reports.terminal.explain_tables import print_explained

        print_explained(result["explain"], step["time_s"])
        print()
    if "skew" in result:
        _print_skew(console, result["skew"])
    if "faults" in result:
        _print_faults(console, result["faults"])
    _print_table(console, _collectives(result["collectives"]))
    _print_network(console, result)
    _print_memory(console, result["memory"])
    _print_provenance(console, result["provenance"])


def _table(title: str, *columns: str) -> Table:
    """A table without walls: the first and any wordy last column to the left, numbers to the right."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for name in columns:
        table.add_column(name, justify="left" if name in ("", "bound by") else "right", no_wrap=True)
    return table


def _print_table(console: Console, table: Table) -> None:
    """As wide as it needs to be: a number is never cut, however narrow the terminal."""
    wide = screen(1000)
    screen(max(console.width, wide.measure(table).maximum)).print(table)


def _phases(step: dict[str, Any]) -> Table:
    table = _table("Phases of a rank (s)", "", *step["phases_s"])
    table.add_row("mean", *(f"{seconds:z.2f}" for seconds in step["phases_s"].values()))
    table.add_row("range", *(f"{low:z.2f}-{high:z.2f}" for low, high in step["phases_range_s"].values()))
    return table


def _print_faults(console: Console, faults: dict[str, Any]) -> None:
    table = _table("Faults, each alone", "", "added s", "ratio", "GB moved", "stood s")
    rows = (
        [*faults["each"], {"fault": "all together", **faults["together"]}]
        if len(faults["each"]) > 1
        else faults["each"]
    )
    for row in rows:
        name = row["fault"]
        if row["stalled"]:
            table.add_row(name, "stalls", "", "", "")
        elif not row["touched"]:
            table.add_row(name, "0: touches no traffic", "", "", "")
        else:
            table.add_row(
                name,
                f"{row['added_s']:.3f}",
                f"{row['slowdown']:.3f}",
                f"{row['rerouted_bytes'] / 1e9:,.1f}",
                f"{row['standing_s']:.3f}",
            )
    _print_table(console, table)
    console.print(f"Without faults: {faults['step_without_s']:.3f} s a step")
    for row in faults["detour"]:
        more = "" if row["relative"] is None else f" (+{row['relative']:.1%})"
        console.print(
            f"Detour over {row['links']:,} {row['kind']} links; most on {row['link']}: "
            f"{row['extra_bytes'] / 1e9:,.2f} GB more{more}"
        )
    console.print()


def _collectives(rows: list[dict[str, Any]]) -> Table:
    names = ("", "count", "ms", "p99 ms", "MB/GPU", "wire GB/s", "logical", "bound by")
    table = _table("Collectives", *names)
    for row in rows:
        table.add_row(
            row["kind"].replace("_", " "),
            f"{row['count']:,}",
            f"{row['mean_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['wire_bytes_per_gpu'] / 1e6:.1f}",
            "" if row["wire_GBps"] is None else f"{row['wire_GBps']:.1f}",
            "" if row["logical_GBps"] is None else f"{row['logical_GBps']:.1f}",
            row["bottleneck"],
        )
    return table


def _print_skew(console: Console, skew: dict[str, Any]) -> None:
    slow, compute, wait = skew["slowest"], skew["compute_s"], skew["wait_s"]
    pair, own = skew["pair_ms"], skew["pair_compute_ms"]
    console.print(
        f"Skew: a GPU computes {compute['p50']:.2f} s (p99 {compute['p99']:.2f}, most {compute['most']:.2f}), and at "
        f"exchanges waits {wait['p50']:.2f} s (p99 {wait['p99']:.2f}) for slower ranks; a pair takes a group "
        f"{pair['p50']:.1f} ms (p99 {pair['p99']:.1f}), of which a rank computes {own['p50']:.1f} ms"
    )
    console.print(
        f"Slowest: GPU {slow['gpu']} on pipeline rank {slow['pipeline_rank']}, {slow['compute_s']:.2f} s of compute, "
        f"the last of its group in {slow['last_fraction']:.0%} of tasks"
    )
    if "added_by_pipeline_rank" in skew:
        _print_table(console, _table_of_spread(skew["added_by_pipeline_rank"]))
    console.print()


def _table_of_spread(rows: list[dict[str, float]]) -> Table:
    ranks = [f"{row['pipeline_rank']}" for row in rows]
    table = _table("Added to each pipeline rank (s)", "", *ranks)
    for key, name in (("compute_s", "compute"), ("inside_s", "idle in chunks"), ("bubble_s", "idle between")):
        table.add_row(name, *(f"{row[key]:z.2f}" for row in rows))
    return table


def _print_network(console: Console, result: dict[str, Any]) -> None:
    fabric, cost, latency = result["topology"], result["cost"], result["latency_us"]
    console.print(
        f"Network: {fabric['switches']} switches, {fabric['switch_links']:,} switch links, "
        f"{fabric['planes']} plane{'s' * (fabric['planes'] > 1)} of "
        f"{fabric['tiers']} tier{'s' * (fabric['tiers'] > 1)}; "
        f"{cost['network_usd'] / 1e6:.2f} M$ ({cost['usd_per_endpoint'] / 1e3:.2f} k$ an endpoint, "
        f"{cost['price_book']} prices), {cost['power_kw']:.0f} kW"
    )
    console.print(f"Not in the price: {cost['leaves_out']}")
    placed = result["placement"]
    console.print(
        f"Placement: {placed['policy']}; {placed['spine_bytes'] / 1e12:.1f} TB a step climb from a switch to another, "
        f"{placed['spine_share']:.0%} of what NICs send"
    )
    shown = ", ".join(
        f"{name.replace('_', ' ')} {value:.2f}" for name, value in latency.items() if value is not None
    )
    console.print(f"Latency (us, 64 B): {shown}")


def _print_memory(console: Console, memory: dict[str, Any]) -> None:
    parts = ", ".join(
        f"{name} {memory[f'{name}_gb']:.1f}"
        for name in ("parameters", "gradients", "optimizer", "activations", "buffers")
    )
    room = f"{memory['spare_gb']:.1f} GB to spare" if memory["fits"] else "does not fit"
    console.print(
        f"Memory: rank {memory['rank']} needs {memory['total_gb']:.1f} of {memory['capacity_gb']:.0f} GB, {room} "
        f"({parts})"
    )


def _print_provenance(console: Console, provenance: dict[str, Any]) -> None:
    origin = ", ".join(
        f"{share:.1%} {_ORIGINS[name]}" for name, share in provenance["compute_origin"].items() if share
    )
    ran = provenance["execution"]
    from netsim.training.step_record import speed_words

    console.print(f"Compute ({provenance['compute_profile']}): {origin}; {speed_words(provenance)}")
    if ran["folded"]:
        console.print(
            f"Shared: {ran['stage_groups']} stage groups ran as {ran['executed']}, {ran['flows']:,} flows as "
            f"{ran['flow_classes']:,} (--no-fold runs each)"
        )
