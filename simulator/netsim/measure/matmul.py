"""Dense and grouped matrix products of the library, on random operands, with their float32 reference.

FP8 is e4m3 with float32 scales chosen from the data: one a tensor, one a row, or one for 1x128 values of the
activations and 128x128 of the weights (1x128 of both for a weight gradient, whose two operands are activations).
Operands are contiguous along k, as Hopper's FP8 instructions want them. Left out: fast accumulation, bias,
products added to an output.
"""

from __future__ import annotations

from typing import Any

from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import BLOCK, Shape

_E4M3_MAX = 448.0
#: BF16 out: 2e-3 is its rounding; FP8 products accumulate with fewer bits
_TOLERANCE = 1e-2


class Operand:
    """A matrix of rows x k as the library takes it, and as float32 for the reference."""

    def __init__(self, gpu: Gpu, rows: int, k: int, dtype: str, tall: bool = False) -> None:
        self.gpu, self.torch, self.dtype = gpu, gpu.torch, dtype
        x = gpu.normal(rows, k)
        self.block_rows = BLOCK if tall else 1
        self.scale: Any = None
        if dtype == "bf16":
            self.values = x
        elif dtype == "fp8_block":
            self._blocks(x)
        else:
            top = x.abs().amax() if dtype == "fp8_tensor" else x.abs().amax(dim=1, keepdim=True)
            self.scale = (top.float() / _E4M3_MAX).clamp_min(1e-12)
            self.values = (x / self.scale).to(self.torch.float8_e4m3fn)

    def _blocks(self, x: Any) -> None:
        rows, k = x.shape
        if k % BLOCK:
            raise RuntimeError(f"block scales need k in multiples of {BLOCK}, and k = {k}")
        padded = self.torch.nn.functional.pad(x, (0, 0, 0, -rows % self.block_rows))
        blocks = padded.view(-1, self.block_rows, k // BLOCK, BLOCK)
        self.scale = (blocks.abs().amax(dim=(1, 3)).float() / _E4M3_MAX).clamp_min(1e-12)
        scaled = blocks / self.scale[:, None, :, None]
        self.values = scaled.view(padded.shape)[:rows].to(self.torch.float8_e4m3fn)

    def float(self, rows: Any) -> Any:
        """Some rows in float32, scales applied."""
        x = self.values[rows].float()
        if self.dtype == "fp8_block":
            return x * self.scale[rows // self.block_rows].repeat_interleave(BLOCK, dim=1)
        if self.dtype == "fp8_row":
            return x * self.scale[rows]
        return x if self.scale is None else x * self.scale

    def block_scale(self) -> Any:
        """Block scales in the layout of cuBLAS: rows fastest for 1x128; for 128x128 k fastest, padded to fours."""
        if self.block_rows == 1:
            return self.scale.t().contiguous().t()
        return self.torch.nn.functional.pad(self.scale, (0, -self.scale.shape[1] % 4)).t()


def _product(a: Operand, b: Operand, out: Any) -> Any:
    """A callable for a times the transpose of b."""
    torch = a.torch
    x, y = a.values, b.values.t()
    if a.dtype == "bf16":
        if out == torch.bfloat16:
            return lambda: torch.mm(x, y)
        return lambda: torch.mm(x, y, out_dtype=out)
    if a.dtype != "fp8_block":
        scale_b = b.scale if b.scale.ndim == 0 else b.scale.t()
        return lambda: torch._scaled_mm(x, y, scale_a=a.scale, scale_b=scale_b, out_dtype=out)
    functional = torch.nn.functional
    recipes = {1: functional.ScalingType.BlockWise1x128, BLOCK: functional.ScalingType.BlockWise128x128}
    scales = a.block_scale(), recipes[a.block_rows], b.block_scale(), recipes[b.block_rows]
    return lambda: functional.scaled_mm(x, y, *scales, output_dtype=out)


def dense(gpu: Gpu, shape: Shape) -> Built:
    """A dense product, or a weight gradient."""
    wgrad = shape.kernel == "gemm_wgrad"
    a = Operand(gpu, shape.m, shape.k, shape.dtype)
    b = Operand(gpu, shape.n, shape.k, shape.dtype, tall=not wgrad)
    run = _product(a, b, gpu.torch.float32 if shape.out_dtype == "fp32" else gpu.torch.bfloat16)

    def error() -> float:
        rows, columns = gpu.sample(shape.m), gpu.sample(shape.n, 256)
        return gpu.relative_error(run()[rows][:, columns], a.float(rows) @ b.float(columns).t())

    return Built(run, error, _TOLERANCE)


def _offsets(gpu: Gpu, shape: Shape) -> Any:
    rows = gpu.torch.tensor(shape.group_rows, dtype=gpu.torch.int32, device=gpu.device)
    return rows.cumsum(0, dtype=gpu.torch.int32)


def _grouped_mm(torch: Any) -> Any:
    return getattr(torch.nn.functional, "grouped_mm", None) or torch._grouped_mm


def grouped(gpu: Gpu, shape: Shape) -> Built:
    """The rows of each group times the transpose of its own n x k weights."""
    torch, offsets = gpu.torch, _offsets(gpu, shape)
    a = Operand(gpu, shape.m, shape.k, shape.dtype)
    b = Operand(gpu, shape.groups * shape.n, shape.k, shape.dtype)
    weights = b.values.view(shape.groups, shape.n, shape.k).transpose(1, 2)
    if shape.dtype == "bf16":
        product = _grouped_mm(torch)

        def run() -> Any:
            return product(a.values, weights, offs=offsets)
    else:
        scale_a, scale_b = a.scale.view(-1), b.scale.view(shape.groups, shape.n)

        def run() -> Any:
            return torch._scaled_grouped_mm(
                a.values, weights, scale_a, scale_b, offs=offsets, out_dtype=torch.bfloat16
            )

    def error() -> float:
        rows, columns = gpu.sample(shape.m, 32), gpu.sample(shape.n)
        group = torch.searchsorted(offsets, rows.to(torch.int32), right=True)
        own = b.float((group[:, None] * shape.n + columns[None, :]).view(-1)).view(
            len(rows), len(columns), -1
        )
        return gpu.relative_error(run()[rows][:, columns], torch.einsum("rk,rck->rc", a.float(rows), own))

    return Built(run, error, _TOLERANCE)


def grouped_wgrad(gpu: Gpu, shape: Shape) -> Built:
    """For each group, the gradient's rows transposed times the input's rows."""
    offsets, product = _offsets(gpu, shape), _grouped_mm(gpu.torch)
    dy, x = gpu.normal(shape.m, shape.n), gpu.normal(shape.m, shape.k)

    def run() -> Any:
        return product(dy.t(), x, offs=offsets)

    def error() -> float:
        rows, columns = gpu.sample(shape.n), gpu.sample(shape.k)
        begin = sum(shape.group_rows[:-1])
        reference = dy[begin:][:, rows].float().t() @ x[begin:][:, columns].float()
        return gpu.relative_error(run()[-1][rows][:, columns], reference)

    return Built(run, error, _TOLERANCE)
