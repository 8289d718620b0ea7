"""The parameters of a class model from samples: a fit, its cross-validation, and a constant-efficiency
roofline beside it.

A sample is an operator and the time it took, with a transfer resident for a share of it and, where it was
read, at an SM clock. What may be fitted depends on how many samples there are: a class keeps the parameters of
its starting model that they cannot tell apart. Efficiencies stay between 0 and 1, times above 0, so a fitted
model never beats the peaks.

Left out: uncertainty of the parameters (errors on rows held out say more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from netsim.calibration.least_squares import Vector, minimise
from netsim.compute.roofline import AXES, Device, estimate
from netsim.specs.formats import role_of
from netsim.specs.profile import ClassModel
from netsim.workloads.operators import Operator

#: parameters between 0 and 1; the others are times or ratios above 0
FRACTIONS = ("efficiency", "hbm_efficiency")
#: starting values of parameters that a starting model leaves at zero
STARTS = {"tile_overhead": 1e-6, "step": 5e-8, "uneven": 0.1, "tail": 0.5, "passes": 1.0, "value": 1e-10, "row": 1e-8,
          "call": 2e-6, "call_beside": 8e-6, "slowdown": 0.1}  # fmt: skip
#: class -> what its samples may determine, most telling first
FREE: dict[str, tuple[str, ...]] = {
    "gemm_fp8": ("efficiency", "tile_overhead", "hbm_efficiency", "call", "step", "uneven"),
    "grouped_gemm_fp8": ("efficiency", "tile_overhead", "hbm_efficiency", "call", "step", "uneven"),
    "wgrad_fp8": ("efficiency", "tile_overhead", "call", "hbm_efficiency", "step"),
    "grouped_wgrad_fp8": ("efficiency", "tile_overhead"),
    "gemm_bf16": ("efficiency", "tile_overhead", "hbm_efficiency", "call"),
    "attention_fwd": ("efficiency", "tail", "tile_overhead"),
    "attention_bwd": ("efficiency", "tail", "passes", "tile_overhead"),
    "norm": ("hbm_efficiency", "value", "call"),
    "index": ("row", "call"),
    "small": ("call", "call_beside"),
    "strided": ("value", "hbm_efficiency", "call"),
}
STREAMING: tuple[str, ...] = ("hbm_efficiency", "call")
#: samples needed for each parameter beyond the first
EACH = 2
#: classes whose samples come from two contexts, alone and beside a transfer, which tell parameters apart
APART = ("norm", "small")


@dataclass(frozen=True)
class Sample:
    """An operator and the seconds of all its calls; `share` of it beside a transfer, at an SM clock."""

    op: Operator
    seconds: float
    share: float = 0.0
    clock_hz: float | None = None
    name: str = ""
    held_out: bool = False


class Spread(NamedTuple):
    """Errors over a set of samples, as fractions."""

    samples: int
    median: float
    p90: float
    worst: float


def predict(samples: Sequence[Sample], model: ClassModel, device: Device) -> Vector:
    """Seconds of each sample by a model, at its own clock."""
    return np.array([estimate(s.op, model, device, s.share, s.clock_hz).seconds for s in samples])


def errors(samples: Sequence[Sample], model: ClassModel, device: Device) -> Vector:
    """Predicted over measured less one."""
    measured = np.array([s.seconds for s in samples], dtype=np.float64)
    return np.asarray(predict(samples, model, device) / measured - 1.0, dtype=np.float64)


def spread(relative: Vector) -> Spread:
    """Median, 90th percentile and worst of absolute errors.

    >>> spread(np.array([0.01, -0.02, 0.03])).median
    0.02
    """
    if not len(relative):
        return Spread(0, math.nan, math.nan, math.nan)
    size = np.abs(relative)
    return Spread(len(size), float(np.median(size)), float(np.percentile(size, 90)), float(size.max()))


def free_parameters(kind: str, model: ClassModel, count: int) -> tuple[str, ...]:
    """What `count` samples of a class can determine."""
    role = role_of(kind)
    names = FREE.get(kind) or FREE.get(role if role.startswith("attention") else f"{role}_fp8", STREAMING)
    idle = {"step": len(model.tiles) < 2, "value": kind == "norm" and not model.persistent}
    usable = [name for name in names if not idle.get(name)]
    each = 1 if kind in APART else EACH
    return tuple(usable[: max(1, 1 + (count - 1) // each)]) if count else ()


def fit(samples: Sequence[Sample], start: ClassModel, device: Device, free: Sequence[str]) -> ClassModel:
    """The starting model with its free parameters fitted to samples."""
    if not samples or not free:
        return start
    measured = np.log([s.seconds for s in samples])

    def residuals(values: Vector) -> Vector:
        return np.log(np.maximum(predict(samples, _with(start, free, values), device), 1e-12)) - measured

    began = np.array([_inward(name, getattr(start, name)) for name in free])
    return _with(start, free, minimise(residuals, began))


def _inward(name: str, value: float | None) -> float:
    if name in FRACTIONS:
        value = min(max(value or 0.8, 0.02), 0.98)
        return math.log(value / (1.0 - value))
    return math.log(value or STARTS[name])


def _with(start: ClassModel, free: Sequence[str], values: Vector) -> ClassModel:
    found = {name: _outward(name, float(value)) for name, value in zip(free, values, strict=True)}
    if "call_beside" in found:
        found["call_beside"] = max(found["call_beside"], found.get("call", start.call))
    return start.model_copy(update=found)


def _outward(name: str, value: float) -> float:
    value = min(max(value, -60.0), 30.0)
    return 1.0 / (1.0 + math.exp(-value)) if name in FRACTIONS else math.exp(value)


def cross_validate(
    samples: Sequence[Sample],
    start: ClassModel,
    device: Device,
    free: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> Vector:
    """Error of each sample by a model fitted without the fold it is in."""
    fold = np.random.default_rng(seed).permutation(len(samples)) % folds
    found = np.zeros(len(samples))
    for number in range(folds):
        inside = [s for s, f in zip(samples, fold, strict=True) if f != number]
        outside = [s for s, f in zip(samples, fold, strict=True) if f == number]
        if outside:
            found[fold == number] = errors(outside, fit(inside, start, device, free), device)
    return found


def constant_efficiency(samples: Sequence[Sample], device: Device) -> ClassModel:
    """A roofline with one efficiency of each peak and the time of a launch, fitted to the same samples."""
    clock = next((s.clock_hz for s in samples if s.clock_hz), None)
    plain = ClassModel(source="constant efficiency").model_copy(update={"efficiency": 0.6, "clock": clock})
    names = ["call", "hbm_efficiency", *(["efficiency"] if any(s.op.flops for s in samples) else [])]
    free = names[-1:] if len(samples) < len(names) and samples[0].op.bytes else names
    return fit(samples, plain, device, free)


def domain(samples: Sequence[Sample], kind: str) -> dict[str, tuple[float, float]]:
    """The box of what was seen: by dimension of the shape, or by bytes."""
    if not samples:
        return {}
    if kind not in AXES:
        sizes = [s.op.bytes / s.op.calls for s in samples]
        return {"bytes": (min(sizes), max(sizes))} if max(sizes) else {}
    shapes = np.array([s.op.shape for s in samples], dtype=float)
    return {
        axis: (float(low), float(high))
        for axis, low, high in zip(AXES[kind], shapes.min(0), shapes.max(0), strict=False)
    }
