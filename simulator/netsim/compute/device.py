"""What bounds a kernel on a GPU, and how a time is carried from one GPU to another.

A model says how well a kernel uses its device: an efficiency of the tensor cores, of HBM, and times that are
a number of clock cycles. So a profile measured on one GPU answers for another of the same architecture by
asking the same model with the other's numbers:

    tensor cores   peak of an SM at the clock, number of SMs        (tiles are dealt to fewer or more SMs)
    HBM            bytes per second
    cycles         tile overheads and steps scale with 1 / clock
    launches       stay

Left out: sizes of caches, the power limit (give the clock that the other GPU holds), other instruction
sets: the transfer is for one architecture, such as H200 to H800.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.errors import NetsimError, SpecError
from netsim.specs.formats import FORMATS, format_of
from netsim.specs.hardware import HardwareSpec
from netsim.specs.profile import ProfileSpec


@dataclass(frozen=True)
class Device:
    """SI units; `gemm_sms` of the `sms` run matrix products; the peaks hold at `peak_clock_hz`."""

    sms: int
    gemm_sms: int
    bf16_flops_per_s: float
    fp8_flops_per_s: float | None
    hbm_bytes_per_s: float
    peak_clock_hz: float | None = None
    fp4_flops_per_s: float | None = None

    def peak(self, kind: str, clock_hz: float | None = None) -> float:
        """Operations per second of all SMs, in the precision of a kernel class, at a clock.

        Raises NetsimError for a clock where the one behind the peaks is not known, and for a format without a peak.
        """
        nominal = self._nominal(kind)
        if clock_hz is None:
            return nominal
        if self.peak_clock_hz is None:
            raise NetsimError(
                "an SM clock was asked for, and the profile does not say at which one its peaks hold"
            )
        return nominal * clock_hz / self.peak_clock_hz

    def _nominal(self, kind: str) -> float:
        peak = FORMATS[format_of(kind)].peak
        found = {"bf16": self.bf16_flops_per_s, "fp8": self.fp8_flops_per_s, "fp4": self.fp4_flops_per_s}[
            peak
        ]
        if found is None:
            raise NetsimError(f"kernel class {kind}: the GPU has no {peak.upper()} peak (gpu.{peak}_peak)")
        return found


def measured_device(profile: ProfileSpec) -> Device:
    """The GPU that a profile was measured on."""
    return Device(
        profile.sms,
        profile.gemm_sms,
        profile.bf16_peak,
        profile.fp8_peak,
        profile.hbm_rate,
        profile.peak_clock,
        profile.fp4_peak,
    )


def target_device(
    profile: ProfileSpec, hardware: HardwareSpec, communication_sms: int | None = None
) -> Device:
    """The GPU that is asked about, at the same clocks.

    communication_sms : SMs that matrix products leave to communication; None is the profile's share of the SMs

    Raises SpecError when communication would leave none.
    """
    gpu = hardware.gpu
    gemm_sms = max(1, round(gpu.sms * profile.gemm_sms / profile.sms))
    if communication_sms is not None:
        gemm_sms = gpu.sms - communication_sms
        if gemm_sms < 1:
            rule = f"must leave some of the {gpu.sms} SMs of {gpu.name} to compute"
            raise SpecError("workload", "communication.sms", communication_sms, rule)
    clock = profile.peak_clock
    return Device(gpu.sms, gemm_sms, gpu.bf16_peak, gpu.fp8_peak, gpu.hbm_rate, clock, gpu.fp4_peak)
