"""The claims as a page: each beside what is computed, the memory wall, the rate of NICs, and the ablation."""

from __future__ import annotations

from typing import Any

from netsim.analysis.codesign.claims import wall_of
from netsim.reports.codesign import ablation_page, memory_wall_figure
from netsim.reports.page import Column, Document, Figure, Figures, Listing, Section, Table, Text
from netsim.reports.page.parts import number
from netsim.reports.plots import svg

Row = dict[str, Any]
WALL = (
    "HBM that a decode GPU needs over context length and over model size (by routed experts), for each kind of "
    "attention; weights and cache in BF16, dashed in FP8."
)


def document(record: Row) -> Document:
    """The page of a claims record."""
    tables, version = record["tables"], record["provenance"]["version"]
    columns = [
        Column("claim", "claim", left=True), Column("computed", "netsim computes", left=True),
        Column("verdict", "verdict", left=True), Column("until", "until", left=True),
    ]  # fmt: skip
    nic = [Column("nic_gbps", "NIC, Gb/s"), Column("step_time_s", "step, s", number(2))]
    meets = [Column("attention", "attention", str.upper, left=True), Column("precision", "precision", str.upper),
             Column("over", "over", left=True), Column("x", "full at", number(0))]  # fmt: skip
    said = [
        (row["verdict"], f"{row['claim']}. netsim: {row['computed']}. Until: {row['until']}.")
        for row in tables["claims"]
    ]
    picture = svg(memory_wall_figure.draw(wall_of(record)))
    return Document(
        "The claims of the DeepSeek-V3 hardware story",
        f"By netsim {version}: what is claimed, what is computed, and where it stops being true.",
        [
            Section(
                "claims", "Claims",
                [Listing(said), Table("claims", "As a table", columns, tables["claims"], folded=True)],
            ),
            Section(
                "wall", "The memory wall",
                [
                    Figures([Figure("memory-wall", WALL, picture, wide=True)]),
                    *(Text(sentence) for sentence in record["wall"]),
                    Table("crossings", "Where memory is full", meets, tables["crossings"], folded=True),
                ],
            ),
            Section("nic", "Slower NICs", [Table("nic", "The step over the rate of NICs", nic, tables["nic"])]),
            *ablation_page.sections(record["ablation"]),
        ],
        "report.json", record, f"netsim {version}.",
    )  # fmt: skip
