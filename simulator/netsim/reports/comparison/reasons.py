"""Sections of the page that say why: what changed between the fabrics, and which resource binds."""

from __future__ import annotations

from typing import Any

from netsim.analysis.binding import RESOURCES
from netsim.analysis.comparison.phrases import rows_of, scenarios
from netsim.reports.comparison import figures
from netsim.reports.comparison.scenario import heading, key_columns, said, slug, tail
from netsim.reports.page import Beside, Column, Figure, Listing, Part, Table, Text
from netsim.reports.page.parts import number

Row = dict[str, Any]

_HOW = (
    "Each step was simulated again with 10 % more of one resource at a time. The gain is, to first order, the share of "
    "the step that the resource is answerable for; where it is nothing, more of it buys nothing."
)


def why(record: Row) -> list[Part]:
    """What changed between the fabrics, beside price and step."""
    parts: list[Part] = []
    for scenario in scenarios(record):
        rows, head = rows_of(record, "comparison", scenario), heading(record, scenario)
        found = said(record, scenario, ("hidden", "step", "cost", "error"))
        words: list[Text | Listing] = [*([Text(head + ".")] if head else []), found]
        if len(rows) > 1:
            take = next(
                a["topology"] for a in record["recommendations"] if (a["workload"], a["gpus"]) == scenario
            )
            caption = (
                f"Step time over price{tail(record, scenario)}: left and low is better; the ring is our pick."
            )
            picture = figures.price_and_step(rows, take)
            parts.append(Beside(words, Figure(f"front{slug(record, scenario)}", caption, picture)))
        elif found.items:
            parts += words
    if record["notes"]:
        parts.append(Listing([("note", note) for note in record["notes"]]))
    return parts


def binds(record: Row) -> list[Part]:
    """What 10 % more of each resource would save."""
    rows = record["tables"]["binding"]
    if not rows:
        return []
    parts: list[Part] = []
    for n, scenario in enumerate(s for s in scenarios(record) if rows_of(record, "binding", s)):
        words: list[Text | Listing] = [Text(_HOW)] if n == 0 else []
        words += [Text(text) for _, text in said(record, scenario, ("binding",)).items]
        caption = f"Step time saved by 10 % more of each resource{tail(record, scenario)}."
        picture = figures.gains(rows_of(record, "binding", scenario))
        parts.append(Beside(words, Figure(f"gains{slug(record, scenario)}", caption, picture)))
    columns = [
        *key_columns(record),
        Column("resource", "resource", lambda name: RESOURCES[name], left=True),
        Column("change", "change", left=True),
        Column("step_time_s", "step, s", number(3)),
        Column("gain_s", "gain, s", number(3)),
        Column("gain_pct", "gain, %", number(2)),
    ]
    return [*parts, Table("binding", "Gain by resource", columns, rows, folded=True)]
