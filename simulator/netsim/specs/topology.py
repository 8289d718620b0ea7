"""The spec of a fabric: family, switches, tiers, planes, latency and default routing."""

from __future__ import annotations

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
    port_rate: Rate

    @field_validator("radix")
    @classmethod
    def _even(cls, radix: int) -> int:
        if radix % 2:
            raise ValueError("must be even: half of the ports face down")
        return radix


class LatencySpec(Strict):
    """Idle latency of a small message: endpoint overhead, once, plus one hop per switch crossed."""

    endpoint: Seconds
    switch_hop: Seconds


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class SlimFlySpec(Strict):
    """Widths of a Slim Fly: the q of its graph; without it the smallest network that holds the hosts."""

    q: Annotated[int, Field(ge=3)] | None = None


class DragonflySpec(Strict):
    """Widths of a Dragonfly: endpoints and cables to other groups of a switch, switches of a group."""

    endpoints: Count = 16
    switches: Count = 32
    global_cables: Count = 16


class TorusSpec(Strict):
    """Widths of a torus: endpoints of a switch, parallel cables to each neighbour, and its sides.

    Without sides, as many dimensions of as equal sides as the hosts need, none longer than `longest`.
    """

    endpoints: Count = 16
    cables: Count = 8
    dimensions: Annotated[int, Field(ge=1, le=5)] = 3
    longest: Annotated[int, Field(ge=2)] = 16
    sides: Annotated[tuple[Count, ...], BeforeValidator(_as_tuple)] = ()


class CustomSpec(Strict):
    """A fabric that somebody owns: the CSV of its cables (`netsim.topologies.edge_list`)."""

    edges: str = ""


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
    recompute: Seconds = 5.0
    forwarding: bool = True


class TopologySpec(Preset):
    """A fabric preset. `planes` disjoint fabrics of `tiers` switch tiers; `oversubscription` per tier below the top.

    The tables slim_fly, dragonfly, torus and custom are for the family of their name.
    """

    family: str
    planes: Annotated[int, Field(ge=1, le=256)] = 1
    tiers: Annotated[int, Field(ge=1, le=3)] = 2
    oversubscription: tuple[Annotated[float, Field(ge=1.0, le=64.0)], ...] = (1.0,)
    routing: Routing = "adaptive"
    queue_pairs: Annotated[int, Field(ge=1, le=256)] = 1
    switch: SwitchSpec
    latency: LatencySpec
    failover: FailoverSpec = FailoverSpec()
    slim_fly: SlimFlySpec = SlimFlySpec()
    dragonfly: DragonflySpec = DragonflySpec()
    torus: TorusSpec = TorusSpec()
    custom: CustomSpec = CustomSpec()

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
