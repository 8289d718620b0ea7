"""Operators of multi-head latent attention: norms, projections, core.

Modelled: every kernel of the blocks attn(F), attn(B), attn(W) of the public H800 trace, in its order, with
shapes derived from the model. The backward pass recomputes RMSNorm and the MLA up-projections. Without a rank of
queries (DeepSeek-V2-Lite) these come from the hidden state in one product and are kept for the backward. Left out:
kernels that only the profiled run had (random routing) and the scale bookkeeping of cuBLAS.

Under tensor parallelism the heads are divided: up-projections, core and output projection. The down-projections
have whole weights on every rank and run on its own tokens, so that the narrow latents are what is gathered, as in
Megatron-Core. `workloads.division` has the rest.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 (MLA); DeepSeek-V3, arXiv 2412.19437, sections 2.1 and
3.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.specs.workload import MlaSpec
from netsim.workloads.core import core_backward, core_forward, divided
from netsim.workloads.indexer import index_block, index_matrices
from netsim.workloads.kernels import (
    BF16_BYTES,
    E5M6_BYTES,
    Load,
    Operator,
    cast,
    cast_transpose,
    copy,
    gemm_fp8,
    memory,
    norm,
    small,
    strided,
    transpose,
    wgrad_fp8,
)
from netsim.workloads.mla_cache import (
    cache_values,
    core_values,
    core_widths,
    decode_projections,
    flops,
    heads,
    input_width,
    kept,
    kept_tokens,
    met_tokens,
)

__all__ = [
    "SPEC", "MlaDims", "block", "cache_values", "core_values", "core_widths", "decode_projections", "flops", "heads",
    "input_width", "kept", "kept_tokens", "matrices", "met_tokens", "mla_dims", "vectors",
]  # fmt: skip

SPEC = MlaSpec


@dataclass(frozen=True)
class MlaDims:
    """Widths of the tensors of multi-head latent attention."""

    hidden: int
    heads: int
    q_rank: int
    kv_rank: int
    nope: int
    rope: int
    v: int

    @property
    def qk(self) -> int:
        """Query and key width of a head."""
        return self.nope + self.rope

    @property
    def kv_a(self) -> int:
        """What is cached for a token: the latent and the shared rotary key."""
        return self.kv_rank + self.rope

    @property
    def queries(self) -> int:
        """All heads' queries."""
        return self.heads * self.qk

    @property
    def keys_values(self) -> int:
        """All heads' position-free keys and values."""
        return self.heads * (self.nope + self.v)

    @property
    def out(self) -> int:
        """All heads' outputs."""
        return self.heads * self.v


def mla_dims(a: MlaSpec, hidden: int) -> MlaDims:
    """The dimensions of a spec; `q_rank` is 0 where queries come from the hidden state directly."""
    return MlaDims(hidden, a.heads, a.q_rank or 0, a.kv_rank, a.nope_dim, a.rope_dim, a.v_dim)


def matrices(a: MlaSpec, hidden: int, tensor: int = 1) -> int:
    """Weights that one of `tensor` ranks holds: latents and indexer whole, heads divided."""
    queries = a.heads * a.qk_dim
    down = hidden * ((a.q_rank or 0) + a.kv_rank + a.rope_dim)
    up = (a.q_rank or hidden) * queries + a.kv_rank * a.heads * (a.nope_dim + a.v_dim)
    return down + index_matrices(a, hidden) + (up + a.heads * a.v_dim * hidden) // tensor


def vectors(a: MlaSpec, hidden: int, tensor: int = 1) -> int:
    """Norms of the latents, and the LayerNorm of the indexer's key."""
    return (a.q_rank or 0) + a.kv_rank + 2 * a.index_dim


