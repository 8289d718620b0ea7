"""Copies, fills and reads of bytes, and the optimizer over parameters: what HBM and the host link give.

A kernel of m bytes or m values; sizes from the L2 to well past it.
"""

from __future__ import annotations

from typing import Any

from netsim.measure import triton_rows
from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import Shape

_WIDTH = 1024


def copy(gpu: Gpu, shape: Shape) -> Built:
    """Bytes copied on the device, to it, or from it (pinned host memory)."""
    torch, where = gpu.torch, {"copy_d2d": "dd", "copy_h2d": "hd", "copy_d2h": "dh"}[shape.kernel]
    source = torch.randint(0, 256, (shape.m,), generator=gpu.random, device=gpu.device, dtype=torch.uint8)
    if where[0] == "h":
        source = source.cpu().pin_memory()
    on_device = where[1] == "d"
    out = torch.empty(
        shape.m, dtype=torch.uint8, device=gpu.device if on_device else "cpu", pin_memory=not on_device
    )

    def run() -> Any:
        return out.copy_(source, non_blocking=True)

    def error() -> float:
        out.fill_(171)
        run()
        torch.cuda.synchronize()
        step = max(1, shape.m // 4096)
        return 0.0 if torch.equal(out[::step].cpu(), source[::step].cpu()) else 1.0

    return Built(run, error, 0.0)


def memset(gpu: Gpu, shape: Shape) -> Built:
    """Bytes set to zero."""
    out = gpu.torch.empty(shape.m, dtype=gpu.torch.uint8, device=gpu.device)

    def error() -> float:
        out.fill_(1)
        out.zero_()
        return float(out.any())

    return Built(out.zero_, error, 0.0)


def read_sum(gpu: Gpu, shape: Shape) -> Built:
    """32-bit integers added up, in 32 bits."""
    torch = gpu.torch
    x = gpu.integers(100, shape.m // 4).to(torch.int32)

    def run() -> Any:
        return torch.sum(x, dtype=torch.int32)

    return Built(run, lambda: float((int(run()) - int(x.long().sum())) % 2**32 != 0), 0.0)


def grad_accum(gpu: Gpu, shape: Shape) -> Built:
    """A BF16 gradient added to an FP32 one."""
    total, gradient = gpu.torch.zeros(shape.m, device=gpu.device), gpu.normal(shape.m)

    def run() -> Any:
        return total.add_(gradient)

    def error() -> float:
        total.zero_()
        run()
        rows = gpu.sample(shape.m, 4096)
        return gpu.relative_error(total[rows], gradient[rows])

    return Built(run, error, 0.0)


def _moments(gpu: Gpu, count: int, low: Any) -> tuple[Any, ...]:
    """Weight, gradient, first and second moment."""
    torch = gpu.torch
    p, g = gpu.normal(count, dtype=torch.float32), gpu.normal(count, dtype=torch.float32)
    return (
        p,
        g,
        torch.zeros(count, dtype=low, device=gpu.device),
        torch.zeros(count, dtype=low, device=gpu.device),
    )


def _adamw(p: Any, g: Any) -> Any:
    """The first step in float32, from moments of zero and without bias correction."""
    return p - 1e-3 * (0.1 * g / ((0.05 * g * g).sqrt() + 1e-8) + 0.1 * p)


def adam_bf16_moments(gpu: Gpu, shape: Shape) -> Built:
    """AdamW with BF16 moments and FP32 master weights, one pass."""
    torch, kernel = gpu.torch, gpu.jit(triton_rows.adam)
    p, g, m, v = _moments(gpu, shape.m, torch.bfloat16)
    low = torch.empty(shape.m, dtype=torch.bfloat16, device=gpu.device)

    def run() -> None:
        kernel[(-(-shape.m // _WIDTH),)](p, g, m, v, low, shape.m, WIDTH=_WIDTH, num_warps=4)

    def error() -> float:
        rows = gpu.sample(shape.m, 4096)
        expected = _adamw(p[rows], g[rows])
        low.fill_(float("nan"))
        run()
        return max(gpu.relative_error(low[rows], expected), gpu.relative_error(p[rows], expected))

    return Built(run, error, 5e-3)


def adamw_fused(gpu: Gpu, shape: Shape) -> Built:
    """torch's fused AdamW, all in FP32."""
    torch = gpu.torch
    p, g, *_ = _moments(gpu, shape.m, torch.bfloat16)
    p.requires_grad_().grad = g
    optimizer = torch.optim.AdamW([p], lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def error() -> float:
        rows = gpu.sample(shape.m, 4096)
        old = p.detach()[rows].clone()
        optimizer.step()
        # with bias correction the first step is the sign of the gradient
        expected = old * (1 - 1e-4) - 1e-3 * g[rows] / (g[rows].abs() + 1e-8)
        return gpu.relative_error(p.detach()[rows], expected)

    return Built(optimizer.step, error, 1e-4)
