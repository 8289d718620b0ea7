"""Arithmetic intensity of the blocks of a model: operations for each byte that HBM has to move.

A GPU reaches its peak only above peak / HBM rate (295 operations a byte for BF16 on an H800).

    sequences     a forward block of a micro-batch, as its operators count operations and bytes
    decode        one token of each of `batch` sequences that have `context` tokens cached. Each weight is read once,
                  each cached value once for its sequence:
        projections   2 W batch                               over W weights
        core, mla     2 heads context (2 kv_rank + rope)      over context (kv_rank + rope) values, in absorbed form
        core, heads   4 heads context head_dim                over 2 context kv_heads head_dim values
        FFN           2 W batch                               over W weights
        experts       2 W_e batch top_k                       over the weights of E (1 - (1 - top_k/E)^batch) experts

Decode is ideal: as if one memory held all weights and every sequence read them together; activations are left out.

Source: Williams, Waterman, Patterson 2009 (roofline); DeepSeek-V2, arXiv 2405.04434, section 2.1.2 (absorbed form).
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.specs.formats import Products
from netsim.specs.workload import ModelSpec, Precision
from netsim.workloads.attention import attention_matrices, cache_values
from netsim.workloads.model import layer_matrices
from netsim.workloads.moe import value_bytes
from netsim.workloads.operators import block_operators


@dataclass(frozen=True)
class Work:
    """Operations, and bytes of HBM.

    >>> Work(590.0, 2.0).intensity
    295.0
    """

    flops: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations a byte; infinite where nothing is moved."""
        return self.flops / self.bytes if self.bytes else float("inf")

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Shares:
    """How a job runs a block: whom it shares it with, and in which precision."""

    tensor: int = 1
    context: int = 1
    expert: int = 1
    products: Products = "bf16"
    attention_bits: int = 16


def sequence_work(model: ModelSpec, tokens: int, length: int, shares: Shares) -> dict[str, Work]:
    """Forward blocks of a micro-batch of `tokens` on one rank, by "kind block"; kinds that the model has."""
    kinds = [kind for kind, count in (("dense", model.dense_layers), ("moe", model.moe_layers)) if count]
    own = tokens // (shares.tensor * shares.context)
    found: dict[str, Work] = {}
    for kind, block in [(kind, block) for kind in kinds for block in ("attn", "mlp")] + [("head", "head")]:
        moe = model.experts if kind == "moe" else None
        operators = block_operators(
            model, kind, block, "F", tokens, length,
            own * moe.top_k if moe else 0, max(1, moe.experts // shares.expert) if moe else 0,
            tensor=shares.tensor, context=shares.context, products=shares.products,
            attention_bits=shares.attention_bits,
        )  # fmt: skip
        name = "attention" if block == "attn" else {"dense": "dense FFN", "moe": "experts"}.get(kind, kind)
        # the gate is all that tells the attention blocks of both kinds apart
        found.setdefault(name, Work(sum(op.flops for op in operators), sum(op.bytes for op in operators)))
    return found


def decode_work(
    model: ModelSpec, batch: int, context: int, weights: Precision = "bf16", cache: Precision = "bf16"
) -> dict[str, Work]:
    """Blocks of one layer, and the head, for one token of each of `batch` sequences."""
    size = value_bytes(weights)
    matrices = attention_matrices(model)
    found = {
        "projections": Work(2.0 * matrices * batch, float(matrices * size)),
        "attention core": _core(model, batch, context, value_bytes(cache)),
    }
    if model.dense_layers:
        found["dense FFN"] = _product(3 * model.hidden * model.dense_width, batch, size)
    if model.moe_layers:
        found["experts"] = _experts(model, batch, size)
    return found | {"head": _product(model.hidden * model.vocabulary, batch, value_bytes("bf16"))}


def decode_token(
    model: ModelSpec, batch: int, context: int, weights: Precision = "bf16", cache: Precision = "bf16"
) -> Work:
    """All layers and the head, for one token of each of `batch` sequences."""
    blocks = decode_work(model, batch, context, weights, cache)
    counts = {"head": 1, "dense FFN": model.dense_layers, "experts": model.moe_layers}
    layers = (_times(work, counts.get(name, model.layers)) for name, work in blocks.items())
    return sum(layers, Work(0.0, 0.0))


def _times(work: Work, count: int) -> Work:
    return Work(work.flops * count, work.bytes * count)


def _product(weights: int, batch: int, size: float) -> Work:
    return Work(2.0 * weights * batch, float(weights * size))


def _core(model: ModelSpec, batch: int, context: int, size: float) -> Work:
    a = model.attention
    width = 2 * a.kv_rank + a.rope_dim if a.kind == "mla" else 2 * a.head_dim
    read = context * cache_values(model) * size
    return Work(2.0 * a.heads * context * width * batch, float(read * batch))


def _experts(model: ModelSpec, batch: int, size: float) -> Work:
    """Routed experts that at least one token chose, the shared ones, and the gate."""
    moe = model.experts
    one = 3 * model.hidden * moe.width
    met = moe.experts * (1.0 - (1.0 - moe.top_k / moe.experts) ** batch)
    outside = layer_matrices(model, "moe") - attention_matrices(model)
    return Work(2.0 * outside * batch, size * ((met + moe.shared) * one + moe.experts * model.hidden))
