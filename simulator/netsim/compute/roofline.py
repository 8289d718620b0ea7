"""The model of a kernel class: a roofline with fitted efficiencies, waves, and the fixed cost of a launch.

    time alone  = call + body
    matrix      body = max(waves of tiles, bytes / (efficiency x HBM rate))           see `compute.tiles`
    attention   body = max(blocks over all SMs, memory) + passes x memory             see `compute.tiles`
    the rest    body = max((bytes + drain) / (efficiency x HBM rate), values x value / SMs) + rows x row

`drain`: a kernel of one block a row (or patch) ends with half of the blocks that an SM holds still to finish,
so half of the bytes in flight are paid again; kernels of fine grain have none. `value`: what an SM needs for a
value where latency or the arithmetic of addresses bounds it.

Beside a transfer, which was resident for a `share` of the time:

    time = call + share (call_beside - call) + body (1 + share slowdown) + share (values x value / SMs)

the last term for persistent kernels only: blocks that find no room on an SM run after the others.

The SM clock is explicit: a class was measured at `clock`, its efficiency is of the peak at that clock, and
asked at another, products and cycles scale with it while HBM and launches stay. No time is ever less than the
peaks allow. Left out: cache reuse, unequal rows of the experts, the power limit that sets the clock.

Source: Williams, Waterman, Patterson 2009 (roofline); DeepSeek-V3, arXiv 2412.19437, section 3.3.2 (128 x 128
blocks of scales, which set the tile).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from netsim.compute.device import Device, measured_device, target_device
from netsim.compute.tiles import Speed, attention_s, product_s
from netsim.specs.formats import PRODUCTS
from netsim.specs.profile import ClassModel
from netsim.workloads.operators import Operator

__all__ = [
    "AXES", "Bound", "Device", "Estimate", "Parts", "estimate", "floor_s", "inside_domain", "measured_device",
    "overlap_factor", "parts", "target_device",
]  # fmt: skip

Bound = Literal["compute", "memory", "launch"]

#: kernel class -> names of the dimensions of its shape; classes not listed are judged by bytes
AXES: dict[str, tuple[str, ...]] = {
    **{f"{role}_{word}": ("m", "n", "k") for role in ("gemm", "wgrad") for word in PRODUCTS},
    **{f"grouped_gemm_{word}": ("m", "n", "k", "groups") for word in PRODUCTS},
    **{f"grouped_wgrad_{word}": ("rows", "m", "n", "groups") for word in PRODUCTS},
    **{
        f"attention_{way}{word}": ("sequences", "heads", "length", "qk", "v")
        for way in ("fwd", "bwd")
        for word in ("", "_fp8", "_mxfp8", "_flash2")
    },
    "index": ("rows", "columns"),
    "strided": ("rows", "columns"),
}


class Estimate(NamedTuple):
    """Seconds of all calls of an operator, and what bound them."""

    seconds: float
    bound: Bound


class Parts(NamedTuple):
    """Seconds of one call without a transfer: in the SMs, in HBM, of the launch, and of what runs again
    when blocks find no room beside a transfer; `body` is what the first two come to together."""

    compute: float
    memory: float
    launch: float
    body: float
    again: float = 0.0


def floor_s(op: Operator, device: Device, clock_hz: float | None = None) -> float:
    """The least time that the peaks of a device allow."""
    return max(op.flops / device.peak(op.kind, clock_hz), op.bytes / device.hbm_bytes_per_s)


def estimate(
    op: Operator, model: ClassModel, device: Device, share: float = 0.0, clock_hz: float | None = None
) -> Estimate:
    """Time of an operator by the model of its class, with a transfer resident for a share of the time."""
    found = parts(op, model, device, clock_hz)
    late = model.call if model.call_beside is None else model.call_beside
    seconds = found.launch + share * (late - model.call) + found.body * (1.0 + share * model.slowdown)
    seconds = op.calls * (seconds + share * found.again)
    bounds: dict[Bound, float] = {"compute": found.compute, "memory": found.memory, "launch": found.launch}
    return Estimate(
        max(seconds, floor_s(op, device, clock_hz or model.clock)),
        max(bounds, key=lambda bound: bounds[bound]),
    )


def overlap_factor(op: Operator, model: ClassModel, device: Device, share: float) -> float:
    """How much longer an operator takes on average when transfers come and go beside it."""
    return estimate(op, model, device, share).seconds / estimate(op, model, device).seconds


def parts(op: Operator, model: ClassModel, device: Device, clock_hz: float | None = None) -> Parts:
    """What the time of one call goes into."""
    memory = op.bytes / op.calls / (model.hbm_efficiency * device.hbm_bytes_per_s)
    if not op.flops:
        return _streaming(op, model, device, memory)
    clock = clock_hz or model.clock
    stretch = (model.clock or clock) / clock if clock else 1.0
    sm_rate = device.peak(op.kind, clock) / device.sms
    if op.kind.startswith("attention"):
        speed = Speed(sm_rate, device.sms, device.hbm_bytes_per_s, stretch)
        compute = attention_s(op, model, speed)
        return Parts(compute, memory, model.call, max(compute, memory) + model.passes * memory)
    speed = Speed(sm_rate, device.gemm_sms, device.hbm_bytes_per_s, stretch)
    body = product_s(op, model, speed, memory)
    return Parts(body, memory, model.call, body)


def _streaming(op: Operator, model: ClassModel, device: Device, memory: float) -> Parts:
    rows, columns = op.shape[0], math.prod(op.shape[1:])
    values = rows * columns
    if model.resident and not op.fine:
        in_flight = min(values, device.sms * model.resident * (model.patch or columns))
        memory *= 1.0 + (in_flight / values / 2 if values else 0.0)
    busy = values * model.value / device.sms
    launch = model.call + model.row * rows
    return Parts(busy, memory, launch, max(memory, busy), busy if model.persistent else 0.0)


def inside_domain(op: Operator, model: ClassModel) -> bool:
    """Whether an operator lies in the box of what was measured of its class."""
    values = {
        "bytes": op.bytes / op.calls,
        **dict(zip(AXES.get(op.kind, ()), map(float, op.shape), strict=False)),
    }
    return all(low <= values[axis] <= high for axis, (low, high) in model.domain.items() if axis in values)
