"""A kernel at a shape: what is launched, how many operations it does and how many bytes it must move.

Bytes count every tensor touched once, with the scales of FP8 operands. These are the costs of the kernel that
is measured, which may differ from those of the operator it stands for (a weight gradient is written here,
not added to what was there).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netsim.specs.profile import Kind

#: dense GEMM flavours -> kernel class
GEMM_KINDS: dict[str, Kind] = {
    "bf16": "gemm_bf16",
    "fp8_tensor": "gemm_fp8",
    "fp8_row": "gemm_fp8",
    "fp8_block": "gemm_fp8",
}
OUT_BYTES = {"bf16": 2, "fp32": 4}
BLOCK = 128


@dataclass(frozen=True)
class Shape:
    """One kernel with its dimensions; the package docstring says what m, n, k and groups are."""

    kernel: str
    kind: Kind
    dtype: str
    m: int
    n: int = 0
    k: int = 0
    groups: int = 1
    out_dtype: str = ""
    batch: int = 1
    v_dim: int = 0
    group_rows: tuple[int, ...] = ()
    flops: float = 0.0
    bytes: float = 0.0

    @property
    def name(self) -> str:
        """Short and unique but for the rows of groups, as `--list` prints it."""
        flavour = f"{self.kernel}:{self.dtype}".rstrip(":") + (
            f"->{self.out_dtype}" if self.out_dtype else ""
        )
        size = "x".join(str(d) for d in (self.m, self.n, self.k) if d) or "1"
        skew = "/skewed" if len(set(self.group_rows)) > 1 else ""
        return f"{flavour}:{size}" + (f"/{self.groups}" if self.groups > 1 else "") + skew


def _scales(dtype: str, rows: int, k: int, tall: bool) -> float:
    """Bytes of the FP32 scales of an operand; `tall` where a block is 128 x 128."""
    if dtype == "fp8_row":
        return 4.0 * rows
    return 4.0 * rows * k / BLOCK / (BLOCK if tall else 1) if dtype == "fp8_block" else 0.0


def _operands(dtype: str, m: int, n: int, k: int, groups: int = 1) -> float:
    if dtype == "bf16":
        return 2.0 * (m * k + groups * n * k)
    scales = _scales(dtype, m, k, tall=False) + groups * _scales(dtype, n, k, tall=True)
    return float(m * k + groups * n * k) + scales


def gemm(dtype: str, m: int, n: int, k: int, out_dtype: str = "bf16") -> Shape:
    """A dense product of m x k by the transpose of n x k.

    >>> gemm("bf16", 4096, 256, 7168).flops
    15032385536.0
    """
    moved = _operands(dtype, m, n, k) + OUT_BYTES[out_dtype] * m * n
    return Shape("gemm", GEMM_KINDS[dtype], dtype, m, n, k, 1, out_dtype, flops=2.0 * m * n * k, bytes=moved)


def wgrad(dtype: str, m: int, n: int, k: int) -> Shape:
    """A weight gradient of m x n over k rows, into FP32."""
    kind: Kind = "gemm_bf16" if dtype == "bf16" else "wgrad_fp8"
    moved = _operands(dtype, m, n, k) + 4.0 * m * n
    return Shape("gemm_wgrad", kind, dtype, m, n, k, 1, "fp32", flops=2.0 * m * n * k, bytes=moved)


def grouped_gemm(dtype: str, group_rows: tuple[int, ...], n: int, k: int) -> Shape:
    """One product for each group over its own rows, in one launch."""
    m, groups = sum(group_rows), len(group_rows)
    moved = _operands(dtype, m, n, k, groups) + 2.0 * m * n
    return Shape("grouped_gemm", "grouped_gemm_fp8", dtype, m, n, k, groups, "bf16", group_rows=group_rows,
                 flops=2.0 * m * n * k, bytes=moved)  # fmt: skip


def grouped_wgrad(dtype: str, group_rows: tuple[int, ...], n: int, k: int) -> Shape:
    """Weight gradients of n x k for each group, each over its own rows; rows are `m`, as in grouped_gemm."""
    m, groups = sum(group_rows), len(group_rows)
    moved = (2.0 if dtype == "bf16" else 1.0) * m * (n + k) + 2.0 * groups * n * k
    return Shape("grouped_wgrad", "grouped_wgrad_fp8", dtype, m, n, k, groups, "bf16", group_rows=group_rows,
                 flops=2.0 * m * n * k, bytes=moved)  # fmt: skip


def attention(kernel: str, batch: int, heads: int, length: int, qk: int, v: int) -> Shape:
    """The causal attention core, `attn_fwd` or `attn_bwd`; a causal mask halves the operations."""
    backward = kernel == "attn_bwd"
    pairs = 1.0 * batch * heads * length * length
    flops = pairs * ((3 * qk + 2 * v) if backward else (qk + v))
    moved = 2.0 * batch * heads * length * (2 * qk + 2 * v) * (2 if backward else 1)
    kind: Kind = "attention_bwd" if backward else "attention_fwd"
    return Shape(kernel, kind, "bf16", length, heads, qk, batch=batch, v_dim=v, flops=flops, bytes=moved)


@dataclass(frozen=True)
class MemoryKernel:
    """A kernel bound by HBM: its class, its dtypes, and the bytes it moves for m rows of n columns (k: top-k)."""

    kind: Kind
    dtype: str
    bytes: Callable[[int, int, int], float]


_FP8 = 1.0 + 4.0 / BLOCK

#: kernels over rows and columns
ROW_KERNELS: dict[str, MemoryKernel] = {
    "rmsnorm": MemoryKernel("norm", "bf16", lambda m, n, k: 4.0 * m * n),
    "add_rmsnorm": MemoryKernel("norm", "bf16", lambda m, n, k: 8.0 * m * n),
    "rmsnorm_bwd_dx": MemoryKernel("norm", "bf16", lambda m, n, k: 6.0 * m * n),
    "quant_1x128": MemoryKernel("quant", "bf16->fp8", lambda m, n, k: (2.0 + _FP8) * m * n),
    "dequant_1x128": MemoryKernel("quant", "fp8->bf16", lambda m, n, k: (2.0 + _FP8) * m * n),
    "quant_transpose": MemoryKernel("cast_transpose", "bf16->fp8", lambda m, n, k: (2.0 + _FP8) * m * n),
    "rope": MemoryKernel("rope", "bf16", lambda m, n, k: 4.0 * m * n),
    "slice_copy": MemoryKernel("strided", "bf16", lambda m, n, k: 4.0 * m * n),
    "swiglu": MemoryKernel("act", "bf16", lambda m, n, k: 6.0 * m * n),
    "swiglu_quant": MemoryKernel("act", "bf16->fp8", lambda m, n, k: (4.0 + _FP8) * m * n),
    "swiglu_bwd": MemoryKernel("act", "bf16", lambda m, n, k: 10.0 * m * n),
    "permute_gather": MemoryKernel("permute", "fp8", lambda m, n, k: 2.0 * m * n + 4.0 * m),
    "combine_topk": MemoryKernel("permute", "bf16", lambda m, n, k: 2.0 * (k + 1) * m * n + 8.0 * k * m),
    "gather_transpose": MemoryKernel("gather_transpose", "fp8", lambda m, n, k: 2.0 * m * n + 4.0 * m),
    "transpose_fp8": MemoryKernel("weight_transpose", "fp8", lambda m, n, k: 2.0 * m * n),
    "residual_add": MemoryKernel("elementwise", "bf16", lambda m, n, k: 6.0 * m * n),
    "cast_bf16_fp32": MemoryKernel("elementwise", "bf16->fp32", lambda m, n, k: 6.0 * m * n),
    "topk_gate": MemoryKernel("index", "fp32", lambda m, n, k: 4.0 * m * n + 8.0 * m * k),
    "sort_by_expert": MemoryKernel("index", "int32", lambda m, n, k: 12.0 * m),
}  # fmt: skip

#: kernels over m bytes (copies) or m values (optimizer)
FLAT_KERNELS: dict[str, MemoryKernel] = {
    "copy_d2d": MemoryKernel("copy", "u8", lambda m, n, k: 2.0 * m),
    "copy_h2d": MemoryKernel("copy", "u8", lambda m, n, k: 1.0 * m),
    "copy_d2h": MemoryKernel("copy", "u8", lambda m, n, k: 1.0 * m),
    "memset": MemoryKernel("elementwise", "u8", lambda m, n, k: 1.0 * m),
    "read_sum": MemoryKernel("elementwise", "i32", lambda m, n, k: 1.0 * m),
    "grad_accum": MemoryKernel("elementwise", "bf16->fp32", lambda m, n, k: 10.0 * m),
    "adam_bf16_moments": MemoryKernel("optimizer", "mixed", lambda m, n, k: 22.0 * m),
    "adamw_fused": MemoryKernel("optimizer", "fp32", lambda m, n, k: 28.0 * m),
}

#: fixed costs, without a size
LAUNCH_KERNELS = ("empty_pair", "empty_kernel", "launch_cpu_cost", "launch_to_sync", "graph_node")


def memory(kernel: str, m: int, n: int = 0, k: int = 0) -> Shape:
    """A memory-bound kernel.

    >>> memory("combine_topk", 16384, 7168, 8).bytes
    2114977792.0
    """
    entry = ROW_KERNELS.get(kernel) or FLAT_KERNELS[kernel]
    return Shape(kernel, entry.kind, entry.dtype, m, n, k, bytes=entry.bytes(m, n, k))


def launch(kernel: str) -> Shape:
    """A fixed cost."""
    return Shape(kernel, "small", "", 1)
