"""Sections of the page that say what came out: what to take, and the fabrics side by side."""

from __future__ import annotations

from typing import Any

from netsim.analysis.comparison.phrases import rows_of, scenarios
from netsim.analysis.uncertainty.interval import ends_words
from netsim.reports.comparison import figures
from netsim.reports.comparison.scenario import heading, key_columns, slug, tail
from netsim.reports.page import Column, Fact, Facts, Figure, Figures, Part, Table, Text
from netsim.reports.page.parts import number, percent

Row = dict[str, Any]


def recommended(record: Row) -> list[Part]:
    """The advice for each scenario; the facts of the pick where there is one."""
    parts: list[Part] = []
    for advice in record["recommendations"]:
        scenario = (advice["workload"], advice["gpus"])
        head = heading(record, scenario)
        parts.append(Text(f"{head}: {advice['sentence']}" if head else advice["sentence"], "lead"))
        parts += [Text(sentence) for sentence in (*advice["draws"], *advice["prices"], *advice["otherwise"])]
    if len(record["recommendations"]) == 1 and record["recommendations"][0]["topology"]:
        advice = record["recommendations"][0]
        row = rows_of(record, "comparison", (advice["workload"], advice["gpus"]), advice["topology"])[0]
        parts.append(_facts(row))
    conditions = dict.fromkeys(advice["condition"] for advice in record["recommendations"])
    parts += [Text(condition, "note") for condition in conditions]
    return parts


def _facts(row: Row) -> Facts:
    without_mask = f"causal, {row['mfu_noncausal'] * 100:.1f} % without the mask"
    hidden = f"{row['hidden_comm_fraction'] * 100:.1f} % hidden"
    return Facts(
        [
            Fact(
                "step",
                f"{row['step_time_s']:.3f} s",
                f"{ends_words(row['step_time_low_s'], row['step_time_high_s'])} at 80 %, on {row['topology']}",
            ),
            Fact("throughput", f"{row['tokens_per_day'] / 1e9:.1f} B", "tokens a day"),
            Fact("model FLOPs utilisation", f"{row['mfu_causal'] * 100:.1f} %", without_mask),
            Fact("exposed communication", f"{row['exposed_comm_s']:.2f} s", hidden),
            Fact("network", f"{row['network_usd'] / 1e6:.2f} M$", f"{row['usd_per_gpu'] / 1e3:.2f} k$ a GPU"),
            Fact("power of the network", f"{row['power_kw']:,.0f} kW", f"{row['switches']:,} switches"),
        ]
    )


def side_by_side(record: Row) -> list[Part]:
    """Every fabric in a table, with where its time and its price go."""
    rows = record["tables"]["comparison"]
    columns = [
        *key_columns(record),
        Column("step_time_s", "step, s", number(3)),
        Column("step_time_low_s", "from", number(2)),
        Column("step_time_high_s", "to, at 80 %", number(2)),
        Column("tokens_per_day", "tokens/day, B", number(2, 1e9)),
        Column("mfu_causal", "MFU causal", percent()),
        Column("mfu_noncausal", "non-causal", percent()),
        Column("exposed_comm_s", "exposed, s", number(3)),
        Column("network_usd", "network, M$", number(2, 1e6)),
        Column("usd_per_gpu", "k$/GPU", number(2, 1e3)),
        Column("power_kw", "power, kW", number(0)),
        Column("switches", "switches"),
        Column("switch_links", "cables between"),
        Column("worst_latency_us", "worst latency, us", number(2)),
        Column("max_gpus", "grows to, GPUs"),
    ]
    if any(row["error"] for row in rows):
        columns.append(Column("error", "left out because", left=True))
    best = record["recommendations"][0]["topology"] if len(record["recommendations"]) == 1 else None
    marked = next((n for n, row in enumerate(rows) if row["topology"] == best), None)
    parts: list[Part] = [
        Table("comparison", "Every fabric", columns, rows, marked=marked if len(rows) > 1 else None)
    ]
    for scenario in [s for s in scenarios(record) if rows_of(record, "comparison", s)]:
        mine = rows_of(record, "comparison", scenario)
        where, index = tail(record, scenario), slug(record, scenario)
        spread = any(row["network_usd_low"] != row["network_usd_high"] for row in mine)
        says = f"What the network costs{where}." + " A line spans the range of the price book." * spread
        ends = [(row["step_time_low_s"], row["step_time_high_s"]) for row in mine]
        time = figures.step_parts(rows_of(record, "breakdown", scenario), ends)
        pair = [
            Figure(
                f"step{index}",
                f"Where the time of a mean rank goes{where}; lines are intervals at 80 %.",
                time,
            ),
            Figure(f"price{index}", says, figures.network_price(mine)),
        ]
        parts.append(Figures(pair))
    parts.append(Table("breakdown", "Parts of the step, mean over ranks", [
        *key_columns(record), Column("compute_s", "compute, s", number(3)),
        Column("chunk_idle_s", "idle in chunks, s", number(3)),
        Column("bubble_s", "bubble, s", number(3)), Column("tail_s", "gradients and optimizer, s", number(3)),
    ], record["tables"]["breakdown"], folded=True))  # fmt: skip
    return parts + _growth(record)


def _growth(record: Row) -> list[Part]:
    """Lines over size, where there are several sizes."""
    question = record["question"]
    parts: list[Part] = []
    for workload in question["workloads"] if len(question["gpus"]) > 1 else []:
        rows = [r for r in record["tables"]["comparison"] if r["workload"] == workload and not r["error"]]
        name = f"-{question['workloads'].index(workload)}"
        if rows:
            kind = f"{question['scaling']} scaling"
            parts.append(
                Figures(
                    [
                        Figure(f"step-size{name}", f"Step time over cluster size, {workload}, {kind}.",
                               figures.over_size(rows, "step_time_s", 1.0, "step time, s")),
                        Figure(f"price-size{name}", "Price of the network a GPU over cluster size.",
                               figures.over_size(rows, "usd_per_gpu", 1e3, "network, k$ a GPU")),
                    ]
                )
            )  # fmt: skip
    return parts
