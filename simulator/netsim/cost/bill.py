"""What a network costs and draws: a bill of materials times a price book.

Counted: switches, cables between switches, cables from NIC to switch, transceivers, NICs. Left out: hosts, GPUs,
their NVSwitches, racks, spares, labour and cooling. A book without cable classes prices a link whole, whatever its
length; one with classes prices the length that `netsim.cost.layout` gives it, and the optics at its ends.

The `published` book reproduces table 3 of arXiv 2505.09343; its split between parts is a fit, and other splits fit
as well, so a total is calibrated and a part of it is a guess. A switch or cable of another rate than the book's is
priced by its capacity (four ports of 100 Gb/s share one 400 Gb/s cable), and the line says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs.prices import CablePartSpec, PartSpec, PriceBook
from netsim.topologies import LinkKind, Topology

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One part of the bill: how many, what each costs (and at least, at most) and draws, and who says so."""

    part: str
    count: int
    unit_usd: float
    low_usd: float
    high_usd: float
    unit_power_w: float
    status: str
    source: str

    @property
    def usd(self) -> float:
        return self.count * self.unit_usd

    @property
    def power_kw(self) -> float:
        return self.count * self.unit_power_w / 1e3

    def record(self) -> dict[str, Any]:
        """The line as plain values."""
        return {**asdict(self), "usd": self.usd, "power_kw": self.power_kw}


class Cables(NamedTuple):
    """Cables of one role (endpoint_link, switch_link, group_link): how many, and (n,) metres when laid out."""

    role: str
    number: int
    rate: float
    length_m: Floats | None


class Parts(NamedTuple):
    """A network to be priced: from a built topology, or from counts alone."""

    endpoints: int
    nics: int
    nic_power_w: float
    nic_rate: float
    switches: int
    radix: int
    port_rate: float
    cables: tuple[Cables, ...]


def parts_of(topology: Topology, lay_out: bool) -> Parts:
    """The parts of a built network; lengths only when asked."""
    near = far = None
    if lay_out:
        from netsim.cost.layout import cable_lengths_m

        near, far = cable_lengths_m(topology)
    ports, ups = topology.links(LinkKind.PORT_TX), topology.links(LinkKind.UP)
    rate = topology.nominal_bytes_per_s[ups.start : ups.stop]
    inside = _in_group(topology)
    cables = _by_rate("endpoint_link", topology.nominal_bytes_per_s[ports.start : ports.stop], near)
    cables += _by_rate("switch_link", rate[~inside], None if far is None else far[~inside])
    cables += _by_rate("group_link", rate[inside], None if far is None else far[inside])
    if not any(each.role == "switch_link" for each in cables):
        cables.append(Cables("switch_link", 0, topology.spec.switch.port_rate, np.zeros(0)))
    nics = topology.hosts * topology.hardware.nics_per_host
    nic, switch = topology.hardware.nic, topology.spec.switch
    return Parts(
        topology.endpoints, nics, nic.power, nic.line_rate, topology.switches, switch.radix, switch.port_rate,
        tuple(cables),
    )  # fmt: skip


def _in_group(topology: Topology) -> NDArray[np.bool_]:
    """Which cables between switches stay within a group of a Dragonfly, (switch_links,)."""
    ups, pod = topology.links(LinkKind.UP), topology.node_pod
    if topology.family != "dragonfly":
        return np.zeros(len(ups), dtype=bool)
    same = pod[topology.link_src[ups.start : ups.stop]] == pod[topology.link_dst[ups.start : ups.stop]]
    return np.asarray(same, dtype=np.bool_)


def _by_rate(role: str, rate: Floats, length_m: Floats | None) -> list[Cables]:
    """Cables of one role, a row for each speed."""
    rows = []
    for each in np.unique(rate).tolist():
        mine = rate == each
        rows.append(Cables(role, int(mine.sum()), each, None if length_m is None else length_m[mine]))
    return rows


def bill(topology: Topology, prices: PriceBook) -> list[Line]:
    """Every part of the network, counted and priced."""
    return bill_of(parts_of(topology, lay_out=bool(prices.cables)), prices)


