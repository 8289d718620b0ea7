"""Table 3 of "Insights into DeepSeek-V3" (arXiv 2505.09343): five networks, their parts and their price.

The trees are built and counted. Slim Fly (q = 28, which is no prime power: the graph does not exist) and Dragonfly
(g = 511, where 513 would be balanced) are counted by formula, as the paper must have done. Cost is calibrated: three
prices of the `published` book are fitted to these five totals, and other splits fit as well (see the book).
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.reports.cost import Cables, Parts, bill_of, parts_of
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.prices import PriceBook
from netsim.topologies import build, dragonfly, slim_fly


class Column(NamedTuple):
    """One column of the table; `usd_per_endpoint` divides the rounded millions, as the paper does."""

    name: str
    endpoints: int
    switches: int
    links: int
    usd: float
    counted: str

    @property
    def musd(self) -> int:
        return round(self.usd / 1e6)

    @property
    def usd_per_endpoint(self) -> float:
        return self.musd * 1e6 / self.endpoints


#: endpoints of the three trees
TREES = {"FT2": ("ft2", 2048), "MPFT": ("mpft", 16384), "FT3": ("ft3", 65536)}


def table3() -> list[Column]:
    """The five columns, from the presets and the `published` price book."""
    hardware = load(HardwareSpec, "hardware", "h800")
    columns = []
    for name, (preset, gpus) in TREES.items():
        topology = build(load(TopologySpec, "topology", preset), hardware, gpus)
        columns.append(_column(name, parts_of(topology, lay_out=False), "built"))
    columns.append(_column("SF", slim_fly_parts(28), "by formula"))
    columns.append(_column("DF", dragonfly_parts(511, 32, 16, 16), "by formula"))
    return columns


def slim_fly_parts(q: int, radix: int = 64, rate: float = 50e9) -> Parts:
    """The parts of a full Slim Fly, by formula, also for a q without a graph."""
    endpoints, switches, links = slim_fly.counts(q)
    return _parts(endpoints, switches, radix, rate, {"switch_link": links})


def dragonfly_parts(groups: int, a: int, p: int, h: int, radix: int = 64, rate: float = 50e9) -> Parts:
    """The parts of a Dragonfly of whole groups, by formula."""
    endpoints, switches, inside, between = dragonfly.counts(groups, a, p, h)
    return _parts(endpoints, switches, radix, rate, {"switch_link": between, "group_link": inside})


def _parts(endpoints: int, switches: int, radix: int, rate: float, links: dict[str, int]) -> Parts:
    cables = [
        Cables(role, number, rate, None) for role, number in (links | {"endpoint_link": endpoints}).items()
    ]
    return Parts(endpoints, endpoints, 0.0, switches, radix, rate, tuple(cables))


def _column(name: str, parts: Parts, counted: str) -> Column:
    book = load(PriceBook, "prices", "published")
    links = sum(cables.number for cables in parts.cables if cables.role != "endpoint_link")
    usd = sum(line.usd for line in bill_of(parts, book))
    return Column(name, parts.endpoints, parts.switches, links, usd, counted)
