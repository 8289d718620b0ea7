"""Attention by kind: weights, operations, cache and operators, and the gate that runs behind it in a MoE layer.

    kind   cached for a token and layer          projections
    mla    kv_rank + rope_dim, for all heads     down to latents, up to heads
    gqa    2 x kv_heads x head_dim               queries a head; keys and values a group of heads
    mqa    2 x head_dim                          keys and values once
    mha    2 x heads x head_dim                  keys and values a head

Under tensor parallelism the latents of MLA are cached whole by every rank, heads of keys and values are divided.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 and table 1; Insights into DeepSeek-V3, arXiv 2505.09343, table 1.
"""

from __future__ import annotations

import math

from netsim.errors import NetsimError, did_you_mean
from netsim.specs.workload import AttentionSpec, HeadAttentionSpec, MlaSpec, ModelSpec, MoeSpec
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.core import Heads, core_flops, divided, heads_of, keys_met
from netsim.workloads.kernels import FP32_BYTES, Load, Operator, cast, gemm_bf16, index, small
from netsim.workloads.layers import attention_of, has_experts
from netsim.workloads.moe import value_bytes

__all__ = [
    "KINDS", "Heads", "attention_block", "attention_flops", "attention_matrices", "attention_vectors", "cache_values",
    "core_flops", "core_values", "divided", "heads_of", "kept_tokens", "keys_met", "kv_cache_bytes", "met_tokens",
    "with_attention",
]  # fmt: skip

#: from what caches most to what shares most
KINDS = ("mha", "gqa", "mqa", "mla")
_GROUPS = 8


def attention_matrices(a: AttentionSpec, hidden: int, tensor: int = 1) -> int:
    """Weights of the projections of a layer that one of `tensor` ranks holds."""
    return kind_of(a).matrices(a, hidden, tensor)


def attention_vectors(a: AttentionSpec, hidden: int, tensor: int = 1) -> int:
    """Norms, biases and sinks of a layer, without the norms of the residual stream."""
    return kind_of(a).vectors(a, hidden, tensor)


def attention_flops(a: AttentionSpec, tokens: int, length: int, causal: bool = True) -> float:
    """Operations of the core forward, and of what picks its keys, for `tokens` in sequences of `length`."""
    return kind_of(a).flops(a, tokens, length, causal)


def cache_values(a: AttentionSpec, tensor: int = 1) -> int:
    """Values cached for a token in a layer by one of `tensor` ranks."""
    return kind_of(a).cache_values(a, tensor)


def core_values(a: AttentionSpec, tensor: int = 1) -> int:
    """Those of the cached values that the core reads."""
    return kind_of(a).core_values(a, tensor)


def kept_tokens(a: AttentionSpec, context: float) -> float:
    """Tokens of a request that a layer keeps cached."""
    return kind_of(a).kept_tokens(a, context)


def met_tokens(a: AttentionSpec, context: float) -> float:
    """Cached tokens that a new one meets."""
    return kind_of(a).met_tokens(a, context)


def kv_cache_bytes(model: ModelSpec, precision: str = "bf16", tensor: int = 1) -> int:
    """Bytes cached for a token in all layers of the main model, on one of `tensor` ranks, before windows let go of it.

    >>> from netsim.specs import WorkloadSpec, load
    >>> kv_cache_bytes(load(WorkloadSpec, "workload", "deepseek-v3").model)
    70272
    """
    layers = model.kind_counts.items()
    values = sum(count * cache_values(attention_of(model, kind), tensor) for kind, count in layers)
    return round(values * value_bytes(precision))


def with_attention(model: ModelSpec, kind: str) -> ModelSpec:
    """The same model with its counterpart of another kind of attention; itself where it is of that kind.

    Heads stay, and are as wide as values are. gqa: 8 groups, as Llama 3 and Qwen2.5 have. mla: latents of four heads'
    width for keys and values and twelve for queries, and a rotary key of half a head, as in DeepSeek-V2 and V3.

    >>> from netsim.specs import WorkloadSpec, load
    >>> v3 = load(WorkloadSpec, "workload", "deepseek-v3").model
    >>> [kv_cache_bytes(with_attention(v3, kind)) for kind in KINDS]
    [3997696, 249856, 31232, 70272]

    Raises NetsimError for an unknown kind.
    """
    if kind not in KINDS:
        raise NetsimError(f"no kind of attention {kind!r}: {did_you_mean(kind, KINDS)}")
    a = model.attention
    if a.kind == kind:
        return model
    other: AttentionSpec
    if kind == "mla":
        d = a.v_dim
        other = MlaSpec(
            kind="mla", heads=a.heads, q_rank=12 * d, kv_rank=4 * d, nope_dim=d, rope_dim=d // 2, v_dim=d
        )
    else:
        keys = {"mqa": 1, "mha": a.heads}.get(kind, math.gcd(a.heads, _GROUPS))
        other = HeadAttentionSpec.model_validate(
            {"kind": kind, "heads": a.heads, "kv_heads": keys, "head_dim": a.v_dim}
        )
    same = {"alternate": None, "full_every": None, "full_layers": None}
    return model.model_copy(update={"attention": other, **same})


def attention_block(model: ModelSpec, load: Load, phase: str, kind: str) -> tuple[Operator, ...]:
    """Operators of attn(F), attn(B) or attn(W) of a layer of a kind."""
    moe = has_experts(kind)
    own = _own_operators(model, load, phase, kind)
    if moe and phase == "F":
        return own + _gate_forward(model.experts, model.hidden, load.own_tokens)
    if moe and phase == "B":
        return _gate_backward(model.experts, model.hidden, load.own_tokens) + own
    return own


def _own_operators(model: ModelSpec, load: Load, phase: str, kind: str) -> tuple[Operator, ...]:
    a = attention_of(model, kind)
    return kind_of(a).block(a, model.hidden, load, phase, has_experts(kind))


def _gate_forward(moe: MoeSpec, h: int, t: int) -> tuple[Operator, ...]:
    return (
        gemm_bf16("gate_matmul_fwd", t, moe.experts, h, out_bytes=FP32_BYTES),
        small("gate_topk_aux_ops", t, moe.experts, calls=34),
        index("gate_topk_gathertopk", t, moe.experts, calls=2),
        cast("cast_fp8_x_for_dispatch", t, h),
    )


def _gate_backward(moe: MoeSpec, h: int, t: int) -> tuple[Operator, ...]:
    return (
        small("gate_aux_bwd_ops", t, moe.experts, calls=26),
        gemm_bf16("gate_dgrad", t, h, moe.experts),
        # a weight gradient that the framework runs inside B
        gemm_bf16("gate_wgrad", moe.experts, h, t, out_bytes=FP32_BYTES),
    )
