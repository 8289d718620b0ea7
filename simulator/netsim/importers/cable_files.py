"""Cables from documentation and from neighbours: NetBox CSV, lldpctl JSON, SimAI (ns-3) text, GraphML, node-link JSON.

Speeds that a file does not say are taken as 400 Gb/s, and said. NetBox exports of old versions name cables by ids only,
which stand for nothing outside that database: refused. `lldpctl` speaks for one node: a file for many is an object (or
JSON lines) with a document a node.

Source: NetBox, cable import; lldpd, lldpcli(8) -f json; aliyun/SimAI, ns-3 topology; networkx, node-link format.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from netsim.errors import NetsimError
from netsim.importers.cables import Cable, End, Found
from netsim.importers.fabric import make_fabric
from netsim.importers.guess import guess_hosts
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.topologies.cable_list import cable_lines, plain_rate
from netsim.units import parse

DEFAULT_RATE = 50e9
_SIDES = ("side_a_device", "side_a_name", "side_b_device", "side_b_name")
_SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*([GT])(?:b|base|BASE|bps|bE|\b)", re.IGNORECASE)


def rate_of(text: object) -> float | None:
    """Bytes/s in a text, of a type such as 100GBaseSR4 or 400gbase-x-osfp; None where there is none.

    >>> rate_of("400GbaseDR4"), rate_of("unknown")
    (50000000000.0, None)
    """
    match = _SPEED.search(str(text))
    return float(match[1]) * {"G": 1e9, "T": 1e12}[match[2].upper()] / 8 if match else None


def is_netbox(source: Source) -> bool:
    return all(word in source.lines[0] for word in ("side_a", "side_b")) or "termination_a" in source.lines[0]


def read_netbox(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for an export of ids, and for a line with too few columns."""
    notes, found = Notes(), Found()
    rows = csv.DictReader(io.StringIO(source.text))
    columns = set(rows.fieldnames or ())
    if not set(_SIDES) <= columns:
        lacking = [name for name in _SIDES if name not in columns]
        ids = "names cables by ids, which stand for nothing outside its database: export by name; "
        raise source.fail(
            (ids if "termination_a_id" in columns else "") + f"columns {', '.join(lacking)} are missing", 1
        )
    unknown, other = 0, []
    for number, row in enumerate(rows, start=2):
        if any(not (row.get(name) or "").strip() for name in _SIDES):
            raise source.fail("an end of the cable is missing", number)
        if any(
            (row.get(f"side_{side}_type") or "dcim.interface").strip() not in ("dcim.interface", "")
            for side in "ab"
        ):
            other.append(f"line {number}")
            continue
        rate = rate_of(row.get("speed") or row.get("type") or "")
        unknown += rate is None
        ends = [End(row[f"side_{side}_device"].strip(), row[f"side_{side}_name"].strip()) for side in "ab"]
        dead = (row.get("status") or "connected").strip().lower() not in ("connected", "")
        found.cables.append(Cable(ends[0], ends[1], rate or DEFAULT_RATE, dead))
    notes.many("cables that are not between interfaces (power, console)", other)
    return _answer("netbox", source, found, notes, wanted, unknown)


def is_lldp(source: Source) -> bool:
    return '"lldp"' in source.head and '"chassis"' in source.text


