"""One operator: what a kernel launch computes and moves, built from the dimensions it works on.

Modelled: floating-point operations, the bytes that cross HBM when every tensor is touched once, the shape
and the number of launches. FP8 values are one byte with one FP32 scale for 128 of them; weight gradients
are read, added to and written in FP32. Left out: cache reuse between kernels, padding of single tiles,
workspace.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, section 3.3 (which operators run in FP8 and how they
are scaled); the kernel sequence is the one of the public H800 trace, deepseek-ai/profile-data at 4496024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast as cast_type

from netsim.specs.formats import FORMATS, Products
from netsim.specs.profile import Kind
from netsim.specs.workload import ModelSpec, Recomputed

BF16_BYTES, FP32_BYTES = 2.0, 4.0
#: one byte and its share of the FP32 scale that 128 values have together
FP8_BYTES = 1.0 + FP32_BYTES / 128
#: DeepSeek's 12-bit format for the stashed attention output
E5M6_BYTES = 1.5


@dataclass(frozen=True)
class Operator:
    """A kernel role of a block; `flops` and `bytes` are those of all its `calls` together.

    shape : (m, n, k) of a GEMM; (rows, n, k, groups) of a grouped GEMM; (rows, m, n, groups) of a grouped
    weight gradient; (sequences, heads, length, qk dim, v dim) of attention; (rows, columns) of the rest.
    fine : whether a kernel that usually takes a block for each row is one of fine grain here (vectorised, or
    a loop over the values by as many blocks as there are SMs)
    context : attention only: how many ranks share the queries of each sequence, in equal shares of the causal pairs
    """

    name: str
    kind: Kind
    flops: float
    bytes: float
    shape: tuple[int, ...]
    calls: int = 1
    fine: bool = False
    context: int = 1


@dataclass(frozen=True)
class Load:
    """What one rank works on: tokens, how they form sequences, the rows its experts receive, and who shares the rest.

    tokens : of a micro-batch, which `tensor` x `context` ranks work on together
    expert_rows : rows that the `local_experts` of this one rank receive
    products : precision of the matrix products; recompute : what the backward computes again instead of keeping it

    >>> shared = Load(4096, 4096, 0, 0, tensor=8, context=2)
    >>> shared.context_tokens, shared.own_tokens
    (2048, 256)
    """

    tokens: int
    sequence_length: int
    expert_rows: int
    local_experts: int
    tensor: int = 1
    context: int = 1
    products: Products = "fp8"
    recompute: tuple[Recomputed, ...] = ("norm", "mla_up", "act")

    @property
    def context_tokens(self) -> int:
        """Rows of the products that tensor parallelism divides: the rank's share of every sequence."""
        return self.tokens // self.context

    @property
    def own_tokens(self) -> int:
        """Rows between those products, which sequence parallelism divides once more."""
        return self.tokens // (self.context * self.tensor)


def gemm(name: str, m: int, n: int, k: int, products: Products) -> Operator:
    """Activations (m x k) by weights (n x k) in a format, BF16 out.

    >>> gemm("q_a_proj_fwd", 4096, 1536, 7168, "mxfp8").kind
    'gemm_mxfp8'
    """
    size = FORMATS[products]
    moved = size.activation_bytes * m * k + size.weight_bytes * n * k + BF16_BYTES * m * n
    return Operator(name, _kind("gemm", products), 2.0 * m * n * k, moved, (m, n, k))


def gemm_fp8(name: str, m: int, n: int, k: int) -> Operator:
    """FP8 in, BF16 out.

    >>> gemm_fp8("q_a_proj_fwd", 4096, 1536, 7168).flops
    90194313216.0
    """
    return gemm(name, m, n, k, "fp8")


def gemm_bf16(name: str, m: int, n: int, k: int, out_bytes: float = BF16_BYTES) -> Operator:
    """BF16 in, `out_bytes` a value out (4 where FP32 comes out, 8 where it is added to what was there)."""
    moved = BF16_BYTES * (m * k + n * k) + out_bytes * m * n
    return Operator(name, "gemm_bf16", 2.0 * m * n * k, moved, (m, n, k))


def grouped_gemm(name: str, rows: int, n: int, k: int, groups: int, products: Products) -> Operator:
    """One product for each local expert over the rows sent to it, in one launch."""
    size = FORMATS[products]
    moved = size.activation_bytes * rows * k + size.weight_bytes * groups * n * k + BF16_BYTES * rows * n
    return Operator(name, _kind("grouped_gemm", products), 2.0 * rows * n * k, moved, (rows, n, k, groups))


def grouped_gemm_fp8(name: str, rows: int, n: int, k: int, groups: int) -> Operator:
    """The same in FP8."""
    return grouped_gemm(name, rows, n, k, groups, "fp8")


def wgrad(name: str, m: int, n: int, k: int, products: Products) -> Operator:
    """Weight gradient, added to an FP32 main gradient of m x n."""
    moved = FORMATS[products].activation_bytes * (m + n) * k + 2 * FP32_BYTES * m * n
    return Operator(name, _kind("wgrad", products), 2.0 * m * n * k, moved, (m, n, k))