def block(a: MlaSpec, hidden: int, load: Load, phase: str, moe: bool) -> tuple[Operator, ...]:
    """Operators of attn(F), attn(B) or attn(W), without the gate."""
    whole = mla_dims(a, hidden)
    dims = replace(whole, heads=whole.heads // load.tensor)
    cores = divided(heads(a), load.tensor)
    index = index_block(a, hidden, load, phase)
    if phase == "F":
        return _forward(dims, load, (*index, core_forward(cores, load)))
    if phase == "B":
        return _backward(dims, load, moe, (*core_backward(cores, load), *index))
    return (*_weight_gradients(dims, load), *index)


def _forward(d: MlaDims, load: Load, core: tuple[Operator, ...]) -> tuple[Operator, ...]:
    t, own, h = load.context_tokens, load.own_tokens, d.hidden
    return (
        norm("attn_norm_fwd", own, h, tensors=4),
        *_queries_in(d, load),
        cast("cast_fp8_x_for_kv_a", own, h),
        small("scale_transpose_kv_a", own, h // 128),
        gemm_fp8("kv_a_proj_fwd", own, d.kv_a, h),
        *_up_projections(d, load, recompute=False),
        *core,
        memory("cast_e5m6_attn_out", "quant", t, d.out, BF16_BYTES + E5M6_BYTES),
        cast("cast_fp8_attn_out", t, d.out),
        small("scale_transpose_o", t, d.out // 128),
        gemm_fp8("o_proj_fwd", t, h, d.out),
        memory("scalar_mul_o_out", "elementwise", own, h, 2 * BF16_BYTES),
        norm("ffn_norm_fwd", own, h, tensors=4),
    )


def _queries_in(d: MlaDims, load: Load) -> tuple[Operator, ...]:
    """Down to the latent of the queries, or to the queries themselves."""
    if d.q_rank:
        rows, name, columns = load.own_tokens, "q_a", d.q_rank
    else:
        rows, name, columns = load.context_tokens, "q", d.queries
    return (
        cast(f"cast_fp8_x_for_{name}", rows, d.hidden),
        small(f"scale_transpose_{name}", rows, d.hidden // 128),
        gemm_fp8(f"{name}_proj_fwd", rows, columns, d.hidden),
    )


def _up_projections(d: MlaDims, load: Load, recompute: bool) -> tuple[Operator, ...]:
    """From the latents to queries, keys and values; the part that the backward pass runs again."""
    t, own = load.context_tokens, load.own_tokens
    end = "_recompute" if recompute else ""
    done = "_recompute" if recompute else "_fwd"
    kv_scales = () if recompute else (small("scale_transpose_kv_b", t, d.kv_rank // 128),)
    rotated = memory(f"rope_q{done}", "rope", t, d.heads * d.rope, 2 * BF16_BYTES)
    # rotary kernels touch a slice of each head, which is what bounds them
    return (
        *((norm(f"q_a_norm{done}", own, d.q_rank),) if d.q_rank else ()),
        strided(f"kv_a_slice_copy{end}", own, d.kv_rank),
        norm(f"kv_a_norm{done}", own, d.kv_rank),
        *(() if recompute else (strided("k_pe_copy", own, d.rope),)),
        *(_queries_up(d, t, recompute) if d.q_rank else ()),
        cast(f"cast_fp8_kv_lora{end}", t, d.kv_rank),
        *kv_scales,
        gemm_fp8(f"kv_b_proj{done}", t, d.keys_values, d.kv_rank),
        memory(f"rope_k_pe{done}", "rope", t, d.rope, 2 * BF16_BYTES),
        copy(f"k_assemble_copy_nope{end}", t, d.heads * d.nope),
        strided(f"k_assemble_bcast_pe{end}", t, d.heads * d.rope, BF16_BYTES * (1 + 1 / d.heads)),
        *((rotated,) if d.q_rank or not recompute else ()),
    )


def _queries_up(d: MlaDims, t: int, recompute: bool) -> tuple[Operator, ...]:
    end, done = ("_recompute", "_recompute") if recompute else ("", "_fwd")
    scales = () if recompute else (small("scale_transpose_q_b", t, d.q_rank // 128),)
    return (
        cast(f"cast_fp8_q_lora{end}", t, d.q_rank),
        *scales,
        gemm_fp8(f"q_b_proj{done}", t, d.queries, d.q_rank),
    )


def _backward(d: MlaDims, load: Load, moe: bool, core: tuple[Operator, ...]) -> tuple[Operator, ...]:
    t, own, h = load.context_tokens, load.own_tokens, d.hidden
    return (
        memory("grad_add", "elementwise", own, h, 3 * BF16_BYTES, calls=2 if moe else 1),
        norm("ffn_norm_bwd", own, h, tensors=4),
        small("norm_bwd_finalize", 1, h, calls=8),
        memory("scalar_mul_grad", "elementwise", own, h, 2 * BF16_BYTES),
        memory("attn_out_e5m6_decode", "quant", t, d.out, BF16_BYTES + E5M6_BYTES),
        cast("cast_fp8_do", t, h),
        transpose("w_o_transpose", h, d.out),
        small("scale_transpose_attn_bwd", t, h // 128, calls=7),
        gemm_fp8("o_proj_dgrad", t, d.out, h),
        cast_transpose("attn_out_cast_transpose", t, d.out),
        cast_transpose("do_cast_transpose", t, h),
        *(_up_projections(d, load, recompute=True) if "mla_up" in load.recompute else ()),
        *core,
        *_query_backward(d, t),
        *_key_value_backward(d, load),
        *_latent_backward(d, load),
    )


def _query_backward(d: MlaDims, t: int) -> tuple[Operator, ...]:
    name, into = ("qb", d.q_rank) if d.q_rank else ("q", d.hidden)
    return (
        memory("rope_q_bwd", "rope", t, d.heads * d.rope, 2 * BF16_BYTES),
        transpose(f"w_{name}_transpose", d.queries, into),
        cast("cast_fp8_dq", t, d.queries),
        gemm_fp8("q_b_dgrad" if d.q_rank else "q_dgrad", t, into, d.queries),
    )


def _key_value_backward(d: MlaDims, load: Load) -> tuple[Operator, ...]:
    t = load.context_tokens
    return (
        memory("dk_pe_head_sum", "elementwise", t, d.heads * d.rope, BF16_BYTES),
        memory("rope_k_pe_bwd", "rope", load.own_tokens, d.rope, 2 * BF16_BYTES),
        copy("dk_nope_copy", t, d.heads * d.nope),
        copy("dv_copy", t, d.heads * d.v),
        transpose("w_kvb_transpose", d.keys_values, d.kv_rank),
        cast("cast_fp8_dkv", t, d.keys_values),
        gemm_fp8("kv_b_dgrad", t, d.kv_rank, d.keys_values),
        cast_transpose("dkv_cast_transpose", t, d.keys_values),
        cast_transpose("kv_lora_cast_transpose", t, d.kv_rank),
        cast_transpose("dq_cast_transpose", t, d.queries),
        *((cast_transpose("q_lora_cast_transpose", t, d.q_rank),) if d.q_rank else ()),
    )


def _latent_backward(d: MlaDims, load: Load) -> tuple[Operator, ...]:
    t, h = load.own_tokens, d.hidden
    return (
        norm("kv_a_norm_bwd", t, d.kv_rank, tensors=4),
        *((norm("q_a_norm_bwd", t, d.q_rank, tensors=4),) if d.q_rank else ()),
        _slice_backward(d, t),
        norm("attn_norm_recompute", t, h),
        cast("cast_fp8_dkv_a", t, d.kv_a),
        transpose("w_kva_transpose", d.kv_a, h),
        gemm_fp8("kv_a_dgrad", t, h, d.kv_a),
        cast_transpose("x_cast_transpose_kv_a", t, h),
        cast_transpose("dkv_a_cast_transpose", t, d.kv_a),
        *_query_latent_backward(d, load),
        norm("attn_norm_bwd", t, h, tensors=4),
    )


def _query_latent_backward(d: MlaDims, load: Load) -> tuple[Operator, ...]:
    t, h = load.own_tokens, d.hidden
    if not d.q_rank:
        return (cast_transpose("x_cast_transpose_q", load.context_tokens, h),)
    return (
        cast("cast_fp8_dq_a", t, d.q_rank),
        transpose("w_qa_transpose", d.q_rank, h),
        gemm_fp8("q_a_dgrad", t, h, d.q_rank),
        cast_transpose("x_cast_transpose_q_a", t, h),
        cast_transpose("dq_a_cast_transpose", t, d.q_rank),
    )


def _slice_backward(d: MlaDims, t: int) -> Operator:
    """Gradients of the two slices of the latent: two buffers set to zero, a slice copied into each, both added."""
    values = 2 * d.kv_a + 2 * (d.kv_rank + d.rope) + 3 * d.kv_a
    return Operator("slice_backward_ops", "elementwise", 0.0, BF16_BYTES * t * values, (t, d.kv_a), 5)


def _weight_gradients(d: MlaDims, load: Load) -> tuple[Operator, ...]:
    t, own, h = load.context_tokens, load.own_tokens, d.hidden
    common = (
        wgrad_fp8("o_proj_wgrad", h, d.out, t),
        wgrad_fp8("kv_b_wgrad", d.keys_values, d.kv_rank, t),
    )
    latent = wgrad_fp8("kv_a_wgrad", d.kv_a, h, own)
    if not d.q_rank:
        return (*common, latent, wgrad_fp8("q_wgrad", d.queries, h, t))
    return (
        *common,
        wgrad_fp8("q_b_wgrad", d.queries, d.q_rank, t),
        latent,
        wgrad_fp8("q_a_wgrad", d.q_rank, h, own),
    )