def read_lldp(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for what is no output of lldpctl -f json."""
    notes, found, seen, unknown = Notes(), Found(), set(), 0
    for node, document in _lldp_nodes(source):
        for interface in _several(_get(_get(document, "lldp"), "interface"), "name"):
            name, data = interface
            for peer, _ in _several(_get(data, "chassis"), "id"):
                port = _get(_get(data, "port"), "id")
                other = str(_get(port, "value") or _get(_get(data, "port"), "descr") or "")
                key = frozenset({(node, name), (peer, other)})
                if not peer or key in seen:
                    continue
                seen.add(key)
                rate = rate_of(_get(_get(_get(data, "port"), "auto-negotiation"), "current"))
                unknown += rate is None
                found.cables.append(Cable(End(node, name), End(peer, other), rate or DEFAULT_RATE))
    if not found.cables:
        raise source.fail("no neighbour: must be what lldpctl -f json prints")
    return _answer("lldp", source, found, notes, wanted, unknown)


def _lldp_nodes(source: Source) -> list[tuple[str, Any]]:
    """Documents by node: an object of them, JSON lines with a name, or the one document of the file's node."""
    try:
        data = json.loads(source.text)
    except (ValueError, RecursionError):
        try:
            data = [json.loads(line) for line in source.lines if line.strip()]
        except (ValueError, RecursionError):
            raise source.fail("not whole JSON") from None
    if isinstance(data, dict) and "lldp" in data:
        return [(source.path.stem, data)]
    if isinstance(data, dict):
        return [(str(node), document) for node, document in data.items()]
    if isinstance(data, list):
        names = ("host", "hostname", "node", "name")
        return [(str(next((d[n] for n in names if n in d), "")), d) for d in data if isinstance(d, dict)]
    raise source.fail("must be an object or JSON lines")


def _several(value: Any, key: str) -> list[tuple[str, Any]]:
    """Named entries: lldpctl writes one as an object, several as a list of objects, json0 as a list with names."""
    found = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            found.append((each["name"], each))
        elif isinstance(each, dict):
            found += [
                (str(name), data) for name, data in each.items() if isinstance(data, dict) and name != key
            ]
    return found


def _get(value: Any, key: str) -> Any:
    value = value[0] if isinstance(value, list) and value and key not in ("interface", "chassis") else value
    return value.get(key) if isinstance(value, dict) else None


def is_simai(source: Source) -> bool:
    first = source.lines[0].split()
    return len(first) == 6 and all(word.isdigit() for word in first[:5]) and "Gbps" in source.head


def read_simai(source: Source, wanted: Wanted) -> Imported:
    """A topology of SimAI or of ns-3's RDMA model. Raises NetsimError for counts that the file does not hold."""
    if not is_simai(source):
        raise source.fail("line 1 must be: nodes, GPUs a host, NVSwitches, switches, links, GPU")
    notes, found, lines = Notes(), Found(), [line.split() for line in source.lines if line.strip()]
    nodes, per_host, nvswitches, switches, links = (int(word) for word in lines[0][:5])
    gpus = nodes - nvswitches - switches
    if gpus <= 0 or per_host <= 0 or len(lines) != 2 + links:
        raise source.fail(
            f"truncated: says {links} links, has {len(lines) - 2}" if gpus > 0 else "no nodes are GPUs"
        )
    inside = set(range(gpus, gpus + nvswitches))
    for number, words in enumerate(lines[2:], start=3):
        if len(words) < 3 or not words[0].isdigit() or not words[1].isdigit():
            raise source.fail(f"{' '.join(words)!r}: must be two nodes, rate and latency", number)
        one, two = int(words[0]), int(words[1])
        if one in inside or two in inside:
            continue
        rate = parse(plain_rate(words[2].replace("Gbps", " Gb/s")), "bytes/s")
        found.cables.append(Cable(_simai_end(one, gpus, per_host), _simai_end(two, gpus, per_host), rate))
    found.hosts = {end.node for c in found.cables for end in (c.a, c.b) if end.node.startswith("host")}
    notes.read.append(f"{nvswitches} NVSwitches inside hosts, GPU {lines[0][5]}")
    return make_fabric("simai-topology", source.place, found, notes, wanted)


def _simai_end(node: int, gpus: int, per_host: int) -> End:
    return (
        End(f"host{node // per_host}", f"nic{node % per_host}") if node < gpus else End(f"switch{node}", "")
    )


def is_graph(source: Source) -> bool:
    text = source.text
    linked = '"nodes"' in text and ('"links"' in text or '"edges"' in text)
    return "<graphml" in source.head or (text.lstrip().startswith("{") and linked)


def read_graph(source: Source, wanted: Wanted) -> Imported:
    """GraphML or node-link JSON of any graph whose edges have a rate; `host/nic` names a NIC."""
    notes, found = Notes(), Found()
    if "<graphml" in source.head:
        source.xml()  # refuses entities before networkx sees the text
    suffix = ".graphml" if "<graphml" in source.head else ".json"
    if source.path.suffix != suffix:
        raise source.fail(f"must be named {suffix}")
    lines, _ = cable_lines(source.path, source.place)
    for line in lines:
        try:
            rate = parse(line.rate, "bytes/s")
            count = int(line.cables or 1)
        except ValueError as error:
            raise source.fail(f"edge {line.number}: {error}") from None
        found.cables += [Cable(_graph_end(line.a), _graph_end(line.b), rate)] * min(count, 4096)
    return _answer("graph", source, found, notes, wanted, 0)


def _graph_end(name: str) -> End:
    node, _, port = name.partition("/")
    return End(node, port)


def _answer(kind: str, source: Source, found: Found, notes: Notes, wanted: Wanted, unknown: int) -> Imported:
    if unknown:
        notes.assumed.append(f"{unknown} cables without a speed run at 400 Gb/s")
    if not found.cables:
        raise NetsimError(f"{source.place}: no cables")
    found.hosts = guess_hosts(found.cables, notes)
    return make_fabric(kind, source.place, found, notes, wanted)
