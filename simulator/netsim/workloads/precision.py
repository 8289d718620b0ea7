"""The same block when its matrix products run in BF16: what FP8 adds is left out, what stays moves BF16.

    casts, scales, transposes of FP8       not run: BF16 kernels read either layout
    a product, a weight gradient           BF16 in; a weight gradient is added to its FP32 main gradient
    a grouped product                      one BF16 product for each expert over its share of the rows
    SwiGLU, copies of rows                 2 bytes a value where FP8 was 1

The cast of the attention output to the format it is kept in has nothing to do with products and stays. Operations stay
what they were. Left out: a cast that an FP8 dispatch would need beside BF16 products.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from netsim.workloads.kernels import BF16_BYTES, FP32_BYTES, Operator, gemm_bf16, memory

#: of the attention output to the format it is kept in, and back
STASH_CASTS = ("cast_e5m6_attn_out", "attn_out_e5m6_decode")
_ADDED = 2 * FP32_BYTES
#: gate and up read, their product written
_SWIGLU_BYTES = 3 * BF16_BYTES


def in_bf16(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators of a block with FP8 products as those of the same block with BF16 products."""
    return tuple(made for op in operators for made in _one(op))


def _one(op: Operator) -> Iterator[Operator]:
    if op.name in STASH_CASTS:
        yield op
        return
    if "scale_transpose" in op.name or op.name.startswith("scale_contiguous"):
        return
    rows, columns = op.shape[:2]
    match op.kind:
        case "gemm_fp8":
            yield gemm_bf16(op.name, rows, columns, op.shape[2])
        case "wgrad_fp8":
            yield gemm_bf16(op.name, rows, columns, op.shape[2], _ADDED)
        case "grouped_gemm_fp8":
            _, n, k, groups = op.shape
            yield _for_each(gemm_bf16(op.name, math.ceil(rows / groups), n, k), op.flops, groups)
        case "grouped_wgrad_fp8":
            _, m, n, groups = op.shape
            yield _for_each(gemm_bf16(op.name, m, n, math.ceil(rows / groups), _ADDED), op.flops, groups)
        case "cast_transpose" if "swiglu_recompute" in op.name:
            yield memory(op.name, "act", rows, columns, _SWIGLU_BYTES)
        case "quant" | "cast_transpose" | "weight_transpose":
            return
        case "gather_transpose":
            yield memory(op.name, "permute", rows, columns, 2 * BF16_BYTES)
        case "permute" if op.name.startswith("expand"):
            yield memory(op.name, "permute", rows, columns, 2 * BF16_BYTES)
        case "act" if op.name.endswith("swiglu_fwd"):
            yield memory(op.name, "act", rows, columns, _SWIGLU_BYTES)
        case _:
            yield op


def _for_each(one: Operator, flops: float, calls: int) -> Operator:
    """`calls` launches that do `flops` together."""
    return replace(one, flops=flops, bytes=one.bytes * calls, calls=calls)
