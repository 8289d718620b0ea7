"""The spec of a host: GPUs, scale-up, PCIe, NICs, and what each of them achieves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Bytes, FlopRate, Hertz, Rate, Seconds, Watts

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class GpuSpec(Strict):
    """One GPU: compute peaks (dense), memory, and the clock at which the peaks hold."""

    name: str
    sms: Count
    boost_clock: Hertz
    bf16_peak: FlopRate
    fp8_peak: FlopRate
    hbm: Bytes
    hbm_rate: Rate
    power: Watts


class ScaleUpSpec(Strict):
    """The scale-up domain of a host: rate per GPU and direction, nominal and as achieved by kernels."""

    rate: Rate
    achieved_rate: Rate
    latency: Seconds


class PcieSpec(Strict):
    """GPU to NIC, per direction."""

    rate: Rate
    achieved_rate: Rate


class NicSpec(Strict):
    """One NIC: line rate, the fraction of it that large messages achieve, and its power."""

    line_rate: Rate
    goodput_fraction: Fraction
    power: Watts


class HardwareSpec(Preset):
    """A host preset."""

    gpus_per_host: Count
    nics_per_host: Count
    gpu: GpuSpec
    scale_up: ScaleUpSpec
    pcie: PcieSpec
    nic: NicSpec

    @model_validator(mode="after")
    def _nics_divide(self) -> HardwareSpec:
        if self.gpus_per_host % self.nics_per_host:
            raise ValueError(
                f"nics_per_host = {self.nics_per_host}, must divide gpus_per_host = {self.gpus_per_host}"
            )
        return self
