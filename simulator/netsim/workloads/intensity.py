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
from netsim.specs.workload import AttentionSpec, ModelSpec, Precision
from netsim.workloads.attention import attention_matrices, core_values, met_tokens
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.layers import attention_of, has_experts
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
    kinds = [kind for kind in model.kind_counts if attention_of(model, kind).kind != "recurrent"]
    own = tokens // (shares.tensor * shares.context)
    found: dict[str, Work] = {}
    for kind, block in [(kind, block) for kind in kinds for block in ("attn", "mlp")] + [("head", "head")]:
        moe = model.experts if has_experts(kind) else None
        operators = block_operators(
            model, kind, block, "F", tokens, length,
            own * moe.top_k if moe else 0, max(1, moe.experts // shares.expert) if moe else 0,
            tensor=shares.tensor, context=shares.context, products=shares.products,
            attention_bits=shares.attention_bits,
        )  # fmt: skip
        name = _block_name(kind, block)
        found.setdefault(name, Work(sum(op.flops for op in operators), sum(op.bytes for op in operators)))
    return found


def decode_work(
    model: ModelSpec, batch: int, context: int, weights: Precision = "bf16", cache: Precision = "bf16"
) -> dict[str, Work]:
    """Blocks of one layer, and the head, for one token of each of `batch` sequences."""
    size = value_bytes(weights)
    found: dict[str, Work] = {}
    for kind in model.kind_counts:
        a, other = attention_of(model, kind), kind.endswith("_alternate")
        matrices = attention_matrices(a, model.hidden)
        suffix = ", alternate" if other else ""
        found["projections" + suffix] = Work(2.0 * matrices * batch, float(matrices * size))
        found["attention core" + suffix] = _core(a, batch, context, value_bytes(cache))
        if has_experts(kind):
            found["experts"] = _experts(model, batch, size)
        else:
            found["dense FFN"] = _product(model.ffn_matrices * model.hidden * model.dense_width, batch, size)
    return found | {"head": _product(model.hidden * model.vocabulary, batch, value_bytes("bf16"))}


def decode_token(
    model: ModelSpec, batch: int, context: int, weights: Precision = "bf16", cache: Precision = "bf16"
) -> Work:
    """All layers and the head, for one token of each of `batch` sequences."""
    blocks = decode_work(model, batch, context, weights, cache)
    alternate = sum(kind.endswith("_alternate") for kind in model.kinds)
    counts = {"head": 1, "dense FFN": model.dense_count, "experts": model.moe_layers}
    for name in ("projections", "attention core"):
        counts |= {name: model.layers - alternate, f"{name}, alternate": alternate}
    return sum((_times(work, counts[name]) for name, work in blocks.items()), Work(0.0, 0.0))


def _block_name(kind: str, block: str) -> str:
    """What a reader calls a block; the gate is all that tells the attention of dense and MoE layers apart."""
    if block == "attn":
        return "attention, alternate" if kind.endswith("_alternate") else "attention"
    if block == "mlp":
        return "experts" if has_experts(kind) else "dense FFN"
    return kind


def _times(work: Work, count: int) -> Work:
    return Work(work.flops * count, work.bytes * count)


def _product(weights: int, batch: int, size: float) -> Work:
    return Work(2.0 * weights * batch, float(weights * size))


def _core(a: AttentionSpec, batch: int, context: int, size: float) -> Work:
    width = sum(kind_of(a).core_widths(a))
    met = met_tokens(a, context)
    read = met * core_values(a) * size
    return Work(2.0 * a.heads * met * width * batch, float(read * batch))


def _experts(model: ModelSpec, batch: int, size: float) -> Work:
    """Routed experts that at least one token chose, the shared ones, and the gate."""
    moe = model.experts
    each = model.ffn_matrices * model.hidden
    met = moe.experts * (1.0 - (1.0 - moe.top_k / moe.experts) ** batch)
    weights = each * (moe.top_k * moe.width + moe.shared_inner) + moe.experts * model.hidden
    read = each * (met * moe.width + moe.shared_inner) + moe.experts * model.hidden
    return Work(2.0 * weights * batch, size * read)
