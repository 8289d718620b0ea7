"""The spec of a GPU's power limit: what kernels of a kind draw, and how fast they may run.

Energies are of the chip at `reference` of the SM clock that the driver reports; `netsim.compute.power` has the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from netsim.specs.base import Strict
from netsim.units import Hertz, Watts

Group = Literal["bf16", "fp8", "attention_fwd", "attention_bwd", "memory", "vector"]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Energy = Annotated[float, Field(ge=0.0, le=1e4, allow_inf_nan=False)]


class DrawSpec(Strict):
    """What kernels of a group draw beside the static power."""

    per_flop_pJ: Energy = 0.0
    """Picojoules an operation, caches included."""
    per_byte_pJ: Energy = 0.0
    """Picojoules a byte of HBM; for kernels without products."""
    active: Watts = 0.0
    """While it runs, at the reference clock, whatever it computes."""
    rested_clock: Hertz | None = None
    """Clock inside the kernels on a GPU that has rested: the fast limit on their current."""


class PowerSpec(Strict):
    """Power of a GPU under load; the cap is that of the hardware."""

    static: Watts
    """Drawn whatever runs, pauses included."""
    reference: Hertz
    """Reported SM clock that the energies are of."""
    voltage_slope: Annotated[float, Field(ge=0.0, le=2.0)]
    """Relative change of voltage over relative change of clock."""
    inside: Share
    """Clock inside kernels of the tensor cores over the reported one."""
    pause: Annotated[float, Field(ge=0.0, le=1.0)]
    """How much the limit looks at busy time alone, where pauses of some milliseconds come between."""
    groups: Mapping[Group, DrawSpec]
    """By kind of kernel."""
    source: str
    """How it was measured and fitted."""

    @model_validator(mode="after")
    def _whole(self) -> PowerSpec:
        if missing := {"bf16", "attention_fwd", "attention_bwd", "memory"} - set(self.groups):
            raise ValueError(f"groups.{min(missing)} is missing")
        return self
