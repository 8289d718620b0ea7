"""The causal attention core at MLA widths: query and key wider than value, as training runs it.

cuDNN's fused kernel through torch, which takes unequal widths without padding. Left out: FlashAttention-3,
variable-length batches, the latent (absorbed) form used in decoding.
"""

from __future__ import annotations

import math
from typing import Any

from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import Shape

_TOLERANCE = 1e-2


def attention(gpu: Gpu, shape: Shape) -> Built:
    """Forward, or backward alone (its forward ran before)."""
    torch, backward = gpu.torch, shape.kernel == "attn_bwd"
    heads, length = shape.n, shape.m
    q, k = (gpu.normal(shape.batch, heads, length, shape.k) for _ in range(2))
    v, dout = (gpu.normal(shape.batch, heads, length, shape.v_dim) for _ in range(2))
    if not backward:
        return Built(lambda: _core(torch, q, k, v), lambda: _forward_error(gpu, q, k, v), _TOLERANCE)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = _core(torch, *leaves)

    def run() -> Any:
        return torch.autograd.grad(out, leaves, dout, retain_graph=True)

    return Built(run, lambda: _backward_error(gpu, leaves, dout, run()), _TOLERANCE)


def _core(torch: Any, q: Any, k: Any, v: Any) -> Any:
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.CUDNN_ATTENTION):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _reference(torch: Any, q: Any, k: Any, v: Any, rows: Any) -> Any:
    """One head in float32: queries of some rows against all keys before them."""
    scores = q @ k.t() / math.sqrt(q.shape[-1])
    hidden = torch.arange(len(k), device=k.device)[None, :] > rows[:, None]
    return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v


def _forward_error(gpu: Gpu, q: Any, k: Any, v: Any) -> float:
    rows, head = gpu.sample(q.shape[2]), q.shape[1] - 1
    reference = _reference(
        gpu.torch, q[-1, head][rows].float(), k[-1, head].float(), v[-1, head].float(), rows
    )
    return gpu.relative_error(_core(gpu.torch, q, k, v)[-1, head][rows], reference)


def _backward_error(gpu: Gpu, leaves: list[Any], dout: Any, result: tuple[Any, ...]) -> float:
    """The worst of the three gradients, over all rows of the last head."""
    torch = gpu.torch
    with torch.enable_grad():
        q, k, v = (x.detach()[-1, -1].float().requires_grad_() for x in leaves)
        out = _reference(torch, q, k, v, torch.arange(len(q), device=q.device))
        reference = torch.autograd.grad(out, (q, k, v), dout[-1, -1].float())
    return max(gpu.relative_error(x[-1, -1], y) for x, y in zip(result, reference, strict=True))
