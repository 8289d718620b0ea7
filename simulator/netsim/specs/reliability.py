"""The spec of a reliability table: how often each kind of part fails, how long until it is back, and who says so.

A part that a table leaves out never fails. Rates are constant in time (no infant mortality, no wear): the time to the
next failure of a part is exponential with mean `mtbf`. `software` counts per GPU of a job: bugs, time-outs and what
else stops a job without a broken part.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netsim.specs.base import Preset, Strict
from netsim.specs.prices import Status
from netsim.units import Seconds


class PartReliability(Strict):
    """One kind of part: mean time between failures of one such part, and mean time until a failed one is back."""

    mtbf: Annotated[Seconds, Field(gt=0.0)]
    """Mean time between failures of one part."""
    repair: Seconds
    """Mean time until a failed part is back."""
    status: Status
    """How sure it is."""
    source: Annotated[str, Field(min_length=1)]
    """Who says so."""


class ReliabilitySpec(Preset):
    """A reliability preset. `host`: all of a host but its GPUs and NICs; `cable`: one cable with both its ends."""

    gpu: PartReliability | None = None
    """A GPU."""
    scale_up: PartReliability | None = None
    """The scale-up fabric of a host."""
    host: PartReliability | None = None
    """A host without its GPUs and NICs."""
    nic: PartReliability | None = None
    """A NIC."""
    cable: PartReliability | None = None
    """A cable with both its ends."""
    switch: PartReliability | None = None
    """A switch."""
    software: PartReliability | None = None
    """What stops a job without a broken part, per GPU."""

    def parts(self) -> dict[str, PartReliability]:
        """The kinds of part that fail, by name."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None}


PARTS = ("gpu", "scale_up", "host", "nic", "cable", "switch", "software")
