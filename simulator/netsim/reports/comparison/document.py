"""The comparison as a page: recommendation, side by side, why, what binds, collectives, latency, bill, provenance."""

from __future__ import annotations

from typing import Any

from netsim.reports.binding import RESOURCES
from netsim.reports.collective import size_label
from netsim.reports.comparison import figures
from netsim.reports.comparison.phrases import rows_of, scenarios
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

Row = dict[str, Any]
_SUBJECTS = {"hidden": "step", "step": "step", "cost": "cost", "latency": "latency", "binding": "what binds",
             "error": "left out"}  # fmt: skip


_HOW = (
    "Each step was simulated again with 10 % more of one resource at a time. The gain is, to first order, the share of "
    "the step that the resource is answerable for; where it is nothing, more of it buys nothing."
)


def document(record: Row) -> Document:
    """The page of a comparison record."""
    question = record["question"]
    fabrics, sizes = question["topologies"], question["gpus"]
    title = f"{_and(fabrics)} for {_and(question['workloads'])} on {_and([f'{n:,}' for n in sizes])} GPUs"
    changed = "".join(f", {key} = {value}" for key, value in question["overrides"].items())
    subtitle = (
        f"A network comparison by netsim {record['provenance']['version']}: one simulated training step on each "
        f"fabric, all else equal{changed}; {question['price_book']} prices of {question['price_date']}, "
        f"seed {question['seed']}."
    )
    sections = [
        Section("recommendation", "What to take", _recommended(record)),
        Section("side-by-side", "Side by side", _side_by_side(record)),
        Section("why", "What changed, and why", _why(record)),
        Section("binds", "What binds", _binds(record)),
        Section("collectives", "Collectives", _collectives(record)),
        Section("latency", "Latency", _latency(record)),
        Section("bill", "Bill of materials", _bill(record)),
        Section("provenance", "Where the numbers come from", _provenance(record)),
    ]
    return Document(
        title, subtitle, [s for s in sections if s.parts], "report.json", record,
        f"netsim {record['provenance']['version']}.",
    )  # fmt: skip


def _keys(record: Row) -> list[Column]:
    """Columns that say which row it is: only what varies."""
    question = record["question"]
    columns = [Column("topology", "fabric", left=True)]
    if len(question["workloads"]) > 1:
        columns.append(Column("workload", "job", left=True))
    if len(question["gpus"]) > 1:
        columns.append(Column("gpus", "GPUs"))
    return columns


def _head(record: Row, scenario: tuple[str, int]) -> str:
    """What a scenario is called where there are several, else nothing."""
    return f"{scenario[0]}, {scenario[1]:,} GPUs" if len(scenarios(record)) > 1 else ""


def _recommended(record: Row) -> list[Part]:
    parts: list[Part] = []
    for advice in record["recommendations"]:
        scenario = (advice["workload"], advice["gpus"])
        head = _head(record, scenario)
        parts.append(Text(f"{head}: {advice['sentence']}" if head else advice["sentence"], "lead"))
        parts += [Text(sentence) for sentence in advice["otherwise"]]
    if len(record["recommendations"]) == 1:
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
            Fact("step", f"{row['step_time_s']:.3f} s", f"on {row['topology']}"),
            Fact("throughput", f"{row['tokens_per_day'] / 1e9:.1f} B", "tokens a day"),
            Fact("model FLOPs utilisation", f"{row['mfu_causal'] * 100:.1f} %", without_mask),
            Fact("exposed communication", f"{row['exposed_comm_s']:.2f} s", hidden),
            Fact("network", f"{row['network_usd'] / 1e6:.2f} M$", f"{row['usd_per_gpu'] / 1e3:.2f} k$ a GPU"),
            Fact("power of the network", f"{row['power_kw']:,.0f} kW", f"{row['switches']:,} switches"),
        ]
    )


