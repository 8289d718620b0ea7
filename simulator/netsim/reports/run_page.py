"""A run as a page: the step, where its time goes, collectives, network, memory, and where the numbers come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.analysis.uncertainty.interval import ends_words
from netsim.reports.explain_section import explain_section
from netsim.reports.gantt import gantt
from netsim.reports.page import (
    Beside,
    Column,
    Document,
    Fact,
    Facts,
    Figure,
    Figures,
    Listing,
    Part,
    Section,
    Table,
    Text,
)
from netsim.reports.page.parts import number, percent
from netsim.reports.page.sources import sources_table
from netsim.reports.plots import MUTED, SIMULATED, canvas, svg
from netsim.reports.sure_section import sure_parts
from netsim.training.simulate import Step
from netsim.training.step_record import speed_words

Row = dict[str, Any]
_ORIGINS = {"table": "measured table", "model": "calibrated model", "extrapolated": "extrapolated"}
_BOUND = {"kernel": "#8fa3b5", "nic": "#0072B2", "nvlink": "#009E73", "fabric": "#D55E00", "pcie": "#CC79A7"}
_FILL = {"1F": "forward", "1B": "backward", "1W": "weight gradient", "1F1B": "forward and backward overlapped",
         "bubble": "waiting", "opt": "gradients and optimizer"}  # fmt: skip


def run_document(step: Step, result: Row) -> Document:
    """The page of a `netsim run` record; what depends on the clock of the machine is left out."""
    record = {key: value for key, value in result.items() if key != "run"}
    work, fabric, provenance = record["workload"], record["topology"], record["provenance"]
    sections = [
        Section("step", "The step", _step(step, record)),
        Section("phases", "Where the time goes", _phases(record)),
        *([explain_section(record["explain"], record["step"]["time_s"])] if "explain" in record else []),
        Section("collectives", "Collectives", _collectives(record)),
        Section("network", "Network", _network(record)),
        Section("memory", "Memory", _memory(record)),
        Section("provenance", "Where the numbers come from", _provenance(record)),
    ]
    return Document(
        title=f"{work['model']} on {fabric['gpus']:,} GPUs over {fabric['name']}",
        subtitle=f"One simulated training step: {work['parallelism']}, {work['schedule']}, "
        f"{work['microbatches_per_pipeline']} micro-batches a pipeline, {work['tokens_per_step']:,} tokens; "
        f"seed {provenance['seed']}.",
        sections=sections,
        record_name="result.json",
        record=record,
        foot=f"netsim {provenance['version']}.",
    )


def _step(step: Step, record: Row) -> list[Part]:
    time, cost = record["step"], record["cost"]
    gpu_hours = f"{time['gpu_hours_per_trillion_tokens'] / 1e3:.0f} K GPU-hours a trillion tokens"
    without_mask = f"causal, {time['mfu_noncausal'] * 100:.1f} % without the mask"
    facts = [
        Fact("step", f"{time['time_s']:.3f} s", f"{_ends(time, 'interval_s')}{gpu_hours}"),
        Fact(
            "throughput",
            f"{time['tokens_per_day'] / 1e9:.1f} B",
            f"{_ends(time, 'tokens_per_day_interval', 1e9)}tokens a day",
        ),
        Fact("model FLOPs utilisation", f"{time['mfu_causal'] * 100:.1f} %", without_mask),
        Fact(
            "exposed communication",
            f"{time['exposed_comm_s']:.2f} s",
            f"{time['hidden_comm_fraction'] * 100:.1f} % hidden",
        ),
        Fact("network", f"{cost['network_usd'] / 1e6:.2f} M$", f"{cost['price_book']} prices"),
        Fact(
            "power of the network",
            f"{cost['power_kw']:,.0f} kW",
            f"{record['topology']['switches']:,} switches",
        ),
    ]
    caption = "Every pipeline rank over time, chunk by chunk; white is waiting."
    parts: list[Part] = [
        Facts(facts),
        *sure_parts(record),
        Figures([Figure("gantt", caption, svg(gantt(step)), wide=True)]),
    ]
    warnings = [("warning", text) for text in record["warnings"]]
    return [Listing(warnings), *parts] if warnings else parts


def _ends(time: Row, key: str, scale: float = 1.0) -> str:
    """The interval of an answer in front of its note."""
    return f"{ends_words(*(end / scale for end in time[key]))} at 80 %; " if key in time else ""


def _phases(record: Row) -> list[Part]:
    time = record["step"]
    rows = [
        {"phase": name, "mean_s": mean, "least_s": low, "most_s": high, "share": mean / time["time_s"]}
        for (name, mean), (low, high) in zip(
            time["phases_s"].items(), time["phases_range_s"].values(), strict=True
        )
    ]
    words: list[Text | Listing] = [
        Text(
            f"Of {time['time_s']:.3f} s a mean rank waits {time['phases_s']['bubble']:.2f} s for others (the bubble); "
            f"within its chunks it computes nothing for {time['chunk_idle_s']:.2f} s. For "
            f"{time['exposed_comm_s']:.2f} s of the step it exchanges data and computes nothing."
        )
    ]
    causes = time.get("bubble_by_cause_s", {})
    if causes:
        words.append(
            Listing(
                [
                    (f"{seconds:.2f} s of the bubble", name.replace("_", " "))
                    for name, seconds in causes.items()
                ]
            )
        )
    picture = Figure("phase-bars", "Phases of a rank: mean, and least to most over ranks.", _phase_bars(rows))
    columns = [
        Column("phase", "phase", left=True),
        Column("phase", "of the rank's time", lambda name: _FILL.get(name, ""), left=True),
        Column("mean_s", "mean, s", number(3)),
        Column("share", "share", percent()),
        Column("least_s", "least, s", number(3)),
        Column("most_s", "most, s", number(3)),
    ]
    return [Beside(words, picture), Table("phase-table", "Phases of a rank", columns, rows)]


def _phase_bars(rows: list[Row]) -> str:
    fig, ax = canvas(width=5.0, height=2.6)
    place = np.arange(len(rows))
    mean = np.array([row["mean_s"] for row in rows])
    ends = np.array([[row["least_s"], row["most_s"]] for row in rows]).T
    ax.barh(place, mean, 0.6, color=[MUTED if row["phase"] == "bubble" else SIMULATED for row in rows])
    ax.hlines(place, ends[0], ends[1], color="#1c2127", lw=1.2)
    for at, row in zip(place, rows, strict=True):
        ax.annotate(f"{row['mean_s']:.2f} s", (row["most_s"], at), xytext=(6, 0), textcoords="offset points",
                    va="center", fontsize=8.5)  # fmt: skip
    ax.set_yticks(place, [row["phase"] for row in rows])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.18 * float(ends[1].max()))
    ax.set_xlabel("seconds of a rank")
    ax.grid(axis="y", visible=False)
    return svg(fig)


def _collectives(record: Row) -> list[Part]:
    rows = record["collectives"]
    if not rows:
        return []
    columns = [
        Column("kind", "collective", lambda kind: kind.replace("_", " "), left=True),
        Column("count", "count"),
        Column("mean_ms", "mean, ms", number(2)),
        Column("p99_ms", "p99, ms", number(2)),
        Column("mean_alone_ms", "alone, ms", number(2)),
        Column("mean_overlapped_ms", "beside compute, ms", number(2)),
        Column("wire_bytes_per_gpu", "MB/GPU", number(1, 1e6)),
        Column("wire_GBps", "wire, GB/s", number(1)),
        Column("logical_GBps", "logical, GB/s", number(1)),
        Column("bottleneck", "bound by", left=True),
    ]
    picture = Figure("rates", "What each collective moves over a NIC, by what binds it.", _rates(rows))
    words = Text(
        "Times are means over all occurrences in the cluster. Wire GB/s count what crosses a NIC, logical GB/s also "
        "the tokens for the rank's own host, as DeepEP does."
    )
    return [Beside([words], picture), Table("collectives-table", "In the step", columns, rows)]


def _rates(rows: list[Row]) -> str:
    fig, ax = canvas(width=5.0, height=0.9 + 0.26 * len(rows))
    seen: set[str] = set()
    for at, row in enumerate(rows):
        bound = row["bottleneck"]
        label = bound if bound not in seen else None
        seen.add(bound)
        ax.barh(at, row["wire_GBps"] or 0.0, 0.62, color=_BOUND.get(bound, "#c9d1d9"), label=label)
    ax.set_yticks(range(len(rows)), [row["kind"].replace("_", " ") for row in rows])
    ax.invert_yaxis()
    ax.set_xlabel("wire, GB/s a GPU")
    ax.grid(axis="y", visible=False)
    fig.legend(
        loc="outside upper left", ncols=4, fontsize=8, handlelength=1.0, columnspacing=1.0, frameon=False
    )
    return svg(fig)


def _network(record: Row) -> list[Part]:
    fabric, cost = record["topology"], record["cost"]
    spread = ""
    if cost["network_usd_low"] != cost["network_usd_high"]:
        spread = f" ({cost['network_usd_low'] / 1e6:.2f} to {cost['network_usd_high'] / 1e6:.2f})"
    words = (
        f"{fabric['switches']:,} switches of {fabric['radix']} ports, {fabric['switch_links']:,} cables between them, "
        f"{fabric['planes']} plane{'s' * (fabric['planes'] > 1)} of {fabric['tiers']} "
        f"tier{'s' * (fabric['tiers'] > 1)}: "
        f"{cost['network_usd'] / 1e6:.2f} M${spread}, {cost['usd_per_endpoint'] / 1e3:.2f} k$ an endpoint, in the "
        f"{cost['price_book']} prices of {cost['price_date']}. Not in the price: {cost['leaves_out']}."
    )
    bill = [
        Column("part", "part", lambda part: part.replace("_", " "), left=True),
        Column("count", "count"),
        Column("unit_usd", "$ each", number(0)),
        Column("usd", "k$", number(0, 1e3)),
        Column("power_kw", "kW", number(1)),
        Column("status", "price is", left=True),
        Column("source", "source", left=True),
    ]
    paths = [
        {"path": path, "latency_us": value}
        for path, value in record["latency_us"].items()
        if value is not None
    ]
    latency = [
        Column("path", "path", lambda path: path.replace("_", " "), left=True),
        Column("latency_us", "us", number(2)),
    ]
    return [
        Text(words),
        Table("bill-of-materials", "Bill of materials", bill, cost["lines"]),
        Table("latency-by-path", "Idle latency of 64 B", latency, paths),
    ]


def _memory(record: Row) -> list[Part]:
    memory = record["memory"]
    rows = [
        {"part": name.removesuffix("_gb"), "size_gb": value}
        for name, value in memory.items()
        if name.endswith("_gb") and name not in ("total_gb", "capacity_gb", "spare_gb")
    ]
    fits = f"{memory['spare_gb']:.1f} GB to spare" if memory["fits"] else "which does not fit"
    words = (
        f"Rank {memory['rank']} needs most: {memory['total_gb']:.1f} of {memory['capacity_gb']:.0f} GB, {fits}, with "
        f"{memory['microbatches_in_flight']} micro-batches in flight."
    )
    columns = [
        Column("part", "part", lambda part: part.replace("_", " "), left=True),
        Column("size_gb", "GB", number(1)),
    ]
    return [Text(words), Table("memory-table", "Memory of the fullest rank", columns, rows)]


def _provenance(record: Row) -> list[Part]:
    provenance = record["provenance"]
    origin = [
        {"origin": _ORIGINS[name], "share": share} for name, share in provenance["compute_origin"].items()
    ]
    return [
        Text(f"Compute profile {provenance['compute_profile']}; {speed_words(provenance)}. Every value in use: "
             f"{provenance['spec_sha256'][:16]}."),
        Table("origin", "Compute time by origin",
              [Column("origin", "from", left=True), Column("share", "share", percent())], origin),
        sources_table(provenance["evidence"]),
    ]  # fmt: skip
