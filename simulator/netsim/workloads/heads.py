"""Operators of attention that keeps keys and values by head (multi-head, multi-query, grouped-query).

Modelled: one product for queries, keys and values, rotary embedding, core, output projection, and the casts and
transposes that FP8 products need, as around MLA; queries, keys and values are kept for the backward. Under tensor
parallelism heads are divided. Left out: adding biases, which products do on their way out.

No public trace of such a job times these kernels: a compute profile answers with its class models, and the result says
where that is beyond what was measured.

Source: Llama 3, arXiv 2407.21783, section 3.2; Qwen2.5, arXiv 2412.15115, section 2 (biases of queries, keys, values).
"""

from __future__ import annotations

from netsim.specs.workload import HeadAttentionSpec, StorageSpec
from netsim.workloads.core import Heads, core_backward, core_flops, core_forward, divided
from netsim.workloads.kernels import (
    BF16_BYTES,
    E5M6_BYTES,
    Load,
    Operator,
    cast,
    cast_transpose,
    gemm_fp8,
    memory,
    norm,
    small,
    transpose,
    wgrad_fp8,
)

SPEC = HeadAttentionSpec


def block(
    attention: HeadAttentionSpec, hidden: int, load: Load, phase: str, moe: bool
) -> tuple[Operator, ...]:
    """Operators of attn(F), attn(B) or attn(W), without the gate."""
    if phase == "F":
        return _forward(attention, hidden, load)
    if phase == "B":
        return _backward(attention, hidden, load, moe)
    return _weight_gradients(attention, hidden, load)


def matrices(a: HeadAttentionSpec, hidden: int, tensor: int = 1) -> int:
    """Weights of the projections that one of `tensor` ranks holds."""
    out, qkv = _widths(a, tensor)
    return hidden * (out + qkv)


def vectors(a: HeadAttentionSpec, hidden: int, tensor: int = 1) -> int:
    """Biases, norms of queries and keys, and sinks."""
    one, (_, qkv) = divided(heads(a), tensor), _widths(a, tensor)
    norms = {"none": 0, "head": 2 * a.head_dim, "width": (one.queries + one.keys) * a.head_dim}
    return qkv * a.qkv_bias + hidden * a.out_bias + norms[a.qk_norm] + one.queries * a.sinks


def heads(a: HeadAttentionSpec) -> Heads:
    """Heads as they are, and the mask beside the causal one."""
    return Heads(a.heads, a.key_value_heads, a.qk_dim, a.v_dim, a.window, a.chunk)


def flops(a: HeadAttentionSpec, tokens: int, length: int, causal: bool = True) -> float:
    """Operations of the core, forward."""
    return core_flops(heads(a), tokens, length, causal)[0]


def input_width(a: HeadAttentionSpec, hidden: int) -> int:
    """The layer's input."""
    return hidden


def kept(a: HeadAttentionSpec, storage: StorageSpec) -> float:
    """Queries, keys and values, before their norms too unless these are recomputed, and the gate of the outputs."""
    width = a.heads + 2 * a.key_value_heads + a.heads * a.output_gate
    if a.qk_norm != "none" and "norm" not in storage.recompute:
        width += a.heads + a.key_value_heads
    return 2.0 * width * a.head_dim


def cache_values(a: HeadAttentionSpec, tensor: int = 1) -> int:
    """Keys and values of a rank's groups."""
    return 2 * divided(heads(a), tensor).keys * a.head_dim


def core_values(a: HeadAttentionSpec, tensor: int = 1) -> int:
    """All that is cached."""
    return cache_values(a, tensor)


def kept_tokens(a: HeadAttentionSpec, context: float) -> float:
    """No more than the window, or the pieces in the mean."""
    if a.chunk and a.chunk < context:
        return a.chunk / 2
    return min(context, a.window or context)


def met_tokens(a: HeadAttentionSpec, context: float) -> float:
    """All that stay cached."""
    return kept_tokens(a, context)


def core_widths(a: HeadAttentionSpec) -> tuple[int, int]:
    """Of a key and a value."""
    return a.qk_dim, a.v_dim


def decode_projections(
    a: HeadAttentionSpec, hidden: int, t: int, tensor: int
) -> tuple[tuple[Operator, ...], tuple[Operator, ...], tuple[Operator, ...]]:
    """One product for queries, keys and values, and the rotary embedding; nothing before or behind the core."""
    one, (_, qkv) = divided(heads(a), tensor), _widths(a, tensor)
    rotated = (one.queries + one.keys) * one.qk
    rope = memory("decode_rope", "rope", t, rotated, 2 * BF16_BYTES)
    return (gemm_fp8("decode_qkv_proj", t, qkv, hidden), rope), (), ()


