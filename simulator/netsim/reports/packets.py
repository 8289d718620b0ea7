"""A packet simulation as a folder: result.json, spec.toml, tables of messages, links and queues, and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

import netsim
from netsim.congestion.result import PacketResult
from netsim.reports.packets_figures import fct_figure, heat_figure, progress_figure
from netsim.reports.page import Column, Document, Figure, Figures, Section, Table, Text, render
from netsim.reports.page.parts import Fact, Facts, number
from netsim.reports.plots import svg
from netsim.reports.rundir import prepare, to_json, write_files, write_frame
from netsim.specs.output import begin_folder, write_whole

__all__ = ["answer", "document", "prepare", "write"]

SCHEMA = 1
#: links of the heat map and of the page's table
SHOWN_LINKS = 40


def answer(result: PacketResult) -> dict[str, Any]:
    """The record with where it comes from."""
    specs = (result.topology.spec, result.topology.hardware, result.spec)
    return {
        "schema": SCHEMA,
        **result.record(),
        "provenance": {
            "version": netsim.__version__,
            "topology": result.topology.name,
            "gpus": result.topology.gpus,
            "transport": result.spec.model_dump(mode="json", exclude={"sources", "description"}),
            "evidence": {spec.name: dict(sorted(spec.sources.items())) for spec in specs},
        },
    }


def write(folder: Path, result: PacketResult) -> list[Path]:
    """Write the folder; returns the files.

    Raises NetsimError when one cannot be written.
    """
    record = answer(result)
    specs = {"transport": result.spec, "topology": result.topology.spec, "hardware": result.topology.hardware}
    tables = {name: spec.model_dump(mode="json", exclude_none=True) for name, spec in specs.items()}
    begin_folder(folder)
    written = write_files(folder, {"spec.toml": tomli_w.dumps(tables)})
    for name, frame in (("flows", result.flows), ("links", result.links), ("queues", queues(result))):
        written += write_frame(folder, name, frame, False)
    page = render(document(result, record))
    written.append(write_whole(folder / "report.html", lambda p: p.write_text(page, "utf-8")))
    return [*write_files(folder, {"result.json": to_json(record)}), *written]


def busiest(result: PacketResult) -> list[int]:
    """Links by the most bytes that waited, at most `SHOWN_LINKS`, of those within a hundredth of the longest queue."""
    most = result.links["most_queued_bytes"]
    links = result.links[most > most.max() / 100]
    order = links.sort_values(["most_queued_bytes", "link"], ascending=[False, True])
    return [int(link) for link in order["link"].head(SHOWN_LINKS)]


def queues(result: PacketResult) -> pd.DataFrame:
    """Bytes that waited over time, a row an instant and link, of the links where anything ever did."""
    links = busiest(result)
    seen = result.queue_bytes[:, links]
    return pd.DataFrame(
        {
            "time_us": np.repeat(result.queue_times_s * 1e6, len(links)),
            "link": np.tile(np.array(links, np.int64), len(seen)),
            "queued_bytes": seen.ravel().astype(np.int64),
        }
    )


def document(result: PacketResult, record: dict[str, Any]) -> Document:
    """The page of a run."""
    links = busiest(result)
    frame = result.links.set_index("link", drop=False).loc[links]
    rows = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    traffic = ", ".join(result.messages.groups)
    return Document(
        f"Packets: {traffic} on {result.topology.name}",
        f"{len(result.messages):,} messages over {result.topology.gpus:,} GPUs with {result.spec.name}: "
        f"{result.spec.description}.",
        [
            Section("answer", "Answer", [_facts(record), _groups(record)]),
            Section(
                "time", "Completion times",
                [Figures([
                    Figure("fct", "Share of messages that have come within a time, by group; the dotted line is the "
                                  "median of the same messages alone on an idle fabric.", svg(fct_figure(result))),
                    Figure("progress", "Data that arrives per sender, over time.", svg(progress_figure(result))),
                ])],
            ),
            Section(
                "queues", "Queues",
                [Figures([Figure("heat", "Bytes that wait for the links with the longest queues, over time; white is "
                                         "empty.", svg(heat_figure(result, links)), wide=True)]),
                 Text("A link is named by its number and kind: port_tx is a NIC into the fabric, port_rx a leaf to a "
                      "NIC, up and down are the two directions of a cable between switches.", "note"),
                 Table("links", "Links with the longest queues", _LINK_COLUMNS, rows, folded=True)],
            ),
        ],
        "result.json", record, f"netsim {netsim.__version__}.",
    )  # fmt: skip


_LINK_COLUMNS = [
    Column("link", "link"), Column("kind", "kind", left=True), Column("utilisation", "busy", number(3)),
    Column("most_queued_bytes", "most queued, B"), Column("mean_wait_us", "mean wait, us", number(2)),
    Column("paused_us", "paused, us", number(1)), Column("marked", "marked"), Column("trimmed", "trimmed"),
    Column("dropped", "dropped"),
]  # fmt: skip


def _facts(record: dict[str, Any]) -> Facts:
    time, lost = record["time_us"], record["trimmed"] + record["dropped"]
    done = f"{time:,.1f} us" if time is not None else f"{record['unfinished']:,} never came"
    return Facts(
        [
            Fact("last message", done),
            Fact(
                "goodput a sender", f"{record['goodput_GBps_per_sender'] or 0:,.2f} GB/s", "over the fabric"
            ),
            Fact("longest queue", f"{record['most_queued_bytes'] / 1e3:,.1f} KB"),
            Fact("trimmed or dropped", f"{lost:,}", f"of {record['packets']:,} packets"),
            Fact("marked", f"{record['marked']:,}"),
            Fact("pauses", f"{record['pauses']:,}", f"{record['paused_us']:,.1f} us of links paused"),
        ]
    )


def _groups(record: dict[str, Any]) -> Table:
    columns = [
        Column("name", "group", left=True), Column("messages", "messages"), Column("fct_p50_us", "p50, us", number(1)),
        Column("fct_p99_us", "p99, us", number(1)), Column("fct_most_us", "last, us", number(1)),
        Column("slowdown_p50", "slowdown p50", number(2)), Column("slowdown_p99", "p99", number(2)),
        Column("goodput_GBps_mean", "goodput, GB/s", number(2)), Column("fairness", "fairness", number(3)),
    ]  # fmt: skip
    return Table("groups", "By group", columns, record["groups"])
