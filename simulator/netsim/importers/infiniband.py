"""`ibnetdiscover` and `iblinkinfo`: what the subnet manager's tools print of an InfiniBand fabric.

A link's rate is its width times the rate of its lanes, by the name (4xNDR) or by what is signalled (4X 106.25 Gbps);
`iblinkinfo` also says what a degraded link could be. A node is a host where it is a channel adapter, `host mlx5_0` in
its description; switches are named by theirs, without `MF0;` and model. Aggregation nodes inside switches (SHARP) are
passed over. Ports without a link are counted: whether a cable hangs there is not known.

Source: linux-rdma/rdma-core, infiniband-diags, man pages of both.
"""

from __future__ import annotations

import re
from collections import Counter

from netsim.importers.cables import Cable, End, Found
from netsim.importers.fabric import make_fabric
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import LANE_GBPS, lane_rate

_NODE = re.compile(r'^(Switch|Ca|Rt)\s+(\d+)\s+"([SHR]-[0-9a-fA-F]+)"\s*#\s*"([^"]*)"')
_LINK = re.compile(
    r'^\[(\d+)\](?:\[ext \d+\])?(?:\([0-9a-fA-F]+\))?\s+"([SHR]-[0-9a-fA-F]+)"\[(\d+)\](?:\[ext \d+\])?'
    r"(?:\([0-9a-fA-F]+\))?\s*#.*?\b(\d+x)([A-Z]+\d*)\s*(?:s=.*)?$"
)
_QUIET = re.compile(r"^(#|vendid=|devid=|sysimgguid=|switchguid=|caguid=|rtguid=|DR path|\s*$)")
_ARROW = re.compile(r"^(.*?)\s*==\(\s*(.*?)\s*\)==>\s*(.*)$")
_STATE = re.compile(r"^(?:(\d+)X\s+([\d.]+)\s*Gbps\s+)?(\w+)/\s*(\w+)")
_LEFT = re.compile(r'^(?:(0x[0-9a-fA-F]+)\s+)?(?:"\s*([^"]*)"\s+)?(\d+)\s+(\d+)\s*\[[^\]]*\]$')
_RIGHT = re.compile(r'^(?:(0x[0-9a-fA-F]+)\s+)?(\d+)?\s*(\d+)?\s*\[[^\]]*\]\s*"\s*([^"]*)"\s*\((.*)\)')
_HEADER = re.compile(r"^(CA|Switch|Router):\s+(?:(0x[0-9a-fA-F]+)\s+)?(.*?):?\s*$")
_ADAPTER = re.compile(r"^(\S+)\s+((?:mlx|HCA|hca|ib|bnxt|hfi|irdma|ionic|efa)\S*)$")


def is_discover(source: Source) -> bool:
    return bool(re.search(r'^(Switch|Ca)\s+\d+\s+"[SH]-', source.head, re.MULTILINE))


def is_linkinfo(source: Source) -> bool:
    return bool(re.search(r"==\(.*(Active|Down|Init|Armed)/.*\)==>", source.head))


def short_name(description: str) -> str:
    """The name of a switch in its description.

    >>> short_name("MF0;leaf01:MQM9700/U1"), short_name("Quantum Mellanox leaf2")
    ('leaf01', 'Quantum Mellanox leaf2')
    """
    plain = description.strip().removeprefix("MF0;").strip()
    return plain.split(":", 1)[0] or plain


def read_discover(source: Source, wanted: Wanted) -> Imported:
    """`ibnetdiscover` output. Raises NetsimError for one that ends before every node has been listed."""
    notes, found = Notes(), Found()
    nodes: dict[str, tuple[str, int]] = {}
    links: dict[frozenset[tuple[str, int]], tuple[str, int, str, int, float]] = {}
    here, strange = "", []
    for number, line in enumerate(source.lines, start=1):
        if match := _NODE.match(line):
            here = match[3]
            nodes[here] = (match[4], int(match[2]))
        elif match := _LINK.match(line):
            rate = lane_rate(match[4], match[5])
            if rate is None:
                known = ", ".join(LANE_GBPS)
                raise source.fail(f"{match[4]}{match[5]}: unknown speed, known: {known}", number)
            key = frozenset({(here, int(match[1])), (match[2], int(match[3]))})
            links[key] = (here, int(match[1]), match[2], int(match[3]), rate)
        elif not _QUIET.match(line):
            strange.append(f"line {number}: {line.strip()[:60]!r}")
    unlisted = {end for link in links.values() for end in (link[0], link[2])} - nodes.keys()
    if unlisted or (strange and strange[-1].startswith(f"line {len(source.lines)}:")):
        rule = (
            f"truncated: {len(unlisted)} nodes are named by links and not listed" if unlisted else "truncated"
        )
        raise source.fail(rule, len(source.lines))
    notes.many("lines", strange)
    names = _names(nodes, notes)
    for one, port, two, other, rate in links.values():
        if one in names and two in names:
            found.cables.append(Cable(_end(names[one], port), _end(names[two], other), rate))
    found.hosts = {name for guid, (name, _) in names.items() if not guid.startswith("S-")}
    found.ports = {names[guid][0]: count for guid, (_, count) in nodes.items() if guid.startswith("S-")}
    return make_fabric("ibnetdiscover", source.place, found, notes, wanted)


