"""Kernels as frameworks launch them: torch's own, and what torch.compile fuses, at the shapes of public models.

What `plan` lacks: norms with the gradient of their weights, SwiGLU, loss and embedding with their backward, optimizers,
casts, the copies around FSDP's buffers, batched products, the router. Each is measured cool and alone under a kernel
name of its own; `bytes` counts every tensor once, as the operators of `workloads` do.
"""

from __future__ import annotations

from collections.abc import Iterable

from netsim.measure.plan import Measurement, select
from netsim.measure.shapes import Shape, attention, gemm, grouped_gemm, grouped_wgrad
from netsim.specs.profile import Kind

#: name -> (class, bytes of a value, whether torch.compile makes it)
ROWS: dict[str, tuple[Kind, float, bool]] = {
    "fw_norm": ("norm", 4.0, True),
    "fw_add_norm": ("norm", 8.0, True),
    "fw_norm_bwd": ("norm", 6.0, True),
    "fw_swiglu": ("act", 6.0, True),
    "fw_swiglu_bwd": ("act", 10.0, True),
    "fw_loss": ("elementwise", 2.0, True),
    "fw_loss_bwd": ("elementwise", 4.0, True),
    "fw_eager_loss": ("elementwise", 2.0, False),
    "fw_eager_loss_bwd": ("elementwise", 4.0, False),
    "fw_embedding": ("copy", 4.0, False),
    "fw_embedding_bwd": ("elementwise", 4.0, False),
    "fw_cast_fp8": ("quant", 5.0, True),
    "fw_cast_fp8_both": ("cast_transpose", 6.0, True),
    "fw_adamw_bf16": ("optimizer", 14.0, False),
    "fw_adamw_fp32": ("optimizer", 28.0, False),
    "fw_split_copy": ("copy", 4.0, False),
    "fw_cat_copy": ("copy", 4.0, False),
    "fw_router": ("index", 8.0, False),
    "fw_sort_rows": ("index", 8.0, False),
    "fw_gather_rows": ("permute", 4.0, False),
}
VOCABULARY = 128256


def rows(kernel: str, m: int, n: int) -> Shape:
    """m rows of n values."""
    kind, value_bytes, _ = ROWS[kernel]
    return Shape(kernel, kind, "bf16", m, n, bytes=value_bytes * m * n)


def product(kernel: str, m: int, n: int, k: int) -> Shape:
    """A BF16 product as a backward runs it: `fw_dgrad` m x k times k x n, `fw_wgrad` k x m transposed times k x n."""
    moved = 2.0 * (m * k + n * k + m * n)
    return Shape(kernel, "gemm_bf16", "bf16", m, n, k, 1, "bf16", flops=2.0 * m * n * k, bytes=moved)


def batched(groups: int, m: int, n: int, k: int) -> Shape:
    """`groups` products of m x k by k x n."""
    moved = 2.0 * groups * (m * k + n * k + m * n)
    return Shape(
        "fw_bmm", "gemm_bf16", "bf16", m, n, k, groups, "bf16", flops=2.0 * groups * m * n * k, bytes=moved
    )


def make_plan() -> tuple[Measurement, ...]:
    """Everything of this module, each once, in order of worth."""
    shapes: list[Shape] = []
    for width, heads in ((128, 32), (128, 64), (64, 64), (256, 16), (128, 16)):
        for length in (2048, 4096, 8192, 16384):
            shapes += [attention(k, 1, heads, length, width, width) for k in ("attn_fwd", "attn_bwd")]
    shapes += [attention(k, 4, 32, 2048, 128, 128) for k in ("attn_fwd", "attn_bwd")]
    for m in (4096, 16384):
        shapes += [rows(k, m, 5120) for k in ("fw_norm", "fw_add_norm", "fw_norm_bwd", "fw_embedding")]
        shapes += [
            rows(k, m, 13824) for k in ("fw_swiglu", "fw_swiglu_bwd", "fw_cast_fp8", "fw_cast_fp8_both")
        ]
        shapes += [rows("fw_router", m, 64), rows("fw_sort_rows", m, 8), rows("fw_gather_rows", m, 5120)]
    for vocabulary in (32000, VOCABULARY):
        shapes += [rows(k, 4096, vocabulary) for k in ROWS if "loss" in k]
    shapes += [rows("fw_embedding_bwd", 8192, 5120)]
    for count in (1 << 26, 1 << 29):
        shapes += [rows("fw_adamw_bf16", count >> 12, 4096), rows("fw_adamw_fp32", count >> 12, 4096)]
        shapes += [rows("fw_split_copy", count >> 12, 4096), rows("fw_cat_copy", count >> 12, 4096)]
    shapes += [batched(128, m, 512, 128) for m in (128, 1024)] + [batched(32, 2048, 2048, 128)]
    for each, count in ((1024, 8), (4096, 8), (512, 32)):
        shapes += [
            grouped_gemm("bf16", (each,) * count, n, k)
            for n, k in ((28672, 4096), (4096, 14336), (3072, 2048))
        ]
        shapes += [grouped_wgrad("bf16", (each,) * count, n, k) for n, k in ((3072, 2048), (4096, 1536))]
    for m, n, k in ((4096, 10240, 5120), (8192, 5120, 13824), (8192, 27648, 5120), (5120, 27648, 8192)):
        shapes += [gemm(dtype, m, n, k) for dtype in ("bf16", "fp8_tensor")]
        shapes += [product(kernel, m, n, k) for kernel in ("fw_dgrad", "fw_wgrad")]
    return tuple(Measurement(shape, "framework") for shape in shapes)


def plan_for(only: Iterable[str]) -> tuple[Measurement, ...]:
    """The plan, or what of it the patterns name."""
    return select(make_plan(), only)