def wgrad_fp8(name: str, m: int, n: int, k: int) -> Operator:
    """The same in FP8."""
    return wgrad(name, m, n, k, "fp8")


def grouped_wgrad(name: str, rows: int, m: int, n: int, groups: int, products: Products) -> Operator:
    """Weight gradients of all local experts, each over its own rows: a launch each, on two streams."""
    moved = FORMATS[products].activation_bytes * rows * (m + n) + 2 * FP32_BYTES * groups * m * n
    # timed as a whole: the launches overlap on two streams
    return Operator(name, _kind("grouped_wgrad", products), 2.0 * rows * m * n, moved, (rows, m, n, groups))


def grouped_wgrad_fp8(name: str, rows: int, m: int, n: int, groups: int) -> Operator:
    """The same in FP8."""
    return grouped_wgrad(name, rows, m, n, groups, "fp8")


#: what a product does -> an operator from name, dimensions and `products`
PRODUCT_ROLES: dict[str, Callable[..., Operator]] = {
    "gemm": gemm,
    "wgrad": wgrad,
    "grouped_gemm": grouped_gemm,
    "grouped_wgrad": grouped_wgrad,
}


def _kind(role: str, products: Products) -> Kind:
    return cast_type(Kind, f"{role}_{products}")


def memory(
    name: str, kind: Kind, rows: int, columns: int, value_bytes: float, calls: int = 1, fine: bool = False
) -> Operator:
    """A kernel bound by HBM: `value_bytes` read and written for each of rows x columns values, each call."""
    return Operator(name, kind, 0.0, value_bytes * rows * columns * calls, (rows, columns), calls, fine)


def small(name: str, rows: int, columns: int, calls: int = 1) -> Operator:
    """Kernels of a few microseconds each whose time is fixed cost."""
    return Operator(name, "small", 0.0, 0.0, (rows, columns), calls)


def index(name: str, rows: int, columns: int, calls: int = 1) -> Operator:
    """Kernels that select, sort or count: their time goes with the rows, not with bytes."""
    return Operator(name, "index", 0.0, 0.0, (rows, columns), calls)


def transpose(name: str, rows: int, columns: int, groups: int = 1) -> Operator:
    """FP8 weights transposed for the next GEMM, in tiles of 128."""
    padded = math.ceil(rows / 128) * 128
    return memory(name, "weight_transpose", groups * padded, columns, 2.0)


def cast(name: str, rows: int, columns: int) -> Operator:
    """BF16 to FP8 with one scale for 128 values."""
    return memory(name, "quant", rows, columns, BF16_BYTES + FP8_BYTES)


def cast_transpose(name: str, rows: int, columns: int, in_bytes: float = BF16_BYTES) -> Operator:
    """To FP8 with the other direction contiguous, as a weight gradient needs it."""
    return memory(name, "cast_transpose", rows, columns, in_bytes + 1.0)


def dequantise(name: str, rows: int, columns: int) -> Operator:
    """FP8 stash back to BF16, in a loop over the values."""
    return memory(name, "quant", rows, columns, FP8_BYTES + BF16_BYTES, fine=True)


def copy(name: str, rows: int, columns: int) -> Operator:
    """BF16 read and written."""
    return memory(name, "copy", rows, columns, 2 * BF16_BYTES)


def strided(
    name: str, rows: int, columns: int, value_bytes: float = 2 * BF16_BYTES, calls: int = 1
) -> Operator:
    """A framework's copy between tensors that are not contiguous: bound by the arithmetic of addresses.

    rows, columns : of one call
    """
    return memory(name, "strided", rows, columns, value_bytes, calls)


def norm(name: str, rows: int, columns: int, tensors: int = 2) -> Operator:
    """RMSNorm over BF16 `tensors` read or written (4 with the residual, or backward)."""
    return memory(name, "norm", rows, columns, tensors * BF16_BYTES)


def received_tokens(model: ModelSpec, load: Load) -> float:
    """Distinct tokens behind the expert rows: a token whose experts share a device arrives there once.

    Top-k of the E' experts in the groups a token may reach, drawn evenly; a device holds d of them. The
    share of devices that a token reaches is 1 - C(E'-d, k) / C(E', k).

    >>> from netsim.specs import WorkloadSpec, load as load_spec
    >>> v3 = load_spec(WorkloadSpec, "workload", "deepseek-v3").model
    >>> round(received_tokens(v3, Load(4096, 4096, 32768, 4)) / 4096, 2)
    7.36
    """
    moe = model.experts
    reach = moe.group_limit * (moe.experts // moe.groups)
    held = min(load.local_experts, reach)
    missed = math.comb(reach - held, moe.top_k) / math.comb(reach, moe.top_k)
    distinct = reach / held * (1.0 - missed)
    return load.expert_rows * distinct / moe.top_k
