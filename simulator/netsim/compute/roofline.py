"""The model of a kernel class: a roofline with a fitted efficiency, and waves of tiles for matrix products.

A GEMM of m x n x k cuts its output into tiles of a x b, which run in waves over the SMs it launches on:

    waves   = ceil( ceil(m/a) ceil(n/b) / SMs )
    compute = waves (overhead + 2 a b k / (efficiency x peak of one SM))

so that a short k pays its epilogue and a last wave that is not full its idle SMs. Attention and everything
without tiles: compute = flops / (efficiency x peak of those SMs). Memory = bytes / (efficiency x HBM rate).
The time is the larger of both, plus a fixed time for each launch (and, in kernels that sort or count, each
row), and never less than the peaks allow.

Left out: the clock as a parameter of its own (efficiencies hold at the clock of the profile's job), L2 reuse,
tiles chosen by shape, unequal rows of the experts, power limits.

Source: Williams, Waterman, Patterson 2009 (roofline); DeepSeek-V3, arXiv 2412.19437, section 3.3.2 (128 x 128
blocks of scales, which set the tile).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from netsim.specs.hardware import HardwareSpec
from netsim.specs.profile import ClassModel, ProfileSpec
from netsim.workloads.operators import Operator

Bound = Literal["compute", "memory", "launch"]

#: kernel class -> names of the dimensions of its shape; classes not listed are judged by bytes
_AXES: dict[str, tuple[str, ...]] = {
    "gemm_fp8": ("m", "n", "k"),
    "gemm_bf16": ("m", "n", "k"),
    "wgrad_fp8": ("m", "n", "k"),
    "grouped_gemm_fp8": ("m", "n", "k", "groups"),
    "grouped_wgrad_fp8": ("rows", "m", "n", "groups"),
    "attention_fwd": ("sequences", "heads", "length", "qk", "v"),
    "attention_bwd": ("sequences", "heads", "length", "qk", "v"),
    "index": ("rows", "columns"),
}


@dataclass(frozen=True)
class Device:
    """What bounds a kernel. SI units; `gemm_sms` of the `sms` run matrix products."""

    sms: int
    gemm_sms: int
    bf16_flops_per_s: float
    fp8_flops_per_s: float
    hbm_bytes_per_s: float

    def peak(self, kind: str) -> float:
        """Operations per second of all SMs, in the precision of a kernel class."""
        return self.fp8_flops_per_s if kind.endswith("fp8") else self.bf16_flops_per_s


def measured_device(profile: ProfileSpec) -> Device:
    """The GPU that a profile was measured on."""
    return Device(profile.sms, profile.gemm_sms, profile.bf16_peak, profile.fp8_peak, profile.hbm_rate)


def target_device(profile: ProfileSpec, hardware: HardwareSpec) -> Device:
    """The GPU that is asked about; it gives the same share of its SMs to communication."""
    gpu = hardware.gpu
    gemm_sms = max(1, round(gpu.sms * profile.gemm_sms / profile.sms))
    return Device(gpu.sms, gemm_sms, gpu.bf16_peak, gpu.fp8_peak, gpu.hbm_rate)


class Estimate(NamedTuple):
    """Seconds of all calls of an operator, and what bound them."""

    seconds: float
    bound: Bound


def floor_s(op: Operator, device: Device) -> float:
    """The least time that the peaks of a device allow."""
    return max(op.flops / device.peak(op.kind), op.bytes / device.hbm_bytes_per_s)


def estimate(op: Operator, model: ClassModel, device: Device) -> Estimate:
    """Time of an operator by the model of its class, as measured in overlapped work."""
    compute = _compute_s(op, model, device)
    memory = op.bytes / (model.hbm_efficiency * device.hbm_bytes_per_s)
    launch = (model.call + model.row * op.shape[0]) * op.calls
    bounds: dict[Bound, float] = {"compute": compute, "memory": memory, "launch": launch}
    # no efficiency exceeds 1 and no tile is cut, so this is never below floor_s
    return Estimate(max(compute, memory) + launch, max(bounds, key=lambda bound: bounds[bound]))


def _compute_s(op: Operator, model: ClassModel, device: Device) -> float:
    if not op.flops:
        return 0.0
    efficiency = model.efficiency or 1.0
    peak = efficiency * device.peak(op.kind)
    if model.tile is None:
        return op.flops / (peak * device.gemm_sms / device.sms)
    tiles, depth = _tiles(op, model.tile)
    waves = math.ceil(tiles / device.gemm_sms)
    products = 2.0 * model.tile[0] * model.tile[1] * depth / (peak / device.sms)
    return waves * (model.tile_overhead + products)


def _tiles(op: Operator, tile: tuple[int, ...]) -> tuple[int, float]:
    """(number of output tiles, depth of the products behind each)."""
    if op.kind == "grouped_wgrad_fp8":
        rows, m, n, groups = op.shape
        return groups * math.ceil(m / tile[0]) * math.ceil(n / tile[1]), rows / groups
    m, n, k, *_ = op.shape
    return math.ceil(m / tile[0]) * math.ceil(n / tile[1]), float(k)


def inside_domain(op: Operator, model: ClassModel) -> bool:
    """Whether an operator lies in the box of what was measured of its class."""
    values = {
        "bytes": op.bytes / op.calls,
        **dict(zip(_AXES.get(op.kind, ()), map(float, op.shape), strict=False)),
    }
    return all(low <= values[axis] <= high for axis, (low, high) in model.domain.items() if axis in values)
