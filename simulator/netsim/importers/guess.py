"""Which nodes of a list of cables are hosts, where the file does not say: by names, by ports, by structure."""

from __future__ import annotations

import re
from collections import Counter

from netsim.importers.cables import Cable
from netsim.importers.report import Notes

_SWITCH = re.compile(r"(leaf|spine|core|tor|agg|fabric|switch|^sw|[-_.]sw)[-_.]?\d*", re.IGNORECASE)
_HOST = re.compile(r"(host|node|gpu|dgx|hgx|compute|server|srv|worker|^n\d|^h\d)", re.IGNORECASE)
_NIC = re.compile(r"^(mlx5_?\d|eth\d|enp|ens|eno|nic[-_]?\d|ib\d|hca|cx\d|rdma|bond\d|slot\d)", re.IGNORECASE)
_PORT = re.compile(
    r"^(swp\d|ethernet\d|et-|xe-|sfp|qsfp|hundredgig|fourhundredgig|port[-_ ]?\d|eth\d+/\d)", re.IGNORECASE
)


def guess_hosts(cables: list[Cable], notes: Notes) -> set[str]:
    """The nodes that are hosts; how they were told is in the notes."""
    degree = Counter(end.node for cable in cables for end in (cable.a, cable.b))
    ports: dict[str, set[str]] = {}
    for cable in cables:
        for end in (cable.a, cable.b):
            ports.setdefault(end.node, set()).add(end.port)
    hosts: set[str] = set()
    unsure = []
    for name in degree:
        named = _kind(_SWITCH.search(name), _HOST.search(name))
        plugged = _kind(
            any(_PORT.match(port) for port in ports[name]), any(_NIC.match(port) for port in ports[name])
        )
        told = named if named is not None else plugged
        if told is None:
            unsure.append(name)
        elif told:
            hosts.add(name)
    if unsure:
        beside = {
            name: {o.node for c in cables for e, o in ((c.a, c.b), (c.b, c.a)) if e.node == name}
            for name in unsure
        }
        ends = {
            n for n in unsure if degree[n] <= 64 and all(degree[p] > degree[n] for p in beside[n] - hosts)
        }
        hosts |= ends
        notes.assumed.append(
            f"{len(ends)} nodes with few cables are hosts, {len(unsure) - len(ends)} others switches: names do not say"
        )
    else:
        notes.assumed.append("hosts and switches are told apart by the names of nodes and ports")
    return hosts


def _kind(switch: object, host: object) -> bool | None:
    """True for a host; None where both or neither speak."""
    return None if bool(switch) == bool(host) else bool(host)
