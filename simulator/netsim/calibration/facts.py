"""The facts of the GPU behind a trace: its name and SMs as the trace has them, the rest from what is known of it.

In order: a file given with --about; the shipped profile of that GPU; the hardware preset or data-sheet numbers that its
name stands for (`gpus.toml`). A GPU that none of them knows is refused, because an efficiency is a share of a peak.

Left out: clocks and power while the trace ran, which no trace records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from netsim.calibration.about import About, about_from, load_about
from netsim.calibration.kineto import Trace
from netsim.calibration.trace_events import shown
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, catalog, load
from netsim.specs.base import Strict, read_toml, validate
from netsim.specs.profile import ProfileSpec
from netsim.units import FlopRate, Hertz, Rate

GPUS = Path(__file__).parent / "gpus.toml"
CLOCK = "as the trace ran: under its own load, at a clock that no trace records"


class Gpu(Strict):
    """GPUs whose name matches: those of a hardware preset, or with numbers of their own."""

    pattern: str
    hardware: str | None = None
    bf16_peak: FlopRate | None = None
    fp8_peak: FlopRate | None = None
    hbm_rate: Rate | None = None
    peak_clock: Hertz | None = None

    @model_validator(mode="after")
    def _numbers(self) -> Gpu:
        own = (self.bf16_peak, self.fp8_peak, self.hbm_rate, self.peak_clock)
        if self.hardware is None and None in own:
            raise ValueError(f"{self.pattern}: needs hardware, or both peaks, hbm_rate and peak_clock")
        return self


class Gpus(Strict):
    """The file of them."""

    sources: Mapping[str, str] = Field(default_factory=dict)
    gpu: Annotated[tuple[Gpu, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


def base_profile(device: str, base: str | None) -> ProfileSpec:
    """The profile that lends what a trace does not hold: the named one, else that of the GPU, else h200's."""
    if base is not None:
        return load(ProfileSpec, "profile", base)
    shipped = [load(ProfileSpec, "profile", name) for name in catalog.names("profile")]
    same = [profile for profile in shipped if profile.device == device]
    return same[0] if same else next(profile for profile in shipped if profile.name == "h200")


def facts_of(trace: Trace, start: ProfileSpec, name: str, about: Path | None) -> About:
    """What is known of the trace's GPU.

    Raises NetsimError for a GPU of which no peaks are known.
    """
    if about is not None:
        return load_about(about)
    if trace.device == start.device:
        same = about_from(start, name, trace.device, trace.source)
        return same.model_copy(
            update={"sms": trace.sms or same.sms, "gemm_sms": trace.sms or same.sms, "clock": CLOCK}
        )
    known = validate(Gpus, read_toml(GPUS), GPUS.name)
    gpu = next((gpu for gpu in known.gpu if re.search(gpu.pattern, trace.device)), None)
    if gpu is None or trace.sms is None:
        lacks = "its SMs" if gpu is not None else "its peaks"
        raise NetsimError(
            f"{trace.source}: measured on {shown(trace.device)!r}, of which {lacks} are not known: give the facts of "
            "the device (sms, gemm_sms, bf16_peak, fp8_peak, hbm_rate, ...) with --about"
        )
    numbers, source = _numbers_of(gpu, known)
    return About.model_construct(
        **numbers,
        name=name,
        description=f"calibrated from {Path(trace.source).name}",
        sources={"facts": f"SMs of {trace.device} from the trace; peaks and memory rate: {source}"},
        device=trace.device,
        sms=trace.sms,
        gemm_sms=trace.sms,
        clock=CLOCK,
        mode="cool",
        overhead=0.0,
        transport_share=0.0,
        gap=start.gap,
        slowdown={},
        sustained=None,
    )


def hardware_of(device: str) -> str | None:
    """The hardware preset with the GPU that a driver calls so.

    >>> hardware_of("NVIDIA H100 80GB HBM3"), hardware_of("Riva TNT2")
    ('h100', None)
    """
    known = validate(Gpus, read_toml(GPUS), GPUS.name)
    return next((gpu.hardware for gpu in known.gpu if re.search(gpu.pattern, device)), None)


def _numbers_of(gpu: Gpu, known: Gpus) -> tuple[dict[str, Any], str]:
    """Peaks, memory rate and the clock of the peaks, and where they come from."""
    if gpu.hardware is None:
        keys = ("bf16_peak", "fp8_peak", "hbm_rate", "peak_clock")
        return {key: getattr(gpu, key) for key in keys}, known.sources["numbers"]
    card = load(HardwareSpec, "hardware", gpu.hardware).gpu
    numbers = {
        "bf16_peak": card.bf16_peak, "fp8_peak": card.fp8_peak or card.bf16_peak, "fp4_peak": card.fp4_peak,
        "hbm_rate": card.hbm_rate, "peak_clock": gpu.peak_clock or card.boost_clock,
    }  # fmt: skip
    return numbers, f"hardware preset {gpu.hardware}"


def at_clock_of(start: ProfileSpec, facts: About) -> ProfileSpec:
    """The profile that lends, with its classes measured at the same share of the peak clock of another GPU."""
    if not start.peak_clock or not facts.peak_clock or start.peak_clock == facts.peak_clock:
        return start
    ratio = facts.peak_clock / start.peak_clock
    classes = {
        kind: model.model_copy(update={"clock": model.clock * ratio}) if model.clock else model
        for kind, model in start.classes.items()
    }
    return start.model_copy(update={"classes": classes})
