"""What a network costs and draws: a bill of materials times a price book.

Counted: switches, cables between switches, cables from NIC to switch, NICs. Left out: hosts, GPUs, their
NVSwitches, racks, spares, labour, cooling, and the length of a cable. The `published` book reproduces table 3
of arXiv 2505.09343; its split between parts is a fit, and other splits fit as well, so a total is calibrated
and a part of it is a guess. A switch of another size than the book's is priced by its port capacity, and the
line says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from netsim.specs.prices import PriceBook
from netsim.topologies import Topology


@dataclass(frozen=True)
class Line:
    """One part of the bill: how many, what each costs and draws, and where the price comes from."""

    part: str
    count: int
    unit_usd: float
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


def bill(topology: Topology, prices: PriceBook) -> list[Line]:
    """Every part of the network, counted and priced."""
    link, endpoint, nic = prices.switch_link, prices.endpoint_link, prices.nic
    nics = topology.hosts * topology.hardware.nics_per_host
    return [
        _switches(topology, prices),
        Line("switch_link", topology.switch_links, link.price, link.power, link.status, link.source),
        Line(
            "endpoint_link",
            topology.endpoints,
            endpoint.price,
            endpoint.power,
            endpoint.status,
            endpoint.source,
        ),
        Line("nic", nics, nic.price, topology.hardware.nic.power, nic.status, nic.source),
    ]


def _switches(topology: Topology, prices: PriceBook) -> Line:
    part, built = prices.switch, topology.spec.switch
    scale = (built.radix * built.port_rate) / (part.ports * part.port_rate)
    status, source = part.status, part.source
    if scale != 1.0:
        status, source = "assumption", f"{scale:g} times the port capacity of the book's switch; {source}"
    return Line("switch", topology.switches, part.price * scale, part.power * scale, status, source)


def network_cost(topology: Topology, prices: PriceBook) -> dict[str, Any]:
    """The `cost` part of a result: totals in dollars and kilowatts, and the lines they are made of."""
    lines = bill(topology, prices)
    usd = {line.part: line.usd for line in lines}
    total = sum(usd.values())
    return {
        "price_book": prices.name,
        "price_date": prices.date,
        "status": "calibrated" if all(line.status == "calibrated" for line in lines) else "assumption",
        "network_usd": total,
        "usd_per_endpoint": total / topology.endpoints,
        "switch_usd": usd["switch"],
        "cable_usd": usd["switch_link"] + usd["endpoint_link"],
        "nic_usd": usd["nic"],
        "power_kw": sum(line.power_kw for line in lines),
        "lines": [line.record() for line in lines],
    }
