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
    """The GPU as its vendor calls it; nothing is computed from it."""
    sms: Count
    """Streaming multiprocessors."""
    boost_clock: Hertz
    """SM clock at which the peaks hold; documentation, the peaks are what counts."""
    bf16_peak: FlopRate
    """Dense BF16 peak."""
    fp8_peak: FlopRate | None = None
    """Dense FP8 peak, where the GPU has FP8."""
    fp4_peak: FlopRate | None = None
    """Dense FP4 peak; a GPU without one has no MXFP8 either, since both came with scales in the tensor cores."""
    hbm: Bytes
    """Memory of a GPU."""
    hbm_rate: Rate
    """Memory rate."""
    power: Watts
    """Power of a GPU; documentation, the network bill leaves GPUs out."""


class ScaleUpSpec(Strict):
    """The scale-up domain of a host: rate per GPU and direction, nominal and as achieved by kernels."""

    rate: Rate
    """Nominal rate of a GPU, each direction; bounds of inference use it, a training step does not."""
    achieved_rate: Rate
    """Rate that kernels reach: what transfers get."""
    latency: Seconds
    """Latency of a small message between GPUs of a host."""
    size: Count | None = None
    """GPUs that the domain holds, where a job uses fewer; documentation, idle ones cost no network."""
    c2c_rate: Rate | None = None
    """Between a GPU and its CPU, each direction; documentation, nothing is offloaded."""
    multicast: bool = False
    """Whether the switch of the host adds up what GPUs send and multicasts it (NVLink SHARP)."""


class PcieSpec(Strict):
    """GPU to NIC, per direction."""

    rate: Rate
    """Nominal rate between GPU and NIC, each direction; bounds of inference use it, a step does not."""
    achieved_rate: Rate
    """Rate that transfers reach: what they get."""


class NicSpec(Strict):
    """One NIC: line rate, the fraction of it that large messages achieve, and its power."""

    line_rate: Rate
    """Rate of a NIC, each direction."""
    goodput_fraction: Fraction
    """Share of the line rate that large messages reach."""
    power: Watts
    """Power of a NIC, for the bill."""


class HardwareSpec(Preset):
    """A host preset."""

    gpus_per_host: Count
    """GPUs of a host: what a job uses of one scale-up domain (a rack, for NVL72)."""
    nics_per_host: Count
    """NICs of a host; must divide its GPUs."""
    gpus_per_tray: Count | None = None
    """GPUs of a tray, where a domain spans several; must divide the host's; documentation."""
    gpu: GpuSpec
    """The GPU."""
    scale_up: ScaleUpSpec
    """The scale-up fabric of a host."""
    pcie: PcieSpec
    """Between GPU and NIC."""
    nic: NicSpec
    """The NIC."""

    @model_validator(mode="after")
    def _parts_divide(self) -> HardwareSpec:
        if self.gpus_per_tray and self.gpus_per_host % self.gpus_per_tray:
            raise ValueError(
                f"gpus_per_tray = {self.gpus_per_tray}, must divide gpus_per_host = {self.gpus_per_host}"
            )
        if self.scale_up.size and self.scale_up.size < self.gpus_per_host:
            raise ValueError(
                f"scale_up.size = {self.scale_up.size}, must hold gpus_per_host = {self.gpus_per_host}"
            )
        if self.gpus_per_host % self.nics_per_host and self.nics_per_host % self.gpus_per_host:
            rule = f"must divide gpus_per_host = {self.gpus_per_host}, or be a multiple of it"
            raise ValueError(f"nics_per_host = {self.nics_per_host}, {rule}")
        return self

    @property
    def nics_per_gpu(self) -> int:
        """NICs that work as one for a GPU; 1 where several GPUs share one."""
        return max(1, self.nics_per_host // self.gpus_per_host)


def part_of_host(hardware: HardwareSpec, gpus: int) -> HardwareSpec:
    """The host of a job that uses `gpus` of a single host, with its share of the NICs; a whole host else.

    >>> from netsim.specs import load
    >>> host = load(HardwareSpec, "hardware", "h200")
    >>> [(h.gpus_per_host, h.nics_per_host) for h in (part_of_host(host, n) for n in (1, 2, 8, 64, 3))]
    [(1, 1), (2, 2), (8, 8), (8, 8), (8, 8)]
    """
    whole = hardware.gpus_per_host
    if not 0 < gpus < whole or whole % gpus:
        return hardware
    nics = max(1, hardware.nics_per_host * gpus // whole)
    return hardware.model_copy(update={"gpus_per_host": gpus, "nics_per_host": nics})
