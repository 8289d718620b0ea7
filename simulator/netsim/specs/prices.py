"""The spec of a price book: what each part costs and draws, with a date and a source per part.

A book prices links in one of two ways: whole (`switch_link`, `group_link`, `endpoint_link`: a cable with what ends
it), or, when it has `cables`, by the length that a rack layout gives: the shortest class that reaches, and the
optic that the class needs at each end.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Dollars, Rate, Watts

#: how sure a number is: printed by somebody, fitted to what somebody printed, or our own guess
Status = Literal["published", "calibrated", "assumption"]


class PartSpec(Strict):
    """One kind of part: its price, and the range that offers span when it is known."""

    price: Dollars
    """Price of one."""
    low: Dollars | None = None
    """Lowest offer."""
    high: Dollars | None = None
    """Highest offer."""
    status: Status
    """How sure the price is."""
    source: Annotated[str, Field(min_length=1)]
    """Who says so."""

    @model_validator(mode="after")
    def _ordered(self) -> PartSpec:
        if not (self.low or 0.0) <= self.price <= (self.price if self.high is None else self.high):
            raise ValueError(f"low = {self.low}, price = {self.price}, high = {self.high}: must ascend")
        return self


class SwitchPartSpec(PartSpec):
    """A switch of a size; another size is priced by its port capacity."""

    ports: Annotated[int, Field(ge=1)]
    """Ports of the priced switch; others are priced by port capacity."""
    port_rate: Rate
    """Rate of its ports."""
    power: Watts
    """Power of the priced switch."""


class CablePartSpec(PartSpec):
    """A cable with what ends it; power is that of both ends."""

    power: Watts
    """Power of both ends."""


class OpticSpec(PartSpec):
    """A transceiver, one end of a cable, at the port rate of the book's switch."""

    power: Watts
    """Power of a transceiver."""


class NicPartSpec(PartSpec):
    """A NIC of a rate; another rate is priced in proportion."""

    rate: Rate = 50e9
    """Line rate of the priced NIC, all ports together."""


class CableClassSpec(PartSpec):
    """Cables up to a reach: a price each and a metre, and the optic at each end (none for copper)."""

    name: str
    """Name of the class on the bill."""
    reach_m: Annotated[float, Field(gt=0.0)]
    """Longest cable of the class, in metres."""
    usd_per_metre: Annotated[float, Field(ge=0.0)] = 0.0
    """Price of a metre, in dollars."""
    optic: str | None = None
    """Transceiver at each end, by its name under optics; left out: none."""


class RunningSpec(Strict):
    """What keeping a network running costs."""

    usd_per_kwh: Annotated[float, Field(gt=0.0, le=10.0)] = 0.10
    """Price of a kilowatt hour, in dollars; years of ownership (netsim topology), not a run."""
    pue: Annotated[float, Field(ge=1.0, le=3.0)] = 1.3
    """Watts drawn for each watt used; as usd_per_kwh."""
    upkeep_per_year: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Support a year, as a share of the purchase; as usd_per_kwh."""
    source: str = (
        "assumption: 0.10 $/kWh, 1.3 watts drawn for each watt used, 5 % of capex a year for support"
    )
    """Who says so."""


class GpuHourSpec(Strict):
    """What an hour of a GPU costs to rent, host and network included; for the cost of training."""

    price: Dollars = 2.0
    """Rent of a GPU for an hour."""
    date: str = "2024-12-27"
    """Day of the price."""
    source: str = (
        "DeepSeek-V3 technical report, arXiv 2412.19437, table 1: an H800 assumed to rent at 2 $ an hour"
    )
    """Who says so."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class PriceBook(Preset):
    """A price book preset. `group_link`: cables in a Dragonfly group; NIC power is the host preset's."""

    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """Day of the prices, YYYY-MM-DD."""
    switch: SwitchPartSpec
    """A switch without optics."""
    switch_link: CablePartSpec
    """A cable between switches with its ends."""
    group_link: CablePartSpec
    """The same inside a Dragonfly group; other families have none."""
    endpoint_link: CablePartSpec
    """A cable between NIC and switch with its ends."""
    nic: NicPartSpec
    """A NIC."""
    cables: Annotated[tuple[CableClassSpec, ...], BeforeValidator(_as_tuple)] = ()
    """Classes of cables by reach; given, links are priced by length."""
    optics: dict[str, OpticSpec] = Field(default_factory=dict)
    """Transceivers by name."""
    running: RunningSpec = RunningSpec()
    """What running costs."""
    gpu_hour: GpuHourSpec = GpuHourSpec()
    """What an hour of a GPU costs."""

    @model_validator(mode="after")
    def _classes(self) -> PriceBook:
        reach = [cable.reach_m for cable in self.cables]
        if reach != sorted(reach):
            raise ValueError("cables: must be in order of their reach")
        for cable in self.cables:
            if cable.optic is not None and cable.optic not in self.optics:
                raise ValueError(f"cables: {cable.name} ends in {cable.optic!r}, which optics does not list")
        return self
