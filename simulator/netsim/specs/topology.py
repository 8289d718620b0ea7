"""The spec of a fabric: family, switches, tiers, planes, latency and default routing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Rate, Seconds

Routing = Literal["ecmp", "adaptive", "static"]


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


class TopologySpec(Preset):
    """A fabric preset. `planes` disjoint fabrics of `tiers` switch tiers; `oversubscription` per tier below the top."""

    family: str
    planes: Annotated[int, Field(ge=1, le=256)] = 1
    tiers: Annotated[int, Field(ge=1, le=3)] = 2
    oversubscription: tuple[Annotated[float, Field(ge=1.0, le=64.0)], ...] = (1.0,)
    routing: Routing = "adaptive"
    queue_pairs: Annotated[int, Field(ge=1, le=256)] = 1
    switch: SwitchSpec
    latency: LatencySpec

    @field_validator("oversubscription", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        if isinstance(value, int | float):
            value = (value,)
        if isinstance(value, list | tuple):
            return tuple(float(item) if isinstance(item, int) else item for item in value)
        return value
