"""The comparison as a page: recommendation, side by side, why, what binds, collectives, latency, bill, provenance."""

from __future__ import annotations

from typing import Any

from netsim.analysis.comparison.phrases import listed
from netsim.reports.comparison.networks import bill, collectives, latency
from netsim.reports.comparison.reasons import binds, why
from netsim.reports.comparison.results import recommended, side_by_side
from netsim.reports.comparison.scenario import key_columns
from netsim.reports.page import Column, Document, Part, Section, Table, Text
from netsim.reports.page.parts import percent
from netsim.reports.page.sources import sources_table

Row = dict[str, Any]


def document(record: Row) -> Document:
    """The page of a comparison record."""
    question = record["question"]
    fabrics, sizes = question["topologies"], question["gpus"]
    title = (
        f"{listed(fabrics)} for {listed(question['workloads'])} on {listed([f'{n:,}' for n in sizes])} GPUs"
    )
    changed = "".join(f", {key} = {value}" for key, value in question["overrides"].items())
    subtitle = (
        f"A network comparison by netsim {record['provenance']['version']}: one simulated training step on each "
        f"fabric, all else equal{changed}; {question['price_book']} prices of {question['price_date']}, "
        f"seed {question['seed']}."
    )
    sections = [
        Section("recommendation", "What to take", recommended(record)),
        Section("side-by-side", "Side by side", side_by_side(record)),
        Section("why", "What changed, and why", why(record)),
        Section("binds", "What binds", binds(record)),
        Section("collectives", "Collectives", collectives(record)),
        Section("latency", "Latency", latency(record)),
        Section("bill", "Bill of materials", bill(record)),
        Section("provenance", "Where the numbers come from", _provenance(record)),
    ]
    return Document(
        title, subtitle, [s for s in sections if s.parts], "report.json", record,
        f"netsim {record['provenance']['version']}.",
    )  # fmt: skip


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
        *key_columns(record),
        Column("compute_profile", "compute profile", left=True),
        Column("table", "compute measured", percent()),
        Column("model", "modelled", percent()),
        Column("extrapolated", "extrapolated", percent()),
        Column("spec_sha256", "every value in use", lambda sha: sha[:16], left=True),
    ]
    return [
        Text("Asked with"),
        Text(provenance["command"], "code"),
        Table("points", "Points", columns, points),
        sources_table(provenance["evidence"]),
        Text(
            "Left out of every row: failures, congestion transients, checkpoints, data loading, hosts and GPUs in the "
            "price, spares, labour and cooling.", "note"
        ),
    ]  # fmt: skip
