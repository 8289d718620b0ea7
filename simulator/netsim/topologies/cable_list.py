"""Cables as people keep them, read from CSV, GraphML or JSON into lines of one form.

CSV: a header in any order, with the columns `a,b,rate` (or from, to; source, target; speed) and, where cables are
parallel, `cables` (or count); a byte-order mark, comments that begin with #, semicolons or tabs between columns, and
other columns (lengths, serial numbers) are passed over. Without `cables` a line is a cable, and the same two ends may
come again. Speeds are written as `400 Gb/s`, `400G`, `400 Gbps` or `400GbE`. A cable is dead where `cables` is 0 or a
column `status` says down, dead, failed or broken.

GraphML and JSON (node-link): what `netsim topology --export` writes, or any graph whose nodes are named as in the CSV
and whose edges have a `rate`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from netsim.errors import NetsimError
from netsim.specs import files

#: column -> other names of it
_NAMES = {
    "a": ("from", "source", "src", "end_a", "a_end"),
    "b": ("to", "target", "dst", "destination", "end_b", "b_end"),
    "rate": ("speed", "bandwidth"),
    "cables": ("count", "number", "qty", "quantity"),
    "status": ("state",),
}
_DEAD = ("down", "dead", "failed", "broken")
_SHORT = re.compile(
    r"^\s*(\d+(?:\.\d+)?)\s*([GT])(?:b|bps|bit/s|bits/s|bE|E|b/s)?\s*$", re.IGNORECASE | re.ASCII
)
#: files that hold a fabric
SUFFIXES = (".csv", ".graphml", ".json")


class CableLine(NamedTuple):
    """A line of a list: where it stands, both ends, the rate and the number of cables as written."""

    number: int
    a: str
    b: str
    rate: str
    cables: str


def cable_lines(path: Path, place: str) -> tuple[list[CableLine], bool]:
    """The cables of a file that are alive, and whether a line may repeat the ends of another.

    Raises NetsimError, one line that names the file and the rule.
    """
    try:
        text = files.read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise NetsimError(f"{place}: cannot be read as text: {error}") from None
    if path.suffix == ".csv":
        return _of_csv(text, place)
    return list(_of_graph(_graph(text, path.suffix, place), place)), True


def _of_csv(text: str, place: str) -> tuple[list[CableLine], bool]:
    numbered = [(n, row) for n, row in enumerate(text.splitlines(), start=1)]
    used = [(n, row) for n, row in numbered if row.strip() and not row.lstrip().startswith("#")]
    if not used:
        raise NetsimError(f"{place}: no cables")
    number, first = used[0]
    mark = next((mark for mark in ",;\t" if mark in first), ",")
    header = [cell.strip().lower() for cell in first.split(mark)]
    columns = _columns(header)
    if not {"a", "b", "rate"} <= set(columns):
        rule = f"header {first.strip()!r}, must be a,b,rate or a,b,rate,cables"
        raise NetsimError(f"{place}: line {number}: {rule}")
    lines = []
    for n, row in used[1:]:
        try:
            cells = [cell.strip() for cell in next(csv.reader([row], delimiter=mark))]
        except csv.Error as error:
            raise NetsimError(f"{place}: line {n}: not a CSV: {error}") from None
        if not any(cells):
            continue
        found = {name: cells[i] if i < len(cells) else "" for name, i in columns.items()}
        if found.get("status", "").lower() in _DEAD or found.get("cables") == "0":
            continue
        lines.append(CableLine(n, found["a"], found["b"], plain_rate(found["rate"]), found.get("cables", "")))
    return lines, "cables" not in columns


def _columns(header: list[str]) -> dict[str, int]:
    """Where the columns stand that are known."""
    found = {}
    for name, others in _NAMES.items():
        place = next((header.index(word) for word in (name, *others) if word in header), None)
        if place is not None:
            found[name] = place
    return found


def plain_rate(text: str) -> str:
    """A speed with its unit, where people leave a part of it out.

    >>> [plain_rate(text) for text in ("400G", "400 Gbps", "1.6T", "100GbE", "400 Gb/s", "400")]
    ['400 Gb/s', '400 Gb/s', '1.6 Tb/s', '100 Gb/s', '400 Gb/s', '400']
    """
    match = _SHORT.match(text)
    return f"{match[1]} {match[2].upper()}b/s" if match else text


def _graph(text: str, suffix: str, place: str) -> Any:
    import networkx as nx

    try:
        if suffix == ".graphml":
            return nx.parse_graphml(text)
        data = json.loads(text)
        return nx.node_link_graph(data, edges="edges" if "edges" in data else "links")
    except Exception as error:  # networkx raises whatever its parsers do
        raise NetsimError(f"{place}: no graph can be read: {' '.join(str(error).split())}") from None


def _of_graph(graph: Any, place: str) -> Iterator[CableLine]:
    """The cables of a graph: of our own export, each way once; of any other, every edge."""
    kinds = {node: kind for node, kind in graph.nodes(data="kind") if kind}
    own = {"nic", "switch"} <= set(kinds.values())
    names = (
        _names(graph, kinds) if own else {node: _label(node, data) for node, data in graph.nodes(data=True)}
    )
    for n, (a, b, data) in enumerate(graph.edges(data=True), start=1):
        if own and data.get("kind") not in ("port_tx", "up"):
            continue
        if str(data.get("status", "")).lower() in _DEAD:
            continue
        rate = data.get("rate", data.get("speed"))
        if rate is None and "nominal_bytes_per_s" in data:
            rate = f"{float(data['nominal_bytes_per_s']) * 8 / 1e9:.15g} Gb/s"
        if rate is None:
            raise NetsimError(f"{place}: edge {n}: {names[a]} - {names[b]} has no rate")
        yield CableLine(n, names[a], names[b], plain_rate(str(rate)), str(data.get("cables", "")))


def _label(node: Any, data: dict[str, Any]) -> str:
    return str(data.get("label", data.get("name", node)))


def _names(graph: Any, kinds: dict[Any, str]) -> dict[Any, str]:
    """Names of the nodes of an export: NICs by host in their order, switches by number."""
    order = sorted(kinds, key=lambda node: int(node))
    nics, hosts = ([node for node in order if kinds[node] == kind] for kind in ("nic", "nvswitch"))
    each = max(1, len(nics) // max(1, len(hosts)))
    names = {node: f"host{n // each}/nic{n % each}" for n, node in enumerate(nics)}
    return {node: names.get(node, f"switch{node}") for node in graph.nodes}
