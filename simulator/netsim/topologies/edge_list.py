"""A fabric that somebody owns, as a list of cables: read, checked line by line, and written again.

A CSV with the header `a,b,rate` and, where cables are parallel, `cables`:

    a,b,rate,cables
    host0/nic0,leaf0,400 Gb/s,1
    leaf0,spine0,800 Gb/s,4

`hostN/nicM` is a NIC of a host (a line for each of its ports), any other name is a switch. Planes are the parts that
switches fall into; port i of NIC m must be in one part for all hosts. Speeds may differ from cable to cable. Hosts
with at most half of the NICs that others have hold no GPUs (storage, login) and are left out, and so are nodes whose
name says that; what else people write, and other formats, are in `netsim.topologies.cable_list`.

Left out: oversubscription targets and tiers (a switch list has none), and ports that are not cabled.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.specs import catalog
from netsim.topologies.cable_list import CableLine, cable_lines
from netsim.topologies.graph import LinkKind, Topology
from netsim.units import bounded, whole

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NIC = re.compile(r"^host(\d{1,9})/nic(\d{1,9})$", re.ASCII)
_HEADER = ("a", "b", "rate", "cables")
#: nodes that are neither switch nor GPU host
_OTHER = re.compile(r"^(storage|nas|mgmt|management|login|admin)", re.IGNORECASE)


class Edges(NamedTuple):
    """A checked list.

    switches : their names, in the order in which they appear
    hosts, nics, nic_ports : hosts, NICs of each, ports of each NIC
    port_switch, port_rate : (hosts * nics * nic_ports,) by host, NIC, port
    lower, upper, rate, cables : (adjacencies,) switches, bytes/s of one cable, parallel cables
    """

    switches: tuple[str, ...]
    hosts: int
    nics: int
    nic_ports: int
    port_switch: Ints
    port_rate: Floats
    lower: Ints
    upper: Ints
    rate: Floats
    cables: Ints


class _Line(NamedTuple):
    number: int
    a: str
    b: str
    rate: float
    cables: int


def read_edges(path: Path) -> Edges:
    """Read and check a CSV.

    Raises NetsimError, one line that names the file, the line and the rule.
    """
    place = catalog.display(path)
    lines = _lines(path, place)
    ports: dict[tuple[int, int], list[_Line]] = {}
    between: list[_Line] = []
    number: dict[str, int] = {}
    for line in lines:
        nic = _NIC.match(line.a)
        for name in (line.b,) if nic else (line.a, line.b):
            number.setdefault(name, len(number))
        if nic:
            ports.setdefault((int(nic[1]), int(nic[2])), []).extend([line] * line.cables)
        else:
            between.append(line)
    ports = _with_gpus(ports)
    hosts, nics, nic_ports = _hosts(ports, place)
    seats = [line for key in sorted(ports) for line in ports[key]]
    edges = Edges(
        switches=tuple(number),
        hosts=hosts,
        nics=nics,
        nic_ports=nic_ports,
        port_switch=np.array([number[line.b] for line in seats], dtype=np.int64),
        port_rate=np.array([line.rate for line in seats]),
        lower=np.array([number[line.a] for line in between], dtype=np.int64),
        upper=np.array([number[line.b] for line in between], dtype=np.int64),
        rate=np.array([line.rate for line in between], dtype=np.float64),
        cables=np.array([line.cables for line in between], dtype=np.int64),
    )
    _check_connected(edges, place)
    return edges


def _lines(path: Path, place: str) -> list[_Line]:
    """Every cable, NIC first where there is one."""
    rows, repeats = cable_lines(path, place)
    found: dict[frozenset[str], int] = {}
    lines: list[_Line] = []
    for row in rows:
        if _OTHER.match(row.a) or _OTHER.match(row.b):
            continue
        line = _line(row, f"{place}: line {row.number}")
        both = frozenset((line.a, line.b))
        before = lines[found[both]] if both in found else None
        if before is not None and not (repeats and before.rate == line.rate):
            rule = "write parallel cables as one line with their number in `cables`"
            at = f"{place}: line {row.number}: {line.a} - {line.b} is a duplicate of line {before.number}"
            raise NetsimError(f"{at}: {rule}")
        if before is not None:
            lines[found[both]] = before._replace(cables=before.cables + line.cables)
            continue
        found[both] = len(lines)
        lines.append(line)
    if not lines:
        raise NetsimError(f"{place}: no cables")
    return lines


def _line(row: CableLine, where: str) -> _Line:
    number, a, b, rate, cables = row
    if not a or not b:
        raise NetsimError(f"{where}: the port of {a or b or 'nothing'} dangles: a cable has two ends")
    try:
        speed = bounded(rate, "bytes/s")
    except ValueError as error:
        raise NetsimError(f"{where}: rate = {rate!r}, {error}") from None
    if not 0 < speed < float("inf"):
        raise NetsimError(f"{where}: rate = {rate!r}, must be above 0")
    count = whole(cables or "1")
    if not count:
        raise NetsimError(f"{where}: cables = {cables!r}, must be a whole number, 0 for a dead cable")
    if a == b:
        raise NetsimError(f"{where}: {a} is cabled to itself")
    if _NIC.match(b):
        a, b = b, a
    if _NIC.match(b):
        raise NetsimError(f"{where}: {a} - {b} joins two NICs: one end must be a switch")
    return _Line(number, a, b, speed, count)


def _with_gpus(ports: dict[tuple[int, int], list[_Line]]) -> dict[tuple[int, int], list[_Line]]:
    """The NICs of hosts that have more than half of the most, hosts numbered anew where some are left out."""
    count = Counter(host for host, _ in ports)
    most = max(count.values(), default=0)
    left = {host for host, nics in count.items() if 2 * nics <= most}
    if not left:
        return ports
    kept = {host: n for n, host in enumerate(sorted(set(count) - left))}
    return {(kept[host], nic): lines for (host, nic), lines in ports.items() if host in kept}


def _hosts(ports: dict[tuple[int, int], list[_Line]], place: str) -> tuple[int, int, int]:
    """Hosts, NICs a host and ports a NIC, which must be alike for all."""
    if not ports:
        raise NetsimError(f"{place}: no NICs: a NIC is written hostN/nicM")
    hosts = max(host for host, _ in ports) + 1
    nics = max(nic for _, nic in ports) + 1
    each = len(next(iter(ports.values())))
    for host in range(hosts):
        for nic in range(nics):
            found = len(ports.get((host, nic), []))
            if not found:
                raise NetsimError(
                    f"{place}: host{host}/nic{nic} is not connected; hosts have nic0 to nic{nics - 1}"
                )
            if found != each:
                raise NetsimError(f"{place}: host{host}/nic{nic} has {found} ports, others have {each}")
    return hosts, nics, each


def planes_of(edges: Edges) -> Ints:
    """Part of the fabric that each switch is in, numbered from 0 by its first NIC port, (switches,)."""
    label = np.arange(len(edges.switches))
    while True:
        before = label.copy()
        for a, b in ((edges.lower, edges.upper), (edges.upper, edges.lower)):
            np.minimum.at(label, a, label[b])
        label = label[label]
        if (label == before).all():
            break
    order = dict.fromkeys([*label[edges.port_switch].tolist(), *label.tolist()])
    rank = {part: n for n, part in enumerate(order)}
    return np.array([rank[part] for part in label.tolist()], dtype=np.int64)


def _check_connected(edges: Edges, place: str) -> None:
    plane = planes_of(edges)
    seat = plane[edges.port_switch].reshape(edges.hosts, edges.nics, edges.nic_ports)
    strays = (seat != seat[0]).any(axis=(1, 2))
    if strays.any():
        host = int(strays.argmax())
        nic = int((seat[host] != seat[0]).any(axis=1).argmax())
        raise NetsimError(
            f"{place}: host{host} is disconnected: host{host}/nic{nic} does not reach host0/nic{nic}"
        )
    alone = np.flatnonzero(~np.isin(plane, seat))
    if alone.size:
        raise NetsimError(f"{place}: {edges.switches[alone[0]]} is disconnected: it reaches no host")


def write_edges(topology: Topology) -> str:
    """The cables of a built fabric as the same CSV."""
    first, nics = topology.first_switch, topology.nics // topology.hosts
    names = _names(topology)
    rows: dict[tuple[str, str, float], int] = {}
    for kind in (LinkKind.PORT_TX, LinkKind.UP):
        links = topology.links(kind)
        ends = (topology.link_src[links.start : links.stop], topology.link_dst[links.start : links.stop])
        rates = topology.nominal_bytes_per_s[links.start : links.stop]
        for a, b, rate in zip(*(end.tolist() for end in ends), rates.tolist(), strict=True):
            nic = a - topology.gpus - topology.hosts
            near = f"host{nic // nics}/nic{nic % nics}" if a < first else names[a - first]
            key = (near, names[b - first], rate)
            rows[key] = rows.get(key, 0) + 1
    lines = [f"{a},{b},{rate * 8 / 1e9:.15g} Gb/s,{cables}" for (a, b, rate), cables in rows.items()]
    return "\n".join([",".join(_HEADER), *lines]) + "\n"


def _names(topology: Topology) -> list[str]:
    """A name for each switch: tier, plane where there are several, number within."""
    from netsim.topologies.graph import TIERS

    count: dict[str, int] = {}
    names = []
    nodes = range(topology.first_switch, topology.n_nodes)
    for node in nodes:
        kind = TIERS[topology.node_tier[node]] if topology.tiers > 1 else "switch"
        stem = f"plane{topology.node_plane[node]}-{kind}" if topology.planes > 1 else kind
        count[stem] = count.get(stem, -1) + 1
        names.append(f"{stem}{count[stem]}")
    return names