def bill_of(parts: Parts, prices: PriceBook) -> list[Line]:
    """Every part, priced."""
    capacity = parts.radix * parts.port_rate / (prices.switch.ports * prices.switch.port_rate)
    lines = [_line("switch", parts.switches, prices.switch, capacity, prices.switch.power)]
    for cables in sorted(parts.cables, key=lambda c: c.role, reverse=True):
        scale = cables.rate / prices.switch.port_rate
        if prices.cables:
            lines += _by_length(cables, prices, scale)
        else:
            part: CablePartSpec = getattr(prices, cables.role)
            lines.append(_line(cables.role, cables.number, part, scale, part.power))
    scale = parts.nic_rate / prices.nic.rate
    nic = _line("nic", parts.nics, prices.nic, scale, parts.nic_power_w / scale, rated=prices.nic.price > 0)
    lines.append(nic)
    return lines


def _line(part: str, count: int, spec: PartSpec, scale: float, power_w: float, rated: bool = True) -> Line:
    """A part of the book at another rate: everything in proportion, and said so."""
    status, source = spec.status, spec.source
    if scale != 1.0 and rated:
        status, source = "assumption", f"{scale:g} times the port capacity of the book's; {source}"
    low = spec.price if spec.low is None else spec.low
    high = spec.price if spec.high is None else spec.high
    return Line(part, count, spec.price * scale, low * scale, high * scale, power_w * scale, status, source)


def _by_length(cables: Cables, prices: PriceBook, scale: float) -> list[Line]:
    """A line for each class of cable that is used, and for the optics at its ends.

    Raises SpecError when no class reaches.
    """
    assert cables.length_m is not None
    reach = np.array([each.reach_m for each in prices.cables])
    index = np.searchsorted(reach, cables.length_m - 1e-9)
    if index.size and index.max() == reach.size:
        rule = f"the longest class reaches {reach[-1]:g} m, a cable needs {cables.length_m.max():.0f} m"
        raise SpecError(prices.name, "cables", len(reach), rule)
    lines = []
    for number in np.unique(index).tolist():
        kind, mine = prices.cables[number], cables.length_m[index == number]
        metres = kind.usd_per_metre * float(mine.mean())
        line = _line(f"{cables.role} {kind.name}", mine.size, kind, scale, 0.0)
        lines.append(_dearer(line, metres * scale))
        if kind.optic is not None:
            optic = prices.optics[kind.optic]
            lines.append(_line(f"{cables.role} optic {kind.optic}", 2 * mine.size, optic, scale, optic.power))
    return lines


def _dearer(line: Line, usd: float) -> Line:
    return Line(
        line.part, line.count, line.unit_usd + usd, line.low_usd + usd, line.high_usd + usd,
        line.unit_power_w, line.status, line.source,
    )  # fmt: skip


def network_cost(topology: Topology, prices: PriceBook) -> dict[str, Any]:
    """The `cost` part of a result: totals in dollars and kilowatts, and the lines they are made of."""
    found = totals(bill(topology, prices), topology.endpoints, prices)
    return found | {"usd_per_gpu": found["network_usd"] / topology.gpus}


def totals(lines: list[Line], endpoints: int, prices: PriceBook) -> dict[str, Any]:
    """Sums over a bill."""
    usd = dict.fromkeys(("switch", "cable", "nic"), 0.0)
    for line in lines:
        usd[line.part if line.part in usd else "cable"] += line.usd
    total = sum(line.usd for line in lines)
    return {
        "price_book": prices.name,
        "price_date": prices.date,
        "status": "calibrated" if all(line.status == "calibrated" for line in lines) else "assumption",
        "network_usd": total,
        "network_usd_low": sum(line.count * line.low_usd for line in lines),
        "network_usd_high": sum(line.count * line.high_usd for line in lines),
        "usd_per_endpoint": total / endpoints,
        "switch_usd": usd["switch"],
        "cable_usd": usd["cable"],
        "nic_usd": usd["nic"],
        "power_kw": sum(line.power_kw for line in lines),
        "leaves_out": left_out(lines),
        "lines": [line.record() for line in lines],
    }


#: what no book prices
_NEVER = "hosts, GPUs, racks, spares, labour and cooling"
_WORDS = {"nic": "NICs", "endpoint_link": "cables between NICs and switches", "switch_link": "cables between switches",
          "group_link": "cables within groups", "switch": "switches"}  # fmt: skip


def left_out(lines: list[Line]) -> str:
    """What a total does not hold: parts that the book prices at nothing, then what no bill holds.

    >>> left_out([Line("nic", 8, 0.0, 0.0, 0.0, 25.0, "calibrated", "")])
    'NICs (0 $ in this book); hosts, GPUs, racks, spares, labour and cooling'
    """
    free = [_WORDS.get(line.part, line.part) for line in lines if line.count and not line.unit_usd]
    return f"{' and '.join(dict.fromkeys(free))} (0 $ in this book); {_NEVER}" if free else _NEVER
