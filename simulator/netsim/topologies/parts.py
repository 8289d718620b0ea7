"""Parts of a built fabric by name: which links a plane, a switch, a cable, a NIC or a host is made of.

    plane 3                       all ports and cables of a plane
    switch spine0.1               plane 0, spine 1; `switch spine 0.1` and, with a single plane, `spine1` mean the same
    link leaf0.1-spine0.3         a cable between two switches; #2 picks one of several parallel ones, #all takes all
    link host12.3                 the cable of NIC 3 of host 12; host12.3.1 is port 1 of a NIC with several
    nic host12.3                  all ports of a NIC
    nvlink host3, nvlink host3.2  the scale-up ports of a host, or of one GPU
    host 5, gpu host3.2           GPUs with all that hangs on them

Switches are named by tier (leaf, spine, core; `switch` where a fabric has no tiers), plane and number in that tier
and plane. A name that does not exist is an error that says what does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError, did_you_mean
from netsim.topologies.graph import TIERS, LinkKind, Topology
from netsim.units import whole

Ints = NDArray[np.int64]

_SWITCH = re.compile(r"^(leaf|spine|core|switch)\s*(\d{1,9})(?:\.(\d{1,9}))?$", re.ASCII)
_HOST = re.compile(r"^host\s*(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?$", re.ASCII)
_NONE: Ints = np.zeros(0, dtype=np.int64)


class Part(NamedTuple):
    """A part: its name, its links (both directions), and the GPUs that are it or in it."""

    name: str
    links: Ints
    gpus: Ints


def find_part(topology: Topology, text: str) -> Part:
    """The part that a text names.

    Raises NetsimError saying what exists when there is no such part.

    >>> from netsim.specs import HardwareSpec, TopologySpec, load
    >>> from netsim.topologies import build
    >>> fabric = build(load(TopologySpec, "topology", "mpft"), load(HardwareSpec, "hardware", "h800"), 2048)
    >>> find_part(fabric, "link leaf0.1-spine0.3#7").links.size, find_part(fabric, "host 5").gpus.tolist()[:3]
    (2, [40, 41, 42])
    """
    kind, _, name = text.strip().partition(" ")
    finders = {
        "plane": _plane,
        "switch": _switch,
        "link": _link,
        "nic": _nic,
        "nvlink": _nvlink,
        "host": _host,
        "gpu": _gpu,
    }
    if kind not in finders:
        raise NetsimError(f"{text!r}: no such kind of part: {did_you_mean(kind, finders)}")
    return finders[kind](topology, name.strip())


def switch_names(topology: Topology) -> list[str]:
    """The name of every switch, in the order of their numbers."""
    count: dict[tuple[int, int], int] = {}
    names = []
    for node in range(topology.first_switch, topology.n_nodes):
        key = int(topology.node_tier[node]), int(topology.node_plane[node])
        names.append(f"{_tier_word(topology, key[0])}{key[1]}.{count.setdefault(key, 0)}")
        count[key] += 1
    return names


def link_name(topology: Topology, link: int) -> str:
    """What a link is called, with its direction."""
    kind = LinkKind(topology.link_kind[link])
    per_host, nics = topology.gpus_per_host, topology.nics // topology.hosts
    if kind <= LinkKind.PCIE_RX:
        gpu = link - topology.first(kind)
        word = "nvlink" if kind <= LinkKind.SCALE_UP_RX else "pcie"
        return f"{word} host{gpu // per_host}.{gpu % per_host} {'out' if kind % 2 == 0 else 'in'}"
    if kind <= LinkKind.PORT_RX:
        nic, port = divmod(link - topology.first(kind), topology.nic_ports)
        near = f"host{nic // nics}.{nic % nics}" + (f".{port}" if topology.nic_ports > 1 else "")
        return f"nic {near} {'out' if kind == LinkKind.PORT_TX else 'in'}"
    names = switch_names(topology)
    source, target = (
        int(end[link]) - topology.first_switch for end in (topology.link_src, topology.link_dst)
    )
    return f"{names[source]} to {names[target]}"


def _tier_word(topology: Topology, tier: int) -> str:
    return TIERS[tier] if topology.tiers > 1 else "switch"


def _count(what: str, names: list[str]) -> str:
    if len(names) == 1:
        return f"1 {what}, {names[0]}"
    return f"{len(names):,} {what}{'es' if what.endswith('ch') else 's'}, {names[0]} to {names[-1]}"


def _missing(topology: Topology, what: str, have: str) -> NetsimError:
    return NetsimError(f"no {what} on {topology.name} with {topology.gpus:,} GPUs: it has {have}")


def _plane(topology: Topology, name: str) -> Part:
    have = _count("plane", [str(p) for p in range(topology.planes)])
    plane = whole(name)
    if plane is None or plane >= topology.planes:
        raise _missing(topology, f"plane {name!r}", have)
    return Part(f"plane {plane}", np.flatnonzero(topology.link_plane == plane), _NONE)


def _switch(topology: Topology, name: str) -> Part:
    node, found = _switch_node(topology, name)
    return Part(f"switch {found}", _touching(topology, node), _NONE)


def _touching(topology: Topology, node: int) -> Ints:
    return np.flatnonzero((topology.link_src == node) | (topology.link_dst == node))


def _switch_node(topology: Topology, name: str) -> tuple[int, str]:
    """Node id and full name of a switch."""
    match = _SWITCH.match(name)
    names = switch_names(topology)
    if match:
        tier, first, second = match[1], match[2], match[3]
        if tier == "leaf" and topology.tiers == 1:
            tier = "switch"  # the only tier
        if second is None and topology.planes == 1:
            first, second = "0", first
        full = f"{tier}{int(first)}.{int(second)}" if second is not None else f"{tier}{first}"
        if full in names:
            return topology.first_switch + names.index(full), full
        alike = [n for n in names if n.startswith(tier) and n.split(".")[0] == f"{tier}{int(first)}"]
        alike = alike or [n for n in names if n.startswith(tier)]
        if alike:
            raise _missing(topology, f"switch {name!r}", _count("switch", alike))
    tiers = [_tier_word(topology, t) for t in range(1, topology.tiers + 1)]
    have = "; ".join(_count("switch", [n for n in names if n.startswith(t)]) for t in tiers)
    raise _missing(topology, f"switch {name!r}", have)


def _endpoints(topology: Topology, name: str) -> tuple[Ints, str]:
    """NIC ports by the name of a NIC or of one of its ports."""
    nics = topology.nics // topology.hosts
    have = f"host0.0 to host{topology.hosts - 1}.{nics - 1}: {topology.hosts:,} hosts of {nics} NICs"
    if topology.nic_ports > 1:
        have += f", each with ports 0 to {topology.nic_ports - 1} (host0.0.0)"
    match = _HOST.match(name)
    if not match or match[2] is None or int(match[1]) >= topology.hosts or int(match[2]) >= nics:
        raise _missing(topology, f"NIC {name!r}", have)
    ports = (int(match[1]) * nics + int(match[2])) * topology.nic_ports + np.arange(topology.nic_ports)
    if match[3] is not None:
        if int(match[3]) >= topology.nic_ports:
            raise _missing(topology, f"NIC port {name!r}", have)
        ports = ports[int(match[3]) :][:1]
    return ports, f"host{int(match[1])}.{int(match[2])}" + (f".{int(match[3])}" if match[3] else "")


def _ports(topology: Topology, endpoints: Ints) -> Ints:
    return np.concatenate([topology.first(kind) + endpoints for kind in (LinkKind.PORT_TX, LinkKind.PORT_RX)])


def _nic(topology: Topology, name: str) -> Part:
    endpoints, found = _endpoints(topology, name)
    return Part(f"nic {found}", _ports(topology, endpoints), _NONE)


def _link(topology: Topology, name: str) -> Part:
    body, _, which = name.partition("#")
    near, dash, far = (word.strip() for word in body.partition("-"))
    if near.startswith("host"):
        return _nic_cable(topology, near, far)
    if not dash:
        raise NetsimError(
            f"link {name!r}: must be written leaf0.1-spine0.3, or host12.3 for the cable of a NIC"
        )
    if far.startswith("host"):
        return _nic_cable(topology, far, near)
    (a, first), (b, second) = _switch_node(topology, near), _switch_node(topology, far)
    ups = topology.links(LinkKind.UP)
    source, target = topology.link_src[ups.start : ups.stop], topology.link_dst[ups.start : ups.stop]
    cables = np.flatnonzero(((source == a) & (target == b)) | ((source == b) & (target == a)))
    if not cables.size:
        at_a = np.concatenate([target[source == a], source[target == a]]) - topology.first_switch
        names = [switch_names(topology)[n] for n in np.unique(at_a).tolist()]
        have = f"{first} is cabled to {_count('switch', names)}" if names else f"{first} has no such cables"
        raise NetsimError(f"no link {first}-{second} on {topology.name} with {topology.gpus:,} GPUs: {have}")
    if which.strip() != "all":
        if not which and cables.size > 1:
            rule = (
                f"has {cables.size} parallel cables: write {first}-{second}#0 to #{cables.size - 1}, or #all"
            )
            raise NetsimError(f"link {first}-{second}: {rule}")
        number = whole(which or "0")
        if number is None or number >= cables.size:
            have = f"#0 to #{cables.size - 1}, or #all" if cables.size > 1 else "one cable, #0"
            raise NetsimError(f"link {first}-{second}: no cable #{which.strip()}: it has {have}")
        cables = cables[number:][:1]
    links = np.concatenate([topology.first(kind) + cables for kind in (LinkKind.UP, LinkKind.DOWN)])
    return Part(f"link {first}-{second}" + (f"#{which.strip()}" if which else ""), links, _NONE)


def _nic_cable(topology: Topology, near: str, far: str) -> Part:
    """The cable of a NIC port, perhaps with the switch at its other end."""
    endpoints, found = _endpoints(topology, near)
    names, switch = switch_names(topology), topology.endpoint_switch[endpoints]
    if far:
        _, full = _switch_node(topology, far)
        kept = endpoints[np.array([names[s] == full for s in switch.tolist()])]
        if not kept.size:
            have = ", ".join(names[s] for s in switch.tolist())
            raise NetsimError(
                f"no link {found}-{full} on {topology.name} with {topology.gpus:,} GPUs: {found} is cabled to {have}"
            )
        endpoints = kept
    if endpoints.size > 1:
        rule = f"has {endpoints.size} cables: write {found}.0 to {found}.{endpoints.size - 1}, or nic {found} for all"
        raise NetsimError(f"link {found}: {rule}")
    return Part(
        f"link {found}-{names[int(topology.endpoint_switch[endpoints[0]])]}",
        _ports(topology, endpoints),
        _NONE,
    )


def _gpus(topology: Topology, name: str, one: bool | None) -> tuple[Ints, str]:
    """GPUs of a host, or one of them; `one` says which must be named (None: either)."""
    match = _HOST.match(name if name.startswith("host") else f"host{name}")
    per_host = topology.gpus_per_host
    have = (
        f"host0 to host{topology.hosts - 1}: {topology.hosts:,} hosts of {per_host} GPUs, 0 to {per_host - 1}"
    )
    wrong = match is None or match[3] is not None or int(match[1]) >= topology.hosts
    if match is None or wrong or (one is not None and (match[2] is not None) != one):
        raise _missing(topology, f"{'GPU' if one else 'host'} {name!r}", have)
    first = int(match[1]) * per_host
    if match[2] is None:
        return first + np.arange(per_host), f"host{int(match[1])}"
    if int(match[2]) >= per_host:
        raise _missing(topology, f"GPU {name!r}", have)
    return np.array([first + int(match[2])]), f"host{int(match[1])}.{int(match[2])}"


def _nvlink(topology: Topology, name: str) -> Part:
    gpus, found = _gpus(topology, name, None)
    kinds = (LinkKind.SCALE_UP_TX, LinkKind.SCALE_UP_RX)
    return Part(f"nvlink {found}", np.concatenate([topology.first(kind) + gpus for kind in kinds]), _NONE)


def _host(topology: Topology, name: str) -> Part:
    gpus, found = _gpus(topology, name, False)
    nics = topology.nics // topology.hosts * topology.nic_ports
    endpoints = int(gpus[0]) // topology.gpus_per_host * nics + np.arange(nics)
    return Part(
        f"host {found.removeprefix('host')}",
        np.concatenate([_own(topology, gpus), _ports(topology, endpoints)]),
        gpus,
    )


def _gpu(topology: Topology, name: str) -> Part:
    gpus, found = _gpus(topology, name, True)
    return Part(f"gpu {found}", _own(topology, gpus), gpus)


def _own(topology: Topology, gpus: Ints) -> Ints:
    """The scale-up and PCIe links of GPUs."""
    kinds = (LinkKind.SCALE_UP_TX, LinkKind.SCALE_UP_RX, LinkKind.PCIE_TX, LinkKind.PCIE_RX)
    return np.concatenate([topology.first(kind) + gpus for kind in kinds])
