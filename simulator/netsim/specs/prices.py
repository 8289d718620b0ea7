"""The spec of a price book: what each part costs and draws, with a date and a source per part."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netsim.specs.base import Preset, Strict
from netsim.units import Dollars, Rate, Watts

#: how sure a number is: printed by somebody, fitted to what somebody printed, or our own guess
Status = Literal["published", "calibrated", "assumption"]


class PartSpec(Strict):
    """One kind of part."""

    price: Dollars
    status: Status
    source: Annotated[str, Field(min_length=1)]


class SwitchPartSpec(PartSpec):
    """A switch of a size; another size is priced by its port capacity."""

    ports: Annotated[int, Field(ge=1)]
    port_rate: Rate
    power: Watts


class CablePartSpec(PartSpec):
    """A cable with what ends it; power is that of both ends."""

    power: Watts


class PriceBook(Preset):
    """A price book preset. `group_link`: cables in a Dragonfly group; NIC power is the host preset's."""

    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    switch: SwitchPartSpec
    switch_link: CablePartSpec
    group_link: CablePartSpec
    endpoint_link: CablePartSpec
    nic: PartSpec
