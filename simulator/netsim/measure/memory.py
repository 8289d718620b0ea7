"""Memory-bound kernels over rows: operands, the launch of a Triton or torch kernel, and a float32 reference.

Outputs are filled with NaN (bytes with a pattern) before they are checked, so that a value never written shows.
The reference is of sampled rows, except where a kernel is one call of torch whose result is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.measure import triton_rows
from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import Shape

#: rounding of BF16, and of e4m3
_BF16, _E4M3 = 5e-3, 4e-2
_GROUPS = 16


def _width(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _warps(width: int) -> int:
    return max(1, min(16, width // 1024))


def _rms(x: Any) -> Any:
    return x * (x.square().mean(dim=-1, keepdim=True) + 1e-6).rsqrt()


def _checked(
    gpu: Gpu,
    shape: Shape,
    run: Callable[[], Any],
    out: Any,
    reference: Callable[[Any], Any],
    tolerance: float = _BF16,
) -> Built:
    """`reference(rows)` gives some rows of `out`; `run` must write all of them."""

    def error() -> float:
        out.fill_(float("nan"))
        run()
        rows = gpu.sample(shape.m)
        return gpu.relative_error(out[rows], reference(rows))

    return Built(run, error, tolerance)


def rmsnorm(gpu: Gpu, shape: Shape) -> Built:
    """RMSNorm."""
    m, n, width = shape.m, shape.n, _width(shape.n)
    x, w = gpu.normal(m, n), gpu.normal(n)
    y, kernel = gpu.torch.empty_like(x), gpu.jit(triton_rows.rmsnorm)

    def run() -> None:
        kernel[(m,)](x, w, y, n, WIDTH=width, num_warps=_warps(width))

    return _checked(gpu, shape, run, y, lambda rows: _rms(x[rows].float()) * w.float())


def add_rmsnorm(gpu: Gpu, shape: Shape) -> Built:
    """Residual added, then RMSNorm; both results written."""
    m, n, width = shape.m, shape.n, _width(shape.n)
    x, r, w = gpu.normal(m, n), gpu.normal(m, n), gpu.normal(n)
    s, y, kernel = gpu.torch.empty_like(x), gpu.torch.empty_like(x), gpu.jit(triton_rows.add_rmsnorm)

    def run() -> None:
        kernel[(m,)](x, r, w, s, y, n, WIDTH=width, num_warps=_warps(width))

    return _checked(gpu, shape, run, y, lambda rows: _rms(x[rows].float() + r[rows].float()) * w.float())


def rmsnorm_bwd_dx(gpu: Gpu, shape: Shape) -> Built:
    """Gradient of the input of RMSNorm."""
    m, n, width = shape.m, shape.n, _width(shape.n)
    x, dy, w = gpu.normal(m, n), gpu.normal(m, n), gpu.normal(n)
    dx, kernel = gpu.torch.empty_like(x), gpu.jit(triton_rows.rmsnorm_bwd)

    def run() -> None:
        kernel[(m,)](x, w, dy, dx, n, WIDTH=width, num_warps=_warps(width))

    def reference(rows: Any) -> Any:
        v = x[rows].float().requires_grad_()
        return gpu.torch.autograd.grad(_rms(v) * w.float(), v, dy[rows].float())[0]

    return _checked(gpu, shape, run, dx, reference)


def _fp8(gpu: Gpu, m: int, n: int) -> tuple[Any, Any, int]:
    """An FP8 matrix, its scales for 128 values, and how many of these a row has."""
    per_row = -(-n // 128)
    q = gpu.normal(m, n).to(gpu.torch.float8_e4m3fn)
    return q, gpu.torch.rand(m, per_row, device=gpu.device) + 0.5, per_row


def _scaled(q: Any, s: Any) -> Any:
    return q.float() * s.repeat_interleave(128, dim=1)[:, : q.shape[1]]


def quant_1x128(gpu: Gpu, shape: Shape) -> Built:
    """BF16 to FP8 with a scale for 128 values."""
    return _quantiser(gpu, shape, triton_rows.quant, gpu.normal(shape.m, shape.n), lambda x: x)


def swiglu_quant(gpu: Gpu, shape: Shape) -> Built:
    """SwiGLU written as FP8."""

    def reference(x: Any) -> Any:
        gate, up = x.chunk(2, dim=1)
        return gpu.torch.nn.functional.silu(gate) * up

    return _quantiser(gpu, shape, triton_rows.swiglu_quant, gpu.normal(shape.m, 2 * shape.n), reference)


def _quantiser(gpu: Gpu, shape: Shape, define: Any, x: Any, reference: Callable[[Any], Any]) -> Built:
    (m, n), kernel = (shape.m, shape.n), gpu.jit(define)
    q, s, per_row = _fp8(gpu, m, n)
    groups = m * per_row

    def run() -> None:
        kernel[(-(-groups // _GROUPS),)](x, q, s, n, per_row, groups, GROUPS=_GROUPS, num_warps=4)

    def error() -> float:
        s.fill_(float("nan"))
        run()
        rows = gpu.sample(m)
        return gpu.relative_error(_scaled(q[rows], s[rows]), reference(x[rows].float()))

    return Built(run, error, _E4M3)


def dequant_1x128(gpu: Gpu, shape: Shape) -> Built:
    """FP8 with a scale for 128 values to BF16."""
    (m, n), kernel = (shape.m, shape.n), gpu.jit(triton_rows.dequant)
    q, s, per_row = _fp8(gpu, m, n)
    y, groups = gpu.torch.empty(m, n, dtype=gpu.torch.bfloat16, device=gpu.device), m * per_row

    def run() -> None:
        kernel[(-(-groups // _GROUPS),)](q, s, y, n, per_row, groups, GROUPS=_GROUPS, num_warps=4)

    return _checked(gpu, shape, run, y, lambda rows: _scaled(q[rows], s[rows]))


def quant_transpose(gpu: Gpu, shape: Shape) -> Built:
    """BF16 to the FP8 transpose, scaled along the rows."""
    (m, n), kernel = (shape.m, shape.n), gpu.jit(triton_rows.quant_transpose)
    x, blocks = gpu.normal(m, n), -(-m // 128)
    q = gpu.torch.empty(n, m, dtype=gpu.torch.float8_e4m3fn, device=gpu.device)
    s = gpu.torch.empty(n, blocks, device=gpu.device)

    def run() -> None:
        kernel[(blocks, -(-n // 64))](x, q, s, m, n, TILE=64, num_warps=8)

    def error() -> float:
        s.fill_(float("nan"))
        run()
        columns = gpu.sample(n)
        return gpu.relative_error(_scaled(q[columns], s[columns]), x[:, columns].float().t())

    return Built(run, error, _E4M3)


def swiglu(gpu: Gpu, shape: Shape) -> Built:
    """SwiGLU in BF16."""
    (m, n), kernel, torch = (shape.m, shape.n), gpu.jit(triton_rows.swiglu), gpu.torch
    x, width = gpu.normal(m, 2 * n), min(2048, _width(n))
    y = torch.empty(m, n, dtype=torch.bfloat16, device=gpu.device)

    def run() -> None:
        kernel[(m, -(-n // width))](x, y, n, WIDTH=width, num_warps=4)

    def reference(rows: Any) -> Any:
        gate, up = x[rows].float().chunk(2, dim=1)
        return torch.nn.functional.silu(gate) * up

    return _checked(gpu, shape, run, y, reference)


def swiglu_bwd(gpu: Gpu, shape: Shape) -> Built:
    """Gradients of gate and up."""
    (m, n), kernel, torch = (shape.m, shape.n), gpu.jit(triton_rows.swiglu_bwd), gpu.torch
    x, dy, width = gpu.normal(m, 2 * n), gpu.normal(m, n), min(2048, _width(n))
    dx = torch.empty_like(x)

    def run() -> None:
        kernel[(m, -(-n // width))](x, dy, dx, n, WIDTH=width, num_warps=4)

    def reference(rows: Any) -> Any:
        v = x[rows].float().requires_grad_()
        gate, up = v.chunk(2, dim=1)
        return torch.autograd.grad(torch.nn.functional.silu(gate) * up, v, dy[rows].float())[0]

    return _checked(gpu, shape, run, dx, reference)


def rope(gpu: Gpu, shape: Shape) -> Built:
    """Rotary embedding of n / 64 heads."""
    (m, n), kernel, torch = (shape.m, shape.n), gpu.jit(triton_rows.rope), gpu.torch
    if n % 64:
        raise RuntimeError(f"rotary heads have 64 values, and n = {n}")
    x, angle = gpu.normal(m, n), gpu.normal(m, 32, dtype=torch.float32)
    cos, sin, y = angle.cos(), angle.sin(), torch.empty_like(x)
    heads = min(32, _width(n // 64))

    def run() -> None:
        kernel[(m, -(-n // (64 * heads)))](x, cos, sin, y, n, HEADS=heads, num_warps=4)

    def reference(rows: Any) -> Any:
        a, b = x[rows].float().view(len(rows), -1, 2, 32).unbind(2)
        c, s = cos[rows][:, None], sin[rows][:, None]
        return torch.stack((a * c - b * s, b * c + a * s), 2).reshape(len(rows), n)

    return _checked(gpu, shape, run, y, reference)


def slice_copy(gpu: Gpu, shape: Shape) -> Built:
    """The left half of rows of 2n made contiguous."""
    x = gpu.normal(shape.m, 2 * shape.n)[:, : shape.n]
    y = gpu.torch.empty(shape.m, shape.n, dtype=x.dtype, device=gpu.device)
    return _checked(gpu, shape, lambda: y.copy_(x), y, lambda rows: x[rows], 0.0)


def residual_add(gpu: Gpu, shape: Shape) -> Built:
    """Sum of two."""
    x, r = gpu.normal(shape.m, shape.n), gpu.normal(shape.m, shape.n)
    y = gpu.torch.empty_like(x)
    return _checked(
        gpu, shape, lambda: gpu.torch.add(x, r, out=y), y, lambda rows: x[rows].float() + r[rows].float()
    )


def cast_bf16_fp32(gpu: Gpu, shape: Shape) -> Built:
    """BF16 to FP32."""
    x = gpu.normal(shape.m, shape.n)
    y = gpu.torch.empty(shape.m, shape.n, device=gpu.device)
    return _checked(gpu, shape, lambda: y.copy_(x), y, lambda rows: x[rows].float(), 0.0)
