"""Results of packet simulators beside netsim's own: htsim's output and SimAI's table.

htsim prints a line when a flow has finished, in us; the last of them is compared with netsim's time of the traffic that
was exported (`export.json` in the folder of the output, or above it). SimAI's CSV has its own split of the step.

Source: Broadcom/csg-htsim, uec.cpp; aliyun/SimAI, result CSV.
"""

from __future__ import annotations

import csv
import re
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

from netsim.errors import NetsimError
from netsim.importers.source import Source, open_source

_FLOW = re.compile(r"Flow\s+(\S+)\s+.*?finished at\s+([\d.]+)")
_VALUE = re.compile(r"^\s*([\d.]+)(?:\s*\(\s*([\d.]+)\s*%?\s*\))?\s*$")


def compare_results(path: Path) -> dict[str, Any]:
    """The record of `netsim compare --against`.

    Raises NetsimError for a file that is neither, and where no export.json lies beside it.
    """
    source = open_source(path)
    own = _exported(path)
    times = [(match[1], float(match[2]) * 1e-6) for match in map(_FLOW.search, source.lines) if match]
    if times:
        return _htsim(source, times, own)
    return _simai(source, own)


def _exported(path: Path) -> dict[str, Any]:
    for folder in (path.resolve().parent, path.resolve().parent.parent):
        if (folder / "export.json").is_file():
            found = open_source(folder / "export.json").json()
            if isinstance(found, dict) and isinstance(found.get("netsim_s"), float | int):
                return found
    raise NetsimError(f"{path}: no export.json beside it: put it into the folder that netsim export wrote")


def _htsim(source: Source, times: list[tuple[str, float]], own: dict[str, Any]) -> dict[str, Any]:
    seconds = [time for _, time in times]
    flows, last = own.get("flows"), max(seconds)
    notes = []
    if (
        isinstance(flows, int)
        and own.get("format") == "htsim"
        and len(times) < flows
        and int(own.get("planes", 1)) == 1
    ):
        notes.append(f"{len(times)} flows have finished; the export has {flows}, those inside hosts included")
    return {
        "tool": "htsim", "file": source.place, "what": own["what"], "topology": own["topology"], "gpus": own["gpus"],
        "flows": len(times), "slowest_flow": max(times, key=lambda each: each[1])[0], "theirs_s": last,
        "netsim_s": float(own["netsim_s"]), "difference_pct": 100 * (float(own["netsim_s"]) / max(last, 1e-12) - 1),
        "mean_s": fmean(seconds), "median_s": median(seconds), "notes": notes,
    }  # fmt: skip


def _simai(source: Source, own: dict[str, Any]) -> dict[str, Any]:
    """The first row with values that a header names; times are us."""
    rows = [row for row in csv.reader(source.lines) if any(cell.strip() for cell in row)]
    for header, values in pairwise(rows):
        names = [cell.strip().lower() for cell in header]
        cells = {
            name: float(match[1])
            for name, cell in zip(names, values, strict=False)
            if (match := _VALUE.match(cell)) and name
        }
        total = next((cells[name] for name in ("total time", "total_time", "total") if name in cells), None)
        if total:
            return {
                "tool": "simai", "file": source.place, "what": own["what"], "topology": own["topology"],
                "gpus": own["gpus"], "theirs_s": total * 1e-6, "netsim_s": float(own["netsim_s"]),
                "difference_pct": 100 * (float(own["netsim_s"]) / (total * 1e-6) - 1),
                "parts_s": {name: value * 1e-6 for name, value in cells.items()},
                "notes": ["SimAI's times taken as us"],
            }  # fmt: skip
    raise source.fail("neither lines of finished flows (htsim) nor a table with a total time (SimAI)")


def lines_of(record: dict[str, Any]) -> list[str]:
    """The comparison for people."""
    head = f"{record['what']} of {record['gpus']} GPUs over {record['topology']}"
    theirs, ours = record["theirs_s"] * 1e6, record["netsim_s"] * 1e6
    lines = [
        f"{head}: {record['tool']} {theirs:.2f} us, netsim {ours:.2f} us ({record['difference_pct']:+.2f} %)"
    ]
    if "flows" in record:
        median_us = record["median_s"] * 1e6
        lines.append(f"{record['flows']} flows, median {median_us:.2f} us, slowest {record['slowest_flow']}")
    return [
        *lines,
        *record["notes"],
        *(f"{name}: {value:.6g} s" for name, value in record.get("parts_s", {}).items()),
    ]


def print_results(record: dict[str, Any]) -> None:
    """The same lines, printed."""
    print("\n".join(lines_of(record)))
