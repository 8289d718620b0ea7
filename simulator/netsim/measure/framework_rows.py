"""The kernels of `measure.framework`, built and checked: torch's own, and what torch.compile makes of a function.

A forward is compared with itself in float32, a backward with torch's gradient in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.measure.device import Built, Gpu
from netsim.measure.framework import ROWS, VOCABULARY
from netsim.measure.shapes import Shape


def build(gpu: Gpu, shape: Shape) -> Built:
    """A kernel of this module."""
    if shape.kernel in ("fw_dgrad", "fw_wgrad"):
        return _product(gpu, shape)
    return _batched(gpu, shape) if shape.kernel == "fw_bmm" else _BUILD[shape.kernel](gpu, shape)


def _product(gpu: Gpu, shape: Shape) -> Built:
    a, b = gpu.normal(shape.m, shape.k), gpu.normal(shape.k, shape.n)
    if shape.kernel == "fw_wgrad":
        a = a.t().contiguous().t()

    def run() -> Any:
        return gpu.torch.mm(a, b)

    def error() -> float:
        rows, columns = gpu.sample(shape.m), gpu.sample(shape.n, 256)
        return gpu.relative_error(run()[rows][:, columns], a[rows].float() @ b[:, columns].float())

    return Built(run, error, 1e-2)


def _batched(gpu: Gpu, shape: Shape) -> Built:
    a, b = gpu.normal(shape.groups, shape.m, shape.k), gpu.normal(shape.groups, shape.k, shape.n)
    return Built(
        lambda: gpu.torch.bmm(a, b),
        lambda: gpu.relative_error(gpu.torch.bmm(a, b)[-1], a[-1].float() @ b[-1].float()),
        1e-2,
    )


def _against(
    gpu: Gpu, run: Callable[[], Any], reference: Callable[[], Any], tolerance: float = 2e-2
) -> Built:
    return Built(run, lambda: gpu.relative_error(run(), reference()), tolerance)


def _made(gpu: Gpu, shape: Shape, function: Any) -> Any:
    compiled = ROWS[shape.kernel][2]
    return gpu.torch.compile(function, dynamic=False) if compiled else function


def _forward(function: Callable[..., Any], operands: Callable[[Gpu, Shape], tuple[Any, ...]]) -> Any:
    def make(gpu: Gpu, shape: Shape) -> Built:
        torch = gpu.torch
        args = operands(gpu, shape)
        made = _made(gpu, shape, lambda *x: function(torch, *x))

        def run() -> Any:
            with torch.no_grad():
                return made(*args)

        return _against(
            gpu, lambda: _first(run()), lambda: _first(function(torch, *(_wide(torch, a) for a in args)))
        )

    return make


def _backward(function: Callable[..., Any], operands: Callable[[Gpu, Shape], tuple[Any, ...]]) -> Any:
    def make(gpu: Gpu, shape: Shape) -> Built:
        torch = gpu.torch
        torch._functorch.config.donated_buffer = False
        args = operands(gpu, shape)
        leaves = [a.requires_grad_() for a in args if a.is_floating_point()]
        made = _made(gpu, shape, lambda *x: function(torch, *x))
        with torch.enable_grad():
            out = _first(made(*args))
        g = torch.ones_like(out) if out.ndim == 0 else gpu.normal(*out.shape, dtype=out.dtype)

        def run() -> Any:
            return torch.autograd.grad(out, leaves, g, retain_graph=True)

        def reference() -> Any:
            with torch.enable_grad():
                wide = [
                    _wide(torch, a.detach()).requires_grad_() if a.is_floating_point() else a for a in args
                ]
                y = _first(function(torch, *wide))
            return torch.autograd.grad(y, [w for w in wide if w.is_floating_point()], g.to(y.dtype))[0]

        return Built(run, lambda: gpu.relative_error(run()[0], reference()), 2e-2)

    return make


def _first(x: Any) -> Any:
    return x[0] if isinstance(x, tuple) else x


def _wide(torch: Any, x: Any) -> Any:
    return x.float() if x.is_floating_point() else x


def _norm(torch: Any, x: Any, w: Any) -> Any:
    return torch.nn.functional.rms_norm(x, (x.shape[-1],), w, 1e-6)


def _add_norm(torch: Any, x: Any, y: Any, w: Any) -> Any:
    z = x + y
    return _norm(torch, z, w), z


def _swiglu(torch: Any, x: Any) -> Any:
    gate, up = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


def _loss(torch: Any, x: Any, labels: Any) -> Any:
    return torch.nn.functional.cross_entropy(x.float(), labels)


def _x_w(gpu: Gpu, s: Shape) -> tuple[Any, ...]:
    return gpu.normal(s.m, s.n), gpu.normal(s.n)


def _logits(gpu: Gpu, s: Shape) -> tuple[Any, ...]:
    return gpu.normal(s.m, s.n), gpu.integers(s.n, s.m)


def _cast_fp8(gpu: Gpu, shape: Shape) -> Built:
    """To E4M3 with one scale a tensor; `both`: the transpose too."""
    torch, x, both = gpu.torch, gpu.normal(shape.m, shape.n), shape.kernel.endswith("both")

    def cast(x: Any) -> Any:
        scale = (x.abs().amax().float() / 448.0).clamp_min(1e-12)
        q = (x.float() / scale).to(torch.float8_e4m3fn)
        return (q, scale, q.t().contiguous()) if both else (q, scale)

    made = torch.compile(cast, dynamic=False)
    return Built(lambda: made(x), lambda: gpu.relative_error(made(x)[0].float() * made(x)[1], x), 4e-2)


def _embedding_bwd(gpu: Gpu, shape: Shape) -> Built:
    torch, index, g = gpu.torch, gpu.integers(VOCABULARY, shape.m), gpu.normal(shape.m, shape.n)

    def run() -> Any:
        return torch.ops.aten.embedding_dense_backward(g, index, VOCABULARY, -1, False)

    def reference() -> Any:
        zero = torch.zeros(VOCABULARY, shape.n, device=gpu.device)
        return zero.index_add_(0, index, g.float())

    return _against(gpu, run, reference)


def _adamw(gpu: Gpu, shape: Shape) -> Built:
    """Fused AdamW over several tensors of one size; the check: parameters move against the gradient."""
    torch = gpu.torch
    dtype = torch.bfloat16 if shape.kernel.endswith("bf16") else torch.float32
    count = 8
    parameters = [
        torch.nn.Parameter(gpu.normal(shape.m // count, shape.n, dtype=dtype)) for _ in range(count)
    ]
    for p in parameters:
        p.grad = gpu.normal(*p.shape, dtype=dtype)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)

    def error() -> float:
        before = parameters[0].detach().clone()
        optimizer.step()
        moved = parameters[0].detach() - before
        return 0.0 if float((moved * parameters[0].grad).sum()) < 0 else 1.0

    return Built(optimizer.step, error, 0.5)


def _split_copy(gpu: Gpu, shape: Shape) -> Built:
    """One gathered buffer copied out to parameters, as FSDP does after its all-gather."""
    torch, count = gpu.torch, 8
    flat = gpu.normal(shape.m * shape.n).view(2, -1)
    outs = [torch.empty(2, flat.shape[1] // count, dtype=flat.dtype, device=gpu.device) for _ in range(count)]
    sizes = [out.shape[1] for out in outs]

    def run() -> Any:
        torch.split_with_sizes_copy(flat, sizes, dim=1, out=outs)
        return outs[-1]

    return _against(gpu, run, lambda: flat[:, -sizes[-1] :], 1e-6)


def _cat_copy(gpu: Gpu, shape: Shape) -> Built:
    """Gradients copied into one buffer, as FSDP does before its reduce-scatter."""
    torch, count = gpu.torch, 8
    grads = [gpu.normal(shape.m // count, shape.n) for _ in range(count)]
    out = torch.empty(2, shape.m * shape.n // 2, dtype=torch.bfloat16, device=gpu.device)

    def run() -> Any:
        torch._chunk_cat(grads, dim=0, num_chunks=2, out=out)
        return out[0, : grads[0].numel() // 2]

    return _against(gpu, run, lambda: grads[0].view(2, -1)[0], 1e-6)


def _router(gpu: Gpu, shape: Shape) -> Built:
    torch, scores = gpu.torch, gpu.normal(shape.m, shape.n, dtype=gpu.torch.float32)

    def run() -> Any:
        return torch.topk(scores.softmax(dim=-1), 8)[0]

    return _against(gpu, run, lambda: scores.softmax(dim=-1).sort(dim=-1, descending=True)[0][:, :8])


def _sort_rows(gpu: Gpu, shape: Shape) -> Built:
    index = gpu.integers(64, shape.m * shape.n)

    def run() -> Any:
        return index.argsort(stable=True)

    return _against(gpu, lambda: index[run()].float(), lambda: index.sort()[0].float(), 1e-6)


def _gather_rows(gpu: Gpu, shape: Shape) -> Built:
    x, index = gpu.normal(shape.m, shape.n), gpu.integers(shape.m, shape.m)
    return _against(gpu, lambda: x[index], lambda: x.index_select(0, index), 1e-6)


_BUILD: dict[str, Callable[[Gpu, Shape], Built]] = {
    "fw_norm": _forward(_norm, _x_w),
    "fw_add_norm": _forward(_add_norm, lambda g, s: (g.normal(s.m, s.n), *_x_w(g, s))),
    "fw_norm_bwd": _backward(_norm, _x_w),
    "fw_swiglu": _forward(_swiglu, lambda g, s: (g.normal(s.m, 2 * s.n),)),
    "fw_swiglu_bwd": _backward(_swiglu, lambda g, s: (g.normal(s.m, 2 * s.n),)),
    "fw_loss": _forward(_loss, _logits),
    "fw_loss_bwd": _backward(_loss, _logits),
    "fw_eager_loss": _forward(_loss, _logits),
    "fw_eager_loss_bwd": _backward(_loss, _logits),
    "fw_embedding": _forward(
        lambda torch, i, w: torch.nn.functional.embedding(i, w),
        lambda g, s: (g.integers(VOCABULARY, s.m), g.normal(VOCABULARY, s.n)),
    ),
    "fw_embedding_bwd": _embedding_bwd,
    "fw_cast_fp8": _cast_fp8,
    "fw_cast_fp8_both": _cast_fp8,
    "fw_adamw_bf16": _adamw,
    "fw_adamw_fp32": _adamw,
    "fw_split_copy": _split_copy,
    "fw_cat_copy": _cat_copy,
    "fw_router": _router,
    "fw_sort_rows": _sort_rows,
    "fw_gather_rows": _gather_rows,
}
