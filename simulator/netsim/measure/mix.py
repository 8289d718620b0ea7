"""Mixes of kernels and pauses, each held until the power limit has settled: what the power model is fitted to.

A mix is kernels in turn with pauses, as shares of a round of `ROUND_S`:

    gemm:bf16:8192x8192x8192=0.7,idle=0.3

Kernels: `gemm:<dtype>:MxNxK` (dtype bf16, fp8_tensor, fp8_row, fp8_block), `attn_fwd` and `attn_bwd` as
`attn_fwd:bf16:LENGTHxHEADSxWIDTH`, `copy_d2d:BYTES`, and the kernels of rows as `rmsnorm:ROWSxCOLUMNS`; `idle`: the
host sleeps.
Shares are of the time that kernels take from rest. Per mix: the time of each kernel from rest and in the last third of
the soak, its SM clock there (cycles over time inside the kernels), NVML's clock, and mean power (energy over time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.errors import NetsimError
from netsim.measure.shapes import FLAT_KERNELS, ROW_KERNELS, Shape, attention, gemm, memory

ROUND_S = 0.04
IDLE = "idle"


@dataclass(frozen=True)
class Part:
    """A kernel (None: a pause) and its share of a round."""

    name: str
    shape: Shape | None
    share: float


@dataclass(frozen=True)
class MixPart:
    """A kernel of a mix as it was measured; times of one call."""

    mix: str
    part: str
    share: float
    cold_us: float
    hot_us: float
    sm_clock_GHz: float
    flops: float
    bytes: float
    clock_mhz: float
    power_w: float
    duty: float
    """Share of the time that this kernel ran, hot."""


def parse_mix(text: str) -> tuple[Part, ...]:
    """The parts of a mix; shares add up to one.

    >>> [(p.name, p.share) for p in parse_mix("gemm:bf16:4096x4096x4096=0.7,idle=0.3")]
    [('gemm:bf16:4096x4096x4096', 0.7), ('idle', 0.3)]

    Raises NetsimError for a kernel that is not known, or shares that do not add up.
    """
    parts = []
    for item in text.split(","):
        name, equals, share = item.strip().partition("=")
        try:
            parts.append(Part(name, _shape(name), float(share) if equals else 1.0))
        except ValueError:
            raise NetsimError(
                f"--mix {text}: {item.strip()}: must be KERNEL=SHARE, such as idle=0.3"
            ) from None
    total = sum(part.share for part in parts)
    if abs(total - 1.0) > 1e-6 or any(part.share <= 0 for part in parts):
        raise NetsimError(
            f"--mix {text}: shares must be positive and add up to 1, and they add up to {total:g}"
        )
    if all(part.shape is None for part in parts):
        raise NetsimError(f"--mix {text}: no kernel in it")
    return tuple(parts)


def _shape(name: str) -> Shape | None:
    if name == IDLE:
        return None
    kernel, *rest = name.split(":")
    sizes = tuple(int(d) for d in rest[-1].split("x")) if rest else ()
    if kernel == "gemm" and len(rest) == 2 and len(sizes) == 3:
        return gemm(rest[0], *sizes)
    if kernel in ("attn_fwd", "attn_bwd") and len(sizes) == 3:
        length, heads, width = sizes
        return attention(kernel, 1, heads, length, width, width)
    if kernel in FLAT_KERNELS and len(sizes) == 1:
        return memory(kernel, sizes[0])
    if kernel in ROW_KERNELS and len(sizes) == 2:
        return memory(kernel, *sizes)
    raise NetsimError(f"--mix: {name}: no such kernel; such as gemm:bf16:8192x8192x8192, copy_d2d:2147483648")


def calls(parts: Sequence[Part], cold_s: Sequence[float]) -> list[int]:
    """Calls of each kernel in a round, at least one.

    >>> calls(parse_mix("gemm:bf16:4096x4096x4096=0.5,idle=0.5"), [1e-3, 0.0])
    [20, 0]
    """
    return [
        max(1, round(part.share * ROUND_S / s)) if part.shape is not None else 0
        for part, s in zip(parts, cold_s, strict=True)
    ]