def _side_by_side(record: Row) -> list[Part]:
    rows = record["tables"]["comparison"]
    columns = [
        *_keys(record),
        Column("step_time_s", "step, s", number(3)),
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
        mine, tail, slug = (
            rows_of(record, "comparison", scenario),
            _tail(record, scenario),
            _slug(record, scenario),
        )
        spread = any(row["network_usd_low"] != row["network_usd_high"] for row in mine)
        says = f"What the network costs{tail}." + " A line spans the range of the price book." * spread
        time = figures.step_parts(rows_of(record, "breakdown", scenario))
        pair = [
            Figure(f"step{slug}", f"Where the time of a mean rank goes{tail}.", time),
            Figure(f"price{slug}", says, figures.network_price(mine)),
        ]
        parts.append(Figures(pair))
    parts.append(Table("breakdown", "Parts of the step, mean over ranks", [
        *_keys(record), Column("compute_s", "compute, s", number(3)),
        Column("exposed_comm_s", "exposed communication, s", number(3)),
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


def _why(record: Row) -> list[Part]:
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows, head = rows_of(record, "comparison", scenario), _head(record, scenario)
        found = _said(record, scenario, ("hidden", "step", "cost", "error"))
        words: list[Text | Listing] = [*([Text(head + ".")] if head else []), found]
        if len(rows) > 1:
            take = next(
                a["topology"] for a in record["recommendations"] if (a["workload"], a["gpus"]) == scenario
            )
            caption = f"Step time over price{_tail(record, scenario)}: left and low is better; the ring is our pick."
            picture = figures.price_and_step(rows, take)
            parts.append(Beside(words, Figure(f"front{_slug(record, scenario)}", caption, picture)))
        elif found.items:
            parts += words
    if record["notes"]:
        parts.append(Listing([("note", note) for note in record["notes"]]))
    return parts


def _said(record: Row, scenario: tuple[str, int], subjects: tuple[str, ...]) -> Listing:
    """Findings on some subjects."""
    return Listing(
        [
            (_SUBJECTS[f["subject"]], f["text"])
            for f in record["findings"]
            if (f["workload"], f["gpus"]) == scenario and f["subject"] in subjects
        ]
    )


def _binds(record: Row) -> list[Part]:
    rows = record["tables"]["binding"]
    if not rows:
        return []
    parts: list[Part] = []
    for n, scenario in enumerate(s for s in scenarios(record) if rows_of(record, "binding", s)):
        words: list[Text | Listing] = [Text(_HOW)] if n == 0 else []
        words += [Text(text) for _, text in _said(record, scenario, ("binding",)).items]
        caption = f"Step time saved by 10 % more of each resource{_tail(record, scenario)}."
        picture = figures.gains(rows_of(record, "binding", scenario))
        parts.append(Beside(words, Figure(f"gains{_slug(record, scenario)}", caption, picture)))
    columns = [
        *_keys(record),
        Column("resource", "resource", lambda name: RESOURCES[name], left=True),
        Column("change", "change", left=True),
        Column("step_time_s", "step, s", number(3)),
        Column("gain_s", "gain, s", number(3)),
        Column("gain_pct", "gain, %", number(2)),
    ]
    return [*parts, Table("binding", "Gain by resource", columns, rows, folded=True)]


def _collectives(record: Row) -> list[Part]:
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows = rows_of(record, "bandwidth", scenario)
        kinds = list(dict.fromkeys((row["collective"], row["ranks"], row["groups"]) for row in rows))
        pictures = []
        for kind, ranks, groups in kinds:
            mine = [r for r in rows if (r["collective"], r["ranks"], r["groups"]) == (kind, ranks, groups)]
            where = f"{groups:,} groups at once" if groups > 1 else "one group"
            pictures.append(
                Figure(f"{kind}-{ranks}{_slug(record, scenario)}",
                       f"{kind.replace('_', '-').capitalize()} of {ranks:,} ranks on an otherwise idle fabric, "
                       f"{where}{_tail(record, scenario)}.", figures.curves(mine))
            )  # fmt: skip
        if pictures:
            parts.append(Figures(pictures, small=True))
    inside = [
        *_keys(record),
        Column("kind", "collective", lambda kind: kind.replace("_", " "), left=True),
        Column("count", "count"),
        Column("mean_ms", "mean, ms", number(2)),
        Column("p99_ms", "p99, ms", number(2)),
        Column("wire_bytes_per_gpu", "MB/GPU", number(1, 1e6)),
        Column("wire_GBps", "wire, GB/s", number(1)),
        Column("bottleneck", "bound by", left=True),
    ]
    idle = [
        *_keys(record),
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


def _latency(record: Row) -> list[Part]:
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows = [row for row in rows_of(record, "latency", scenario) if row["latency_us"] is not None]
        if rows:
            caption = f"Idle latency of 64 B between two GPUs, by where they are{_tail(record, scenario)}."
            words = [Text(text) for _, text in _said(record, scenario, ("latency",)).items]
            picture = figures.latencies(rows)
            parts.append(Beside(words, Figure(f"latencies{_slug(record, scenario)}", caption, picture)))
    columns = [*_keys(record), Column("path", "path", lambda path: path.replace("_", " "), left=True),
               Column("latency_us", "latency, us", number(2))]  # fmt: skip
    return [
        *parts,
        Table("latency-by-path", "Idle latency", columns, record["tables"]["latency"], folded=True),
    ]


def _bill(record: Row) -> list[Part]:
    columns = [
        *_keys(record),
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


def _provenance(record: Row) -> list[Part]:
    provenance = record["provenance"]
    points = [
        {
            **{k: p[k] for k in ("topology", "workload", "gpus", "compute_profile", "spec_sha256")},
            **p["compute_origin"],
        }
        for p in provenance["points"]
    ]
    columns = [
        *_keys(record),
        Column("compute_profile", "compute profile", left=True),
        Column("table", "compute measured", percent()),
        Column("model", "modelled", percent()),
        Column("extrapolated", "extrapolated", percent()),
        Column("spec_sha256", "every value in use", lambda sha: sha[:16], left=True),
    ]
    evidence = [
        {"spec": spec, "what": what, "source": source}
        for spec, sources in provenance["evidence"].items()
        for what, source in sources.items()
    ]
    return [
        Text("Asked with"),
        Text(provenance["command"], "code"),
        Table("points", "Points", columns, points),
        Table("evidence", "Sources", [Column("spec", "of", left=True), Column("what", "what", left=True),
              Column("source", "source", left=True)], evidence, folded=True),
        Text(
            "Left out of every row: failures, congestion transients, checkpoints, data loading, hosts and GPUs in the "
            "price, spares, labour and cooling.", "note"
        ),
    ]  # fmt: skip


def _tail(record: Row, scenario: tuple[str, int]) -> str:
    head = _head(record, scenario)
    return f"; {head}" if head else ""


def _slug(record: Row, scenario: tuple[str, int]) -> str:
    several = scenarios(record)
    return f"-{several.index(scenario)}" if len(several) > 1 else ""


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