def _widths(attention: HeadAttentionSpec, tensor: int) -> tuple[int, int]:
    """Columns of a rank's outputs, and of its queries, gate, keys and values together."""
    one = divided(heads(attention), tensor)
    queries = one.queries * (1 + attention.output_gate)
    return one.queries * one.v, (queries + 2 * one.keys) * one.qk


def _rotated(attention: HeadAttentionSpec, load: Load) -> int:
    one = divided(heads(attention), load.tensor)
    return (one.queries + one.keys) * one.qk


def _norms(attention: HeadAttentionSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    """RMSNorm of queries and keys, over rows as wide as a head or as all of them."""
    if attention.qk_norm == "none":
        return ()
    width, tensors = _rotated(attention, load), 2 if phase == "fwd" else 4
    columns = attention.head_dim if attention.qk_norm == "head" else width
    return (norm(f"qk_norm_{phase}", load.context_tokens * width // columns, columns, tensors),)


def _gate(attention: HeadAttentionSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    """Outputs times the sigmoid of their gate; backward reads both and the gradient, and writes two."""
    if not attention.output_gate:
        return ()
    out, _ = _widths(attention, load.tensor)
    tensors = 3 if phase == "fwd" else 5
    return (memory(f"attn_gate_{phase}", "elementwise", load.context_tokens, out, tensors * BF16_BYTES),)


def _forward(attention: HeadAttentionSpec, h: int, load: Load) -> tuple[Operator, ...]:
    t, own = load.context_tokens, load.own_tokens
    out, qkv = _widths(attention, load.tensor)
    return (
        norm("attn_norm_fwd", own, h, tensors=4),
        cast("cast_fp8_x_for_qkv", t, h),
        small("scale_transpose_qkv", t, h // 128),
        gemm_fp8("qkv_proj_fwd", t, qkv, h),
        *_norms(attention, load, "fwd"),
        memory("rope_qk_fwd", "rope", t, _rotated(attention, load), 2 * BF16_BYTES),
        core_forward(divided(heads(attention), load.tensor), load),
        *_gate(attention, load, "fwd"),
        memory("cast_e5m6_attn_out", "quant", t, out, BF16_BYTES + E5M6_BYTES),
        cast("cast_fp8_attn_out", t, out),
        small("scale_transpose_o", t, out // 128),
        gemm_fp8("o_proj_fwd", t, h, out),
        norm("ffn_norm_fwd", own, h, tensors=4),
    )


def _backward(attention: HeadAttentionSpec, h: int, load: Load, moe: bool) -> tuple[Operator, ...]:
    t, own = load.context_tokens, load.own_tokens
    out, qkv = _widths(attention, load.tensor)
    bias = (memory("qkv_bias_grad", "elementwise", t, qkv, BF16_BYTES),) if attention.qkv_bias else ()
    out_bias = (memory("o_bias_grad", "elementwise", t, h, BF16_BYTES),) if attention.out_bias else ()
    return (
        memory("grad_add", "elementwise", own, h, 3 * BF16_BYTES, calls=2 if moe else 1),
        norm("ffn_norm_bwd", own, h, tensors=4),
        small("norm_bwd_finalize", 1, h, calls=4),
        memory("attn_out_e5m6_decode", "quant", t, out, BF16_BYTES + E5M6_BYTES),
        cast("cast_fp8_do", t, h),
        transpose("w_o_transpose", h, out),
        small("scale_transpose_attn_bwd", t, h // 128, calls=3),
        gemm_fp8("o_proj_dgrad", t, out, h),
        *out_bias,
        cast_transpose("attn_out_cast_transpose", t, out),
        cast_transpose("do_cast_transpose", t, h),
        *_gate(attention, load, "bwd"),
        *core_backward(divided(heads(attention), load.tensor), load),
        memory("rope_qk_bwd", "rope", t, _rotated(attention, load), 2 * BF16_BYTES),
        *_norms(attention, load, "bwd"),
        transpose("w_qkv_transpose", qkv, h),
        cast("cast_fp8_dqkv", t, qkv),
        gemm_fp8("qkv_dgrad", t, h, qkv),
        *bias,
        cast_transpose("dqkv_cast_transpose", t, qkv),
        norm("attn_norm_recompute", own, h),
        cast_transpose("x_cast_transpose_qkv", t, h),
        norm("attn_norm_bwd", own, h, tensors=4),
    )


def _weight_gradients(attention: HeadAttentionSpec, h: int, load: Load) -> tuple[Operator, ...]:
    out, qkv = _widths(attention, load.tensor)
    return (
        wgrad_fp8("o_proj_wgrad", h, out, load.context_tokens),
        wgrad_fp8("qkv_wgrad", qkv, h, load.context_tokens),
    )
