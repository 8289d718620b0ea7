"""A block whose products run in another format than DeepSeek's FP8, from its operators in that format.

`bf16`: what FP8 adds is left out, what stays moves BF16.

    casts, scales, transposes of FP8       not run: BF16 kernels read either layout
    a product, a weight gradient           BF16 in; a weight gradient is added to its FP32 main gradient
    a grouped product                      BF16, over the same rows
    SwiGLU, copies of rows                 2 bytes a value where FP8 was 1

`fp8_tensor`, `mxfp8`, `nvfp4`: what TransformerEngine runs. Each input of a product is cast once, to both layouts that
its products need (MXFP8 and NVFP4 scale rows and columns apart; FP8 with a scale a tensor needs a transposed copy on
Hopper), so the backward casts no activation again. SwiGLU and the copies of rows write BF16, which a cast reads.
Weights are cast once a step, beside the optimizer; activations wait for the backward as they were cast.

    casts of inputs and gradients          1 read in BF16, 2 copies written with their scales
    casts and transposes of the backward   not run, weights are not transposed
    the stash of SwiGLU's inputs           BF16: neither cast nor cast back; with FP8 (`storage.stash`, for a scale a
                                           tensor: Megatron's activation_func_fp8_input_store) both

Where nothing runs backward (`training=False`: serving) one layout is written and the sequence of FP8 is kept.

The cast of the attention output to the format it is kept in has nothing to do with products and stays. Operations stay
what they were. Left out: a cast that an FP8 dispatch would need beside products in another format; the pass that
finds the greatest value for current scaling, and the one that orders scales of MXFP8 for the tensor cores (1/32 of the
bytes); the rotations and random numbers of NVFP4's stochastic rounding.

Source: TransformerEngine 2.9, transformer_engine/pytorch/module/linear.py, grouped_linear.py; NVIDIA, arXiv 2509.25149.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

from netsim.specs.formats import FORMATS, Products
from netsim.specs.framework import AttentionKernel
from netsim.specs.profile import Kind
from netsim.specs.workload import CorePrecision, Precision
from netsim.workloads import kernels
from netsim.workloads.kernels import BF16_BYTES, Operator, memory

#: of the attention output to the format it is kept in, and back
STASH_CASTS = ("cast_e5m6_attn_out", "attn_out_e5m6_decode")
_CORES = ("attention_fwd", "attention_bwd")
#: of the inputs of SwiGLU, where they are kept in FP8
_SWIGLU_STASH = (
    "dense_swiglu_in_stash_cast_fp8", "dense_swiglu_in_dequant", "shared_swiglu_in_stash_cast_fp8",
    "shared_swiglu_in_dequant", "routed_swiglu_in_stash_cast_fp8", "routed_swiglu_in_dequant",
)  # fmt: skip
#: casts for a dispatch in FP8, and again for a weight gradient
_NOT_CAST = ("cast_fp8_x_for_dispatch", "cast_fp8_ffn_in_recompute")
#: products whose input the dispatch has in FP8 already: TransformerEngine casts it
_CAST_BEFORE = ("shared_gateup_fwd", "shared_down_dgrad")


def in_products(
    operators: Iterable[Operator], products: Products, training: bool = True, stash: Precision = "bf16"
) -> tuple[Operator, ...]:
    """Operators of a block in DeepSeek's FP8 as those of the same block with products in another format."""
    if products == "fp8":
        return tuple(operators)
    if products == "bf16":
        return tuple(made for op in operators for made in _bf16(op))
    change = _scaled if training else _served
    kept = _SWIGLU_STASH if training and products == "fp8_tensor" and stash == "fp8" else ()
    return tuple(made for op in operators for made in ((op,) if op.name in kept else change(op, products)))


