"""InfraGraph YAML: devices, instances and the edges between their components, to a fabric.

An instance is a host where its device has a component chosen as `nic` (or named so) and is no switch. Edges are
expanded as the format says: one2one pairs in order, many2many all pairs, ring neighbours. Left out: links
inside a device.

Source: Keysight/infragraph, models.
"""

from __future__ import annotations

import re
from typing import Any

from netsim.importers.cables import Cable, End, Found
from netsim.importers.fabric import make_fabric
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

MOST_EDGES = 1_000_000
_INDEXED = re.compile(r"^\s*([\w.-]+)\s*(?:\[\s*(\d*)\s*(:?)\s*(\d*)\s*\])?\s*$")


def is_kind(source: Source) -> bool:
    return source.path.suffix in (".yaml", ".yml") and "instances:" in source.text and "ep1:" in source.text


def read(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for keys that are missing, and for an edge to what does not exist."""
    notes, found, data = Notes(), Found(), source.yaml()
    try:
        data = data.get("infrastructure", data)
        devices = {each["name"]: {c["name"]: c for c in each["components"]} for each in data["devices"]}
        instances = {each["name"]: (each["device"], int(each.get("count", 1))) for each in data["instances"]}
        rates = {link["name"]: _rate(link) for link in data.get("links", ())}
        for edge in data["edges"]:
            _edge(source, edge, devices, instances, rates, found)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise source.fail(f"not an infrastructure of InfraGraph: {type(error).__name__}: {error}") from None
    for name, (device, count) in instances.items():
        parts = devices.get(device, {})
        if any("nic" in str(c.get("choice", "")) or part == "nic" for part, c in parts.items()):
            found.hosts |= {f"{name}{n}" for n in range(count)}
    found.hosts &= {end.node for c in found.cables for end in (c.a, c.b)}
    notes.read.append(f"{len(devices)} devices, {len(instances)} kinds of instances")
    return make_fabric("infragraph", source.place, found, notes, wanted)


def _rate(link: dict[str, Any]) -> float:
    bandwidth = link["physical"]["bandwidth"]
    return float(bandwidth[bandwidth.get("choice", "gigabits_per_second")]) * 1e9 / 8


def _edge(
    source: Source, edge: dict[str, Any], devices: dict[str, Any], instances: dict[str, tuple[str, int]],
    rates: dict[str, float], found: Found,
) -> None:  # fmt: skip
    ends = []
    for side in ("ep1", "ep2"):
        name, span = _span(edge[side]["instance"])
        device, count = instances[name]
        part, ports = _span(edge[side]["component"])
        width = int(devices[device][part].get("count", 1))
        one = [
            End(f"{name}{n}", f"{part}{p}" if part != "port" else str(p))
            for n in range(*span.indices(count)) for p in range(*ports.indices(width))
        ]  # fmt: skip
        ends.append(one)
    scheme = str(edge.get("scheme", "one2one"))
    pairs: list[tuple[End, End]]
    if scheme == "many2many":
        if len(ends[0]) * len(ends[1]) + len(found.cables) > MOST_EDGES:
            raise source.fail(f"more than {MOST_EDGES:,} cables")
        pairs = [(a, b) for a in ends[0] for b in ends[1]]
    elif scheme == "ring":
        pairs = list(zip(ends[0], ends[1][1:] + ends[1][:1], strict=False))
    else:
        pairs = list(zip(*ends, strict=False))
    found.cables += [Cable(a, b, rates[edge["link"]]) for a, b in pairs if a != b]


def _span(text: str) -> tuple[str, slice]:
    """`host[0:2]` as its name and which of them."""
    match = _INDEXED.match(str(text))
    if match is None:
        raise ValueError(f"{text!r}: must be a name with an index, as host[0:2]")
    low, colon, high = match[2], match[3], match[4]
    if low and not colon:
        return match[1], slice(int(low), int(low) + 1)
    return match[1], slice(int(low) if low else None, int(high) if high else None)
