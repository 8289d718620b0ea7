"""The spec of a fabric: family, switches, tiers, planes, latency and default routing."""

from __future__ import annotations

from math import comb, prod
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Rate, Seconds

#: valiant and ugal leave the shortest paths, on a dragonfly only
Routing = Literal["ecmp", "adaptive", "static", "valiant", "ugal"]
Count = Annotated[int, Field(ge=1)]


class SwitchSpec(Strict):
    """One model of switch, used on every tier."""

    radix: Annotated[int, Field(ge=4, le=4096)]
    """Ports of a switch, up and down together; even."""
    port_rate: Rate
    """Rate of a port, each direction."""

    @field_validator("radix")
    @classmethod
    def _even(cls, radix: int) -> int:
        if radix % 2:
            raise ValueError("must be even: half of the ports face down")
        return radix


class LatencySpec(Strict):
    """Idle latency of a small message: endpoint overhead, once, plus one hop per switch crossed."""

    endpoint: Seconds
    """Overhead of both ends of a small message, once a path."""
    switch_hop: Seconds
    """Added for each switch that a path crosses."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class SlimFlySpec(Strict):
    """Widths of a Slim Fly: the q of its graph; without it the smallest network that holds the hosts."""

    q: Annotated[int, Field(ge=3)] | None = None
    """The q of the McKay-Miller-Siran graph; left out: the smallest that holds the hosts."""


class DragonflySpec(Strict):
    """Widths of a Dragonfly: endpoints and cables to other groups of a switch, switches of a group."""

    endpoints: Count = 16
    """Endpoints of a switch."""
    switches: Count = 32
    """Switches of a group."""
    global_cables: Count = 16
    """Cables of a switch to other groups."""


_MOST_SWITCHES = 1 << 20
_MOST_GRIDS = 1_000_000


class TorusSpec(Strict):
    """Widths of a torus: endpoints of a switch, parallel cables to each neighbour, and its sides.

    Without sides, as many dimensions of as equal sides as the hosts need, none longer than `longest`.
    """

    endpoints: Count = 16
    """Endpoints of a switch."""
    cables: Count = 8
    """Parallel cables to each neighbour."""
    dimensions: Annotated[int, Field(ge=1, le=5)] = 3
    """Dimensions, where no sides are given."""
    longest: Annotated[int, Field(ge=2, le=4096)] = 16
    """Longest side, where no sides are given."""
    sides: Annotated[tuple[Count, ...], BeforeValidator(_as_tuple)] = ()
    """Switches along each dimension; left out: as equal as the hosts allow."""

    @model_validator(mode="after")
    def _can_be_made(self) -> TorusSpec:
        if prod(self.sides) > _MOST_SWITCHES:
            raise ValueError(f"sides = {list(self.sides)}: make more than {_MOST_SWITCHES:,} switches")
        if comb(self.longest + self.dimensions - 1, self.dimensions) > _MOST_GRIDS:
            rule = f"of {self.dimensions} dimensions leave more than {_MOST_GRIDS:,} grids to choose from"
            raise ValueError(f"longest = {self.longest}: sides up to this {rule}: give the sides")
        return self


class CustomSpec(Strict):
    """A fabric that somebody owns: the CSV of its cables (`netsim.topologies.edge_list`)."""

    edges: str = ""
    """CSV of the cables: source, target, rate, count (netsim.topologies.edge_list)."""


class FailoverSpec(Strict):
    """How a fabric reacts to what is down (`netsim.routing.detour`).

    detection : until switches (adaptive, ecmp) and hosts send around it; a flow on a dead path waits that long
    recompute : what a new table takes on top, under static routing
    forwarding : a host whose NIC, plane or leaf is lost sends through its other NICs, over scale-up

    Source of the defaults: Mellanox SHIELD, 2017: switches recover 5,000 times faster than the subnet manager, which
    takes 10 to 20 s on very large fabrics; here 1 ms and 5 s. That hosts notice as fast is an assumption: they do
    when the port goes down, and not before the RDMA retransmission time-outs (seconds) when it only loses packets.
    """

    detection: Seconds = 1e-3
    """Until switches and hosts send around a fault; a flow on a dead path waits so long."""
    recompute: Seconds = 5.0
    """What a new table takes on top, under static routing."""
    forwarding: bool = True
    """Whether a host without its NIC, plane or leaf sends through its other NICs."""


class TopologySpec(Preset):
    """A fabric preset. `planes` disjoint fabrics of `tiers` switch tiers; `oversubscription` per tier below the top.

    The tables slim_fly, dragonfly, torus and custom are for the family of their name.
    """

    family: str
    """How switches are wired: ft2, ft3, mpft, mrft, slim_fly, dragonfly, torus, custom, ..."""
    planes: Annotated[int, Field(ge=1, le=256)] = 1
    """Disjoint fabrics side by side; a NIC port belongs to exactly one."""
    tiers: Annotated[int, Field(ge=1, le=3)] = 2
    """Switch tiers of a plane: 2 leaf and spine, 3 with a core."""
    oversubscription: tuple[Annotated[float, Field(ge=1.0, le=64.0)], ...] = (1.0,)
    """Down over up capacity of each tier below the top, from the leaves up."""
    routing: Routing = "adaptive"
    """Paths of a flow: ecmp (hashed), adaptive (sprayed), static (by destination); valiant, ugal on a Dragonfly."""
    queue_pairs: Annotated[int, Field(ge=1, le=256)] = 1
    """Queue pairs that a transfer is split over, each hashed apart under ecmp."""
    switch: SwitchSpec
    """The one model of switch of all tiers."""
    latency: LatencySpec
    """Idle latency of a small message."""
    failover: FailoverSpec = FailoverSpec()
    """How the fabric reacts to what is down."""
    slim_fly: SlimFlySpec = SlimFlySpec()
    """Widths, for family slim_fly only."""
    dragonfly: DragonflySpec = DragonflySpec()
    """Widths, for family dragonfly only."""
    torus: TorusSpec = TorusSpec()
    """Widths, for family torus only."""
    custom: CustomSpec = CustomSpec()
    """Cables, for family custom only."""

    @model_validator(mode="after")
    def _tables(self) -> TopologySpec:
        for name, unused in OWN_TABLES.items():
            if name != self.family and getattr(self, name) != unused:
                raise ValueError(f"{name}: has no effect on family {self.family}")
        return self

    @field_validator("oversubscription", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        if isinstance(value, int | float):
            value = (value,)
        if isinstance(value, list | tuple):
            return tuple(float(item) if isinstance(item, int) else item for item in value)
        return value


#: tables that belong to one family, as they are when nobody has set them
OWN_TABLES: dict[str, Strict] = {
    "slim_fly": SlimFlySpec(),
    "dragonfly": DragonflySpec(),
    "torus": TorusSpec(),
    "custom": CustomSpec(),
}
