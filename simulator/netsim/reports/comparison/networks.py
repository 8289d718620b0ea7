"""Sections of the page about the fabrics themselves: collectives, latency, bill of materials."""

from __future__ import annotations

from typing import Any

from netsim.analysis.comparison.phrases import rows_of, scenarios
from netsim.reports.collective import size_label
from netsim.reports.comparison import figures
from netsim.reports.comparison.scenario import key_columns, said, slug, tail
from netsim.reports.page import Beside, Column, Figure, Figures, Part, Table, Text
from netsim.reports.page.parts import number

Row = dict[str, Any]


def collectives(record: Row) -> list[Part]:
    """Curves over message sizes on the idle fabrics, and the collectives inside the step."""
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows = rows_of(record, "bandwidth", scenario)
        kinds = list(dict.fromkeys((row["collective"], row["ranks"], row["groups"]) for row in rows))
        pictures = []
        for kind, ranks, groups in kinds:
            mine = [r for r in rows if (r["collective"], r["ranks"], r["groups"]) == (kind, ranks, groups)]
            where = f"{groups:,} groups at once" if groups > 1 else "one group"
            pictures.append(
                Figure(f"{kind}-{ranks}{slug(record, scenario)}",
                       f"{kind.replace('_', '-').capitalize()} of {ranks:,} ranks on an otherwise idle fabric, "
                       f"{where}{tail(record, scenario)}.", figures.curves(mine))
            )  # fmt: skip
        if pictures:
            parts.append(Figures(pictures, small=True))
    inside = [
        *key_columns(record),
        Column("kind", "collective", lambda kind: kind.replace("_", " "), left=True),
        Column("count", "count"),
        Column("mean_ms", "mean, ms", number(2)),
        Column("p99_ms", "p99, ms", number(2)),
        Column("wire_bytes_per_gpu", "MB/GPU", number(1, 1e6)),
        Column("wire_GBps", "wire, GB/s", number(1)),
        Column("bottleneck", "bound by", left=True),
    ]
    idle = [
        *key_columns(record),
        Column("collective", "collective", lambda kind: kind.replace("_", "-"), left=True),
        Column("ranks", "ranks"),
        Column("groups", "groups"),
        Column("size_bytes", "size", size_label),
        Column("algorithm", "algorithm", left=True),
        Column("time_us", "time, us", number(1)),
        Column("algbw_GBps", "algbw, GB/s", number(2)),
        Column("busbw_GBps", "busbw, GB/s", number(2)),
        Column("bottleneck", "bound by", left=True),
    ]
    tables = record["tables"]
    parts.append(Table("collectives-in-step", "In the step", inside, tables["collectives"], folded=True))
    if tables["bandwidth"]:
        parts.append(
            Table(
                "bandwidth", "On the idle fabric, over message sizes", idle, tables["bandwidth"], folded=True
            )
        )
    return parts


def latency(record: Row) -> list[Part]:
    """Idle latency by where the two GPUs are."""
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows = [row for row in rows_of(record, "latency", scenario) if row["latency_us"] is not None]
        if rows:
            caption = f"Idle latency of 64 B between two GPUs, by where they are{tail(record, scenario)}."
            words = [Text(text) for _, text in said(record, scenario, ("latency",)).items]
            picture = figures.latencies(rows)
            parts.append(Beside(words, Figure(f"latencies{slug(record, scenario)}", caption, picture)))
    columns = [*key_columns(record), Column("path", "path", lambda path: path.replace("_", " "), left=True),
               Column("latency_us", "latency, us", number(2))]  # fmt: skip
    return [
        *parts,
        Table("latency-by-path", "Idle latency", columns, record["tables"]["latency"], folded=True),
    ]


def bill(record: Row) -> list[Part]:
    """Every part that is counted, and where its price comes from."""
    columns = [
        *key_columns(record),
        Column("part", "part", lambda part: part.replace("_", " "), left=True),
        Column("count", "count"),
        Column("unit_usd", "$ each", number(0)),
        Column("usd", "k$", number(0, 1e3)),
        Column("power_kw", "kW", number(1)),
        Column("unit_power_w", "W each", number(0)),
        Column("status", "price is", left=True),
    ]
    rows = record["tables"]["bill"]
    said = {(row["part"], row["source"]): {"part": row["part"], "source": row["source"]} for row in rows}
    sources = [Column("part", "part", lambda part: part.replace("_", " "), left=True),
               Column("source", "source", left=True)]  # fmt: skip
    return [
        Table("bill-of-materials", "Every part that is counted", columns, rows, folded=len(rows) > 24),
        Table("prices", "Where the prices come from", sources, list(said.values()), folded=True),
    ]
