"""Rows of `netsim collective` as files: a result with its provenance, a CSV, and a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import netsim
from netsim.collectives.sweep import Setup
from netsim.reports.rundir import prepare, write_files
from netsim.specs.borders import cell
from netsim.specs.output import begin_folder
from netsim.topologies import latency_us, summary

__all__ = ["figure", "prepare", "to_csv", "to_json", "write"]

SCHEMA = 1


def to_json(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a JSON list."""
    return json.dumps(list(rows), indent=1, allow_nan=False) + "\n"


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV, one observation a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def write(folder: Path, rows: Sequence[dict[str, Any]], setup: Setup) -> list[Path]:
    """Write result.json, collective.csv and collective.svg; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    result = {
        "schema": SCHEMA,
        "topology": summary(setup.topology),
        "latency_us": latency_us(setup.topology),
        "rows": list(rows),
        "provenance": {
            "version": netsim.__version__,
            "seed": setup.seed,
            "routing": setup.routing,
            "protocol": setup.protocol.model_dump(mode="json", exclude_none=True),
            "evidence": {
                spec.name: dict(sorted(spec.sources.items()))
                for spec in (setup.topology.spec, setup.topology.hardware, setup.protocol)
            },
        },
    }
    texts = {
        "collective.csv": to_csv(rows),
        "collective.svg": figure(rows),
        "result.json": json.dumps(result, indent=1, allow_nan=False) + "\n",
    }
    begin_folder(folder)
    return write_files(folder, texts)


def figure(rows: Sequence[dict[str, Any]]) -> str:
    """Bandwidth over size (or over expert-parallel width) as SVG text."""
    from netsim.reports.plots import svg

    return svg(draw(rows))


def draw(rows: Sequence[dict[str, Any]]) -> Any:
    """The figure itself: a colour a quantity, a line style a kind."""
    from netsim.reports.plots import MEASURED, SECOND, SIMULATED, canvas

    exchange = "hosts_per_token" in rows[0]
    x, unit = ("ranks", "expert-parallel ranks") if exchange else ("size_bytes", "message size")
    series = ("logical_GBps", "wire_GBps", "nvlink_GBps") if exchange else ("busbw_GBps", "wire_GBps")
    fig, ax = canvas()
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    for kind, style in zip(kinds, ("-", "--"), strict=False):
        mine = sorted((row for row in rows if row["kind"] == kind), key=lambda row: row[x])
        for name, colour in zip(series, (SIMULATED, SECOND, MEASURED), strict=False):
            label = f"{kind}, {name.removesuffix('_GBps')}"
            places = [row[x] for row in mine]
            ax.plot(places, [row[name] for row in mine], style, color=colour, marker="o", ms=3, label=label)
    places = sorted({row[x] for row in rows})
    shown = places[:: -(-len(places) // 8)]
    ax.set_xscale("log", base=2)
    ax.set_xticks(shown, [f"{place}" if exchange else size_label(place) for place in shown], fontsize=8)
    ax.set_xlabel(unit)
    ax.set_ylabel("GB/s")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)
    return fig


def size_label(size_bytes: int) -> str:
    """Binary where that is whole, as nccl-tests print it.

    >>> size_label(64), size_label(1 << 20), size_label(1500)
    ('64 B', '1 MiB', '1500 B')
    """
    for power, prefix in ((40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")):
        if size_bytes % (1 << power) == 0:
            return f"{size_bytes >> power} {prefix}B"
    return f"{size_bytes} B"
