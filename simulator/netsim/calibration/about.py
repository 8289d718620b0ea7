"""What a calibration must be told that its input does not hold: the device, the protocol, the transfers beside.

A TOML beside a kernel table or trace; without one, the base profile's numbers are taken, and its device must be
that of the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from netsim.errors import NetsimError
from netsim.specs.base import Preset, read_toml, validate
from netsim.specs.hardware import Count
from netsim.specs.profile import ProfileSpec, Share, Sustained
from netsim.units import FlopRate, Hertz, Rate, Seconds


class About(Preset):
    """Facts of a measured device. `overhead` is what timing adds to each row of a table; `slowdown` by class
    is what a transfer beside a kernel adds, where it was measured; `sustained` what layers take longer at the power
    limit, which depends on how the input was measured, and so is never that of a base profile."""

    device: str
    sms: Count
    gemm_sms: Count
    bf16_peak: FlopRate
    fp8_peak: FlopRate
    fp4_peak: FlopRate | None = None
    hbm_rate: Rate
    peak_clock: Hertz | None = None
    clock: str
    mode: str = "cool"
    overhead: Seconds = 0.0
    transport_share: Share
    gap: Seconds
    slowdown: Mapping[str, float] = Field(default_factory=dict)
    sustained: Sustained | None = None


def load_about(path: Path) -> About:
    """The facts in a file."""
    if not path.is_file():
        raise NetsimError(f"{path}: no such file of facts")
    return validate(About, read_toml(path), str(path))


def about_from(base: ProfileSpec, name: str, device: str, source: str) -> About:
    """The facts of a base profile, for an input of the same device.

    Raises NetsimError when the input is of another one.
    """
    if device and device != "unknown GPU" and device != base.device:
        raise NetsimError(
            f"{source}: measured on {device}, and base profile {base.name} is of {base.device}: "
            "give the facts of the device with --about"
        )
    return About.model_construct(
        name=name,
        description=f"calibrated from {Path(source).name}",
        sources={"facts": f"base profile {base.name}"},
        device=base.device,
        sms=base.sms,
        gemm_sms=base.gemm_sms,
        bf16_peak=base.bf16_peak,
        fp8_peak=base.fp8_peak,
        fp4_peak=base.fp4_peak,
        hbm_rate=base.hbm_rate,
        peak_clock=base.peak_clock,
        clock=base.clock,
        mode="cool",
        overhead=0.0,
        transport_share=base.transport_share,
        gap=base.gap,
        slowdown={},
        sustained=None,
    )
