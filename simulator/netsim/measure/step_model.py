"""The model of a cut in plain PyTorch: RMSNorm, grouped-query attention, SwiGLU, experts, loss; BF16 or FP8 products.

FP8 products have one scale a tensor, taken from the values at hand (current scaling): forward and both gradients by
`torch._scaled_mm`, E4M3 forward and E5M2 for gradients, as TransformerEngine's hybrid recipe. Embedding, head, router
and attention stay in BF16. Experts run as one grouped product in BF16, one product an expert in FP8.
Every expert receives the same number of rows: tokens are dealt in turn, weighted by the router's scores.

Left out: dropout, biases, padding, kernels that only a framework's own library has.

Source: Micikevicius et al. 2022, arXiv 2209.05433 (FP8 formats); NVIDIA TransformerEngine, `Float8CurrentScaling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from netsim.measure.step_cut import Cut
from netsim.measure.step_links import Links

_EPS = 1e-6


def fp8_product(torch: Any) -> Callable[[Any, Any], Any]:
    """A differentiable x (rows, k) times the transpose of w (n, k) in FP8."""

    def quantised(x: Any, dtype: Any) -> tuple[Any, Any]:
        most = torch.finfo(dtype).max
        scale = (x.abs().amax().float() / most).clamp_min(1e-12)
        return (x.float() / scale).to(dtype), scale

    def multiply(a: Any, sa: Any, b: Any, sb: Any, fast: bool) -> Any:
        if not a.is_cuda:  # no such product there: the same values, for trying the plumbing
            return ((a.float() * sa) @ (b.float() * sb).t()).to(torch.bfloat16)
        return torch._scaled_mm(
            a, b.t(), scale_a=sa, scale_b=sb, out_dtype=torch.bfloat16, use_fast_accum=fast
        )

    class Product(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            xq, sx = quantised(x, torch.float8_e4m3fn)
            wq, sw = quantised(w, torch.float8_e4m3fn)
            ctx.save_for_backward(xq, sx, wq, sw)
            return multiply(xq, sx, wq, sw, True)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            xq, sx, wq, sw = ctx.saved_tensors
            gq, sg = quantised(g.contiguous(), torch.float8_e5m2)
            dx = multiply(gq, sg, wq.t().contiguous(), sw, False)
            dw = multiply(gq.t().contiguous(), sg, xq.t().contiguous(), sx, False)
            return dx, dw

    def product(x: Any, w: Any) -> Any:
        return Product.apply(x.reshape(-1, x.shape[-1]), w).view(*x.shape[:-1], w.shape[0])

    return product


def _dense_class(torch: Any, cut: Cut, product: Any) -> Any:
    """Weights of a layer, and its parts without experts: norms, attention, SwiGLU."""
    functional = torch.nn.functional
    heads, keys, width = cut.heads // cut.tensor, cut.kv_heads // cut.tensor, cut.head_dim

    class Dense(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            h = cut.hidden
            self.attn_norm, self.ffn_norm = _ones(torch, h), _ones(torch, h)
            self.qkv = _weight(torch, (heads + 2 * keys) * width, h)
            self.out = _weight(torch, h, heads * width)
            if not cut.experts:
                self.up = _weight(torch, 2 * cut.dense_width // cut.tensor, h)
                self.down = _weight(torch, h, cut.dense_width // cut.tensor)
            else:
                local = cut.experts // cut.expert
                self.router = _weight(torch, cut.experts, h)
                self.experts_up = _weight(torch, local, 2 * cut.expert_width, h)
                self.experts_down = _weight(torch, local, h, cut.expert_width)
                if cut.shared:
                    self.up = _weight(torch, 2 * cut.shared * cut.expert_width, h)
                    self.down = _weight(torch, h, cut.shared * cut.expert_width)

        def norm(self, x: Any, w: Any) -> Any:
            return functional.rms_norm(x, (x.shape[-1],), w, _EPS)

        def joined_norm(self, x: Any, y: Any, w: Any) -> Any:
            z = x + y
            return z, functional.rms_norm(z, (z.shape[-1],), w, _EPS)

        def added(self, x: Any, y: Any) -> Any:
            return x + y

        def attention(self, x: Any, cos: Any, sin: Any) -> Any:
            b, s, _ = x.shape
            qkv = product(x, self.qkv).view(b, s, heads + 2 * keys, width)
            q, k, v = qkv.split((heads, keys, keys), dim=2)
            q, k = _rotated(torch, q, cos, sin), _rotated(torch, k, cos, sin)
            core = functional.scaled_dot_product_attention(
                q.transpose(1, 2),
                k.transpose(1, 2),
                v.transpose(1, 2),
                is_causal=True,
                enable_gqa=heads != keys,
            )
            return product(core.transpose(1, 2).reshape(b, s, heads * width), self.out)

        def swiglu_ffn(self, x: Any) -> Any:
            gate, up = product(x, self.up).chunk(2, dim=-1)
            return product(functional.silu(gate) * up, self.down)

    return Dense


def _experts_class(torch: Any, cut: Cut, product: Any, dense: Any) -> Any:
    """The same with the parts of experts: gate, experts, sum."""
    functional = torch.nn.functional

    class Experts(dense):  # type: ignore[misc]
        def route(self, x: Any, index: Any) -> Any:
            """Rows in the order of their experts, what they weigh, and where each came from."""
            flat = x.reshape(-1, cut.hidden)
            scores = functional.linear(flat, self.router).float().softmax(dim=-1)
            weights = scores.gather(1, index)
            weights = weights / weights.sum(dim=-1, keepdim=True)
            order = index.view(-1).argsort(stable=True)
            return flat[order // cut.top_k], weights.to(flat.dtype), order

        def experts(self, rows: Any) -> Any:
            """rows (local experts x rows of each, hidden), the same number for each."""
            local = self.experts_up.shape[0]
            each = rows.shape[0] // local
            if cut.products == "fp8" or not rows.is_cuda:
                # unbound once: picking one expert after the other would add up as many whole gradients
                split = rows.view(local, each, cut.hidden), self.experts_up, self.experts_down
                each_expert = zip(*(x.unbind(0) for x in split), strict=True)
                parts = []
                for part, up_weight, down_weight in each_expert:
                    gate, up = product(part, up_weight).chunk(2, dim=-1)
                    parts.append(product(functional.silu(gate) * up, down_weight))
                return torch.cat(parts)
            ends = torch.arange(1, local + 1, device=rows.device, dtype=torch.int32) * each
            gate, up = torch._grouped_mm(rows, self.experts_up.transpose(1, 2), offs=ends).chunk(2, dim=-1)
            inner = functional.silu(gate) * up
            return torch._grouped_mm(inner, self.experts_down.transpose(1, 2), offs=ends)

        def combine(self, rows: Any, weights: Any, order: Any, like: Any) -> Any:
            back = rows[order.argsort()].view(-1, cut.top_k, cut.hidden)
            return (back * weights[..., None]).sum(dim=1).view(like.shape)

    return Experts


def layer_class(torch: Any, cut: Cut, links: Links) -> Any:
    """A layer as a module: x (sequences, tokens, hidden) to the same; one class a model, to compile it once."""
    dense = not cut.experts
    product = fp8_product(torch) if cut.products == "fp8" else torch.nn.functional.linear
    Parts = _experts_class(torch, cut, product, _dense_class(torch, cut, product))

    class Layer(Parts):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            maybe = torch.compile if cut.compiled and links.pieces else (lambda f: f)
            self.norm_part, self.attention_part = maybe(self.norm), maybe(self.attention)
            self.joined_norm_part, self.add_part = maybe(self.joined_norm), maybe(self.added)
            self.ffn_part = maybe(self.swiglu_ffn)
            self.route_part, self.experts_part = maybe(self.route), maybe(self.experts)
            self.combine_part = maybe(self.combine)

        def moe(self, x: Any, index: Any) -> Any:
            rows, weights, order = self.route_part(x, index)
            rows = links.to_experts(rows, cut)
            rows = self.experts_part(rows)
            y = self.combine_part(links.from_experts(rows, cut), weights, order, x)
            return self.add_part(y, self.ffn_part(x)) if cut.shared else y

        def forward(self, x: Any, cos: Any, sin: Any, index: Any) -> Any:
            y = links.enter(self.norm_part(x, self.attn_norm))
            y = links.leave(self.attention_part(y, cos, sin))
            x, y = self.joined_norm_part(x, y, self.ffn_norm)
            y = links.leave(self.ffn_part(links.enter(y))) if dense else self.moe(y, index)
            return self.add_part(x, y)

    return Layer


def make_model(torch: Any, cut: Cut, links: Links, first: int, last: int) -> Any:
    """Layers `first` to `last` (excluded) of the cut, with the embedding and the head where they belong."""
    functional, make_layer = torch.nn.functional, layer_class(torch, cut, links)

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = _weight(torch, cut.vocabulary, cut.hidden) if first == 0 else None
            self.layers = torch.nn.ModuleList(make_layer() for _ in range(first, last))
            ends = last == cut.layers
            self.final_norm = _ones(torch, cut.hidden) if ends else None
            self.head = _weight(torch, cut.vocabulary, cut.hidden) if ends else None
            self.loss_part = torch.compile(self.loss) if cut.compiled else self.loss

        def loss(self, x: Any, labels: Any, w: Any, head: Any) -> Any:
            y = functional.rms_norm(x, (cut.hidden,), w, _EPS).view(-1, cut.hidden)
            logits = functional.linear(y, head).float()
            return functional.cross_entropy(logits, labels.view(-1))

        def forward(self, x: Any, labels: Any, cos: Any, sin: Any, index: Any) -> Any:
            """x : token numbers on the first stage, hidden states after it; the loss on the last, else hidden."""
            if self.embedding is not None:
                x = links.scatter_tokens(functional.embedding(x, self.embedding))
            for layer in self.layers:
                x = layer(x, cos, sin, index)
            if self.head is None:
                return x
            return self.loss_part(links.gather_tokens(x), labels, self.final_norm, self.head)

    return Model()


def angles(torch: Any, cut: Cut, device: Any) -> tuple[Any, Any]:
    """Cosines and sines (tokens, head width / 2) of the rotary embedding."""
    half = cut.head_dim // 2
    rate = torch.exp(torch.arange(half, device=device, dtype=torch.float32) * (-math.log(5e5) / half))
    angle = torch.arange(cut.sequence_length, device=device, dtype=torch.float32)[:, None] * rate
    return angle.cos().to(torch.bfloat16), angle.sin().to(torch.bfloat16)


def dealt(torch: Any, cut: Cut, device: Any) -> Any:
    """Expert of each of a token's choices: (tokens, top_k), all different, dealt in turn."""
    if not cut.experts:
        return torch.zeros(1, 1, dtype=torch.int64, device=device)
    t = torch.arange(cut.tokens, device=device)[:, None]
    apart = cut.experts // cut.top_k
    return (t + torch.arange(cut.top_k, device=device)[None, :] * apart) % cut.experts


def _rotated(torch: Any, x: Any, cos: Any, sin: Any) -> Any:
    a, b = x.chunk(2, dim=-1)
    c, s = cos[None, :, None, :], sin[None, :, None, :]
    return torch.cat((a * c - b * s, b * c + a * s), dim=-1)


def _weight(torch: Any, *shape: int) -> Any:
    return torch.nn.Parameter(torch.randn(shape, dtype=torch.bfloat16) * shape[-1] ** -0.5)


def _ones(torch: Any, n: int) -> Any:
    return torch.nn.Parameter(torch.ones(n, dtype=torch.bfloat16))