def in_bf16(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators of a block with FP8 products as those of the same block with BF16 products."""
    return in_products(operators, "bf16")


def with_core(
    operators: Iterable[Operator], precision: CorePrecision, kernel: AttentionKernel = "fused"
) -> tuple[Operator, ...]:
    """The same with the products of the attention core in another format: kernel class and bytes of its inputs.

    Outputs, and gradients going out, stay BF16: they are half of what moves, in both directions. Queries and gradients
    are cast before it, outputs and their gradients behind it; keys and values, fewer with grouped queries, are left
    out. FlashAttention-2 has a class of its own, and no other format than BF16.
    """
    if precision == "bf16" and kernel == "fused":
        return tuple(operators)
    if precision == "bf16":
        return tuple(
            replace(op, kind=cast(Kind, f"{op.kind}_{kernel}")) if op.kind in _CORES else op
            for op in operators
        )
    return tuple(one for op in operators for one in _core_in(op, precision))


def _core_in(op: Operator, precision: CorePrecision) -> Iterator[Operator]:
    """The core in another format between casts: TransformerEngine takes and returns BF16."""
    if op.kind not in _CORES:
        yield op
        return
    both = BF16_BYTES + FORMATS[precision].activation_bytes
    share = both / BF16_BYTES / 2.0
    sequences, heads, length, qk, v = op.shape
    rows = sequences * length // op.context
    yield memory(f"{op.name}_cast_in", "quant", rows, heads * (qk if op.kind == "attention_fwd" else v), both)
    yield replace(op, kind=cast(Kind, f"{op.kind}_{precision}"), bytes=op.bytes * share)
    yield memory(
        f"{op.name}_cast_out", "quant", rows, heads * (v if op.kind == "attention_fwd" else qk), both
    )


def _product(op: Operator, products: Products) -> Operator:
    """The same product in another format."""
    role = op.kind.removesuffix("_fp8")
    made = kernels.PRODUCT_ROLES[role](op.name, *op.shape, products=products)
    # some rows are computed beyond those that count, or fewer: operations and calls stay what they were
    return replace(made, flops=op.flops, calls=op.calls)


def _bf16(op: Operator) -> Iterator[Operator]:
    if op.name in STASH_CASTS:
        yield op
        return
    if _is_scales(op):
        return
    rows, columns = op.shape[:2]
    match op.kind:
        case "gemm_fp8" | "wgrad_fp8" | "grouped_gemm_fp8" | "grouped_wgrad_fp8":
            yield _product(op, "bf16")
        # an activation that writes two bytes a value where it wrote one
        case "cast_transpose" if "swiglu_recompute" in op.name:
            yield replace(op, kind="act", bytes=op.bytes + rows * columns)
        case "quant" | "cast_transpose" | "weight_transpose":
            return
        case "gather_transpose":
            yield memory(op.name, "permute", rows, columns, 2 * BF16_BYTES)
        case "permute" if op.name.startswith("expand"):
            yield memory(op.name, "permute", rows, columns, 2 * BF16_BYTES)
        case "act" if op.name.endswith("swiglu_fwd"):
            yield replace(op, bytes=op.bytes + rows * columns)
        case _:
            yield op


def _scaled(op: Operator, products: Products) -> Iterator[Operator]:
    """As TransformerEngine runs it."""
    if op.name in STASH_CASTS:
        yield op
        return
    if _is_scales(op) or "_stash_cast" in op.name or op.name in _NOT_CAST:
        return
    rows, columns = op.shape[:2]
    match op.kind:
        case "gemm_fp8" | "wgrad_fp8" | "grouped_gemm_fp8" | "grouped_wgrad_fp8":
            if op.name in _CAST_BEFORE:
                yield _both(f"cast_for_{op.name}", rows, op.shape[2], products)
            yield _product(op, products)
        case "quant" if not op.fine:
            yield _both(op.name, rows, columns, products)
        case "quant" | "cast_transpose" | "weight_transpose" | "gather_transpose":
            return
        case "permute" if op.name.startswith("expand"):
            yield memory(op.name, "permute", rows, columns, 2 * BF16_BYTES)
            yield _both(f"cast_{op.name}", rows, columns, products)
        case "act" if op.name.endswith("swiglu_fwd"):
            yield replace(op, bytes=op.bytes + rows * columns)
            yield _both(f"cast_{op.name}", rows, columns, products)
        case "act" if "recompute" in op.name:
            # the output is not written a second time
            yield replace(op, bytes=op.bytes - BF16_BYTES * rows * columns)
        case _:
            yield op


def _served(op: Operator, products: Products) -> Iterator[Operator]:
    """As a server runs it: forward alone, one layout of everything."""
    match op.kind:
        case "gemm_fp8" | "grouped_gemm_fp8":
            yield _product(op, products)
        case _:
            yield op


def _is_scales(op: Operator) -> bool:
    return "scale_transpose" in op.name or op.name.startswith("scale_contiguous")


def _both(name: str, rows: int, columns: int, products: Products) -> Operator:
    """BF16 read once, written in a format by rows and by columns."""
    kind: Kind = "cast_transpose" if products == "fp8_tensor" else "quant"
    return memory(name, kind, rows, columns, BF16_BYTES + 2 * FORMATS[products].activation_bytes)