def _end(name: tuple[str, str], port: int) -> End:
    return End(name[0], name[1] or str(port))


def _names(nodes: dict[str, tuple[str, int]], notes: Notes) -> dict[str, tuple[str, str]]:
    """GUID -> (node, NIC), a NIC only for hosts; names that several switches share get their GUID."""
    shared = Counter(short_name(text) for guid, (text, _) in nodes.items() if guid.startswith("S-"))
    of_host: Counter[str] = Counter()
    found, aggregation, nameless = {}, [], []
    for guid, (text, _) in sorted(nodes.items()):
        if guid.startswith("S-"):
            name = short_name(text)
            found[guid] = (name if shared[name] == 1 and name else f"{name or 'switch'}-{guid[2:]}", "")
        elif "Aggregation Node" in text:
            aggregation.append(guid)
        else:
            host, _, nic = text.strip().partition(" ")
            if not host or host.startswith(("MT", "Mellanox", "localhost")):
                nameless.append(f"{guid} {text!r}")
                continue
            found[guid] = (host, nic.strip() or f"nic{of_host[host]}")
            of_host[host] += 1
    notes.many("aggregation nodes inside switches, passed over", aggregation, most=2)
    notes.many("adapters without the name of a host, left out", nameless)
    return found


def read_linkinfo(source: Source, wanted: Wanted) -> Imported:
    """`iblinkinfo` output, with or without -l. Raises NetsimError for one that ends in a line's middle."""
    notes, found = Notes(), Found()
    here, strange, down = "", [], 0
    adapters: set[str] = set()
    seen: set[frozenset[tuple[str, str]]] = set()
    for number, line in enumerate(source.lines, start=1):
        arrow = _ARROW.match(line.strip())
        if arrow is None:
            if header := _HEADER.match(line):
                here = header[3]
                adapters |= {here} if header[1] == "CA" else set()
            elif line.strip() and not line.startswith("#"):
                strange.append(f"line {number}: {line.strip()[:60]!r}")
            continue
        state, left, right = _STATE.match(arrow[2]), _LEFT.match(arrow[1]), _RIGHT.match(arrow[3])
        if state is None or left is None or right is None:
            strange.append(f"line {number}: {line.strip()[:60]!r}")
            continue
        if state[4] != "LinkUp" or not right[4].strip():
            down += 1
            continue
        one, two = (left[2] or here).strip(), right[4].strip()
        key = frozenset({(one, left[4]), (two, right[3])})
        rate = lane_rate(state[1] or "0", state[2] or "0")
        if not rate:
            raise source.fail(f"{state[1]}X {state[2]} Gbps: unknown speed of a link", number)
        if key not in seen and not any("Aggregation Node" in name for name in (one, two)):
            seen.add(key)
            ends = _link_end(one, left[4], adapters), _link_end(two, right[3], adapters)
            found.cables.append(Cable(*ends, rate))
            found.hosts |= {
                end.node for end, name in zip(ends, (one, two), strict=True) if _is_host(name, adapters)
            }
            if able := _could_be(right[5], state[1], state[2]):
                found.full_rate[frozenset(ends)] = able
    if strange and strange[-1].startswith(f"line {len(source.lines)}:"):
        raise source.fail("truncated: the last line has no end", len(source.lines))
    notes.many("lines", strange)
    if down:
        notes.read.append(f"{down} ports without a link: unused, or their cables carry nothing")
    return make_fabric("iblinkinfo", source.place, found, notes, wanted)


def _is_host(name: str, adapters: set[str]) -> bool:
    return name in adapters or bool(_ADAPTER.match(name))


def _link_end(name: str, port: str, adapters: set[str]) -> End:
    if _is_host(name, adapters):
        host, _, nic = name.partition(" ")
        return End(host, nic.strip() or "nic0")
    return End(short_name(name), port)


def _could_be(text: str, width: str, speed: str) -> float | None:
    """What the link could run at: `Could be 4X`, `Could be 106.25 Gbps`."""
    wide = re.search(r"Could be (\d+)X", text)
    fast = re.search(r"Could be ([\d.]+) Gbps", text)
    if not wide and not fast:
        return None
    return lane_rate(wide[1] if wide else width, fast[1] if fast else speed)
