"""Operators of the feed-forward block of a layer: routed and shared experts of a MoE layer, or one dense FFN.

Modelled: every kernel of the blocks mlp(F), mlp(B), mlp(W) of the public H800 trace, in its order: rows
copied to their experts, grouped GEMMs, SwiGLU, the casts and transposes around them, rows summed back to
tokens. The dense FFN has the kernels of the shared expert at `dense_width` (the trace holds no dense layer:
their times come from the model). Left out: rows padded to 128 an expert, which add about one percent.

Without a gate (`gated = false`: GPT-3, Nemotron) the first product is half as wide and the activation is plain; biases
are added by products on their way out, and summed backward.

Under tensor parallelism the width of the dense FFN is divided; experts, shared ones too, stay whole and work on the
tokens that are a rank's own between the divided products.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 2.1.2 and 3.3.
"""

from __future__ import annotations

from netsim.specs.workload import ModelSpec, WorkloadSpec
from netsim.workloads.kernels import (
    BF16_BYTES,
    FP32_BYTES,
    Load,
    Operator,
    cast,
    cast_transpose,
    dequantise,
    gemm_bf16,
    gemm_fp8,
    grouped_gemm_fp8,
    grouped_wgrad_fp8,
    index,
    memory,
    norm,
    received_tokens,
    small,
    transpose,
    wgrad_fp8,
)
from netsim.workloads.layers import has_experts
from netsim.workloads.plan import Plan

#: least that the memory of a GPU moves for one value; CUDA programming guide, device memory accesses
SECTOR_BYTES = 32.0


def _columns(model: ModelSpec) -> int:
    """Columns of the first product for each unit of width: gate and up, or up alone."""
    return model.ffn_matrices - 1


def _forward_bytes(model: ModelSpec) -> float:
    """SwiGLU reads gate and up for each of `width` values and writes one FP8 value; a plain activation reads one."""
    return _columns(model) * BF16_BYTES + 1.0


def _backward_bytes(model: ModelSpec) -> float:
    """Gate, up, the gradient behind them, and both gradients out; without a gate three values."""
    return (2 * _columns(model) + 1) * BF16_BYTES


def moe_block(model: ModelSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    """Operators of mlp(F), mlp(B) or mlp(W) of a MoE layer; shared experts are one wide FFN."""
    return {"F": _moe_forward, "B": _moe_backward, "W": _moe_weight_gradients}[phase](model, load)


def dense_block(model: ModelSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    """Operators of mlp(F), mlp(B) or mlp(W) of a dense layer."""
    return {"F": _dense_forward, "B": _dense_backward, "W": _dense_weight_gradients}[phase](model, load)


def sorted_copies(
    job: WorkloadSpec, plan: Plan, kind: str, block: str, phase: str, rows: int
) -> tuple[Operator, ...]:
    """What an all-to-all of every copy adds: rows that arrive by sender are sorted by expert, and back again.

    Source: Megatron-LM, MoEAlltoAllTokenDispatcher, sort_chunks_by_idxs, where a rank has several experts.
    """
    moe = job.model.moe
    if job.communication.dispatcher == "deepep" or moe is None or not has_experts(kind) or block != "mlp":
        return ()
    if phase == "W" or plan.expert == 1 or moe.experts == plan.expert:
        return ()
    return (
        memory(f"sort_chunks_{phase.lower()}", "permute", rows, job.model.hidden, 2 * BF16_BYTES, calls=2),
    )


def _reduce_rows(name: str, model: ModelSpec, load: Load) -> Operator:
    moved = BF16_BYTES * model.hidden * (load.expert_rows + received_tokens(model, load))
    return Operator(name, "permute", 0.0, moved, (load.expert_rows, model.hidden))


def _scales(name: str, rows: int, columns: int, calls: int = 1) -> Operator:
    """FP32 scales of 128-wide blocks made contiguous; `columns` of all calls together, the shape of one.

    Columns become rows, so each value that is read drags in the sector it lies in.
    """
    shape = (rows, columns // 128 // calls)
    return Operator(name, "strided", 0.0, (SECTOR_BYTES + FP32_BYTES) * rows * columns / 128, shape, calls)


def _moe_forward(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, rows, local = load.own_tokens, model.hidden, load.expert_rows, load.local_experts
    w, shared, up = model.experts.width, model.experts.shared_inner, _columns(model)
    return (
        small("scale_transpose_mlp_fwd", t, h // 128, calls=2),
        *((gemm_fp8("shared_gateup_fwd", t, up * shared, h),) if shared else ()),
        *((gemm_bf16("shared_gate_fwd", t, 1, h),) if model.experts.shared_gate else ()),
        index("clean_and_count_expert", t, local),
        index("get_fused_mapping", t, local),
        memory("expand_x_rows", "permute", rows, h, 2.0),
        transpose("routed_w13_transpose", up * w, h, groups=local),
        _scales("scale_contiguous_fwd", rows, h + w, calls=2),
        grouped_gemm_fp8("routed_gateup_fwd", rows, up * w, h, local),
        small("topk_weight_scale", t, model.experts.top_k),
        memory("routed_swiglu_fwd", "act", rows, w, _forward_bytes(model)),
        transpose("routed_w2_transpose", h, w, groups=local),
        grouped_gemm_fp8("routed_down_fwd", rows, h, w, local),
        _reduce_rows("reduce_rows_to_tokens_fwd", model, load),
        *_shared_forward_end(model, t, shared),
        cast("routed_swiglu_in_stash_cast_fp8", rows, up * w),
        *((cast("shared_swiglu_in_stash_cast_fp8", t, up * shared),) if shared else ()),
    )


def _shared_forward_end(model: ModelSpec, t: int, shared: int) -> tuple[Operator, ...]:
    h = model.hidden
    if not shared:
        return ()
    return (
        memory("shared_swiglu_fwd", "act", t, shared, _forward_bytes(model)),
        gemm_fp8("shared_down_fwd", t, h, shared),
    )


def _moe_backward(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, rows, local = load.own_tokens, model.hidden, load.expert_rows, load.local_experts
    w, shared, up = model.experts.width, model.experts.shared_inner, _columns(model)
    return (
        *_shared_backward_begin(model, t, shared),
        dequantise("routed_swiglu_in_dequant", rows, up * w),
        memory("expand_dy_rows", "permute", rows, h, 2.0),
        _scales("scale_contiguous_bwd", rows, h + up * w, calls=2),
        grouped_gemm_fp8("routed_down_dgrad", rows, w, h, local),
        memory("routed_swiglu_fwd_recompute_bwd", "act", rows, w, _backward_bytes(model) + BF16_BYTES),
        memory("routed_topk_weight_grad", "act", rows, w, 2 * BF16_BYTES),
        cast_transpose("routed_swiglu_out_cast_transpose", rows, w),
        small("topk_weight_grad_scale", t, model.experts.top_k),
        norm("ffn_norm_recompute", t, h),
        cast("cast_fp8_ffn_in_recompute", t, h),
        cast("routed_dgateup_cast_fp8", rows, up * w),
        grouped_gemm_fp8("routed_gateup_dgrad", rows, h, up * w, local),
        _reduce_rows("reduce_rows_to_tokens_bwd", model, load),
        cast_transpose("routed_dgateup_cast_transpose", rows, up * w),
        dequantise("ffn_in_dequant", t, h),
        *_shared_backward_end(model, t, shared),
        *((gemm_bf16("shared_gate_dgrad", t, h, 1),) if model.experts.shared_gate else ()),
        *_bias_gradient("routed_bias_grad", model, rows, w),
        cast_transpose("ffn_in_cast_transpose", t, h),
    )


def _shared_backward_begin(model: ModelSpec, t: int, shared: int) -> tuple[Operator, ...]:
    h, up = model.hidden, _columns(model)
    scales = small("scale_transpose_mlp_bwd", t, h // 128, calls=2)
    if not shared:
        return (scales,)
    return (
        dequantise("shared_swiglu_in_dequant", t, up * shared),
        transpose("shared_w2_transpose", h, shared),
        scales,
        gemm_fp8("shared_down_dgrad", t, shared, h),
        cast_transpose("shared_dy_cast_transpose", t, h, in_bytes=1.0),
        memory("shared_swiglu_recompute_cast_transpose", "cast_transpose", t, shared, _forward_bytes(model)),
        memory("shared_swiglu_bwd", "act", t, shared, _backward_bytes(model), fine=True),
    )


def _shared_backward_end(model: ModelSpec, t: int, shared: int) -> tuple[Operator, ...]:
    h, up = model.hidden, _columns(model)
    if not shared:
        return ()
    return (
        transpose("shared_w13_transpose", up * shared, h),
        cast("shared_dgateup_cast_fp8", t, up * shared),
        gemm_fp8("shared_gateup_dgrad", t, h, up * shared),
        cast_transpose("shared_dgateup_cast_transpose", t, up * shared),
    )


def _gather_transpose(name: str, rows: int, columns: int) -> Operator:
    return memory(name, "gather_transpose", rows, columns, 2.0)


def _moe_weight_gradients(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, rows, local = load.own_tokens, model.hidden, load.expert_rows, load.local_experts
    w, shared, up = model.experts.width, model.experts.shared_inner, _columns(model)
    routed = (
        _gather_transpose("routed_dy_gather_cast_transpose", rows, h),
        grouped_wgrad_fp8("routed_down_wgrad", rows, h, w, local),
        _gather_transpose("routed_x_gather_cast_transpose", rows, h),
        grouped_wgrad_fp8("routed_gateup_wgrad", rows, up * w, h, local),
    )
    if not shared:
        return routed
    return (
        wgrad_fp8("shared_down_wgrad", h, shared, t),
        *routed,
        wgrad_fp8("shared_gateup_wgrad", up * shared, h, t),
    )


def _bias_gradient(name: str, model: ModelSpec, rows: int, width: int) -> tuple[Operator, ...]:
    """Sums over rows of the gradients behind both products, where these have biases."""
    if not model.ffn_bias:
        return ()
    return (memory(name, "elementwise", rows, _columns(model) * width + model.hidden, BF16_BYTES),)


def _dense_forward(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, w = load.context_tokens, model.hidden, model.dense_width // load.tensor
    up = _columns(model)
    return (
        cast("dense_cast_fp8_x", t, h),
        small("dense_scale_transpose_fwd", t, h // 128, calls=2),
        gemm_fp8("dense_gateup_fwd", t, up * w, h),
        memory("dense_swiglu_fwd", "act", t, w, _forward_bytes(model)),
        gemm_fp8("dense_down_fwd", t, h, w),
        cast("dense_swiglu_in_stash_cast_fp8", t, up * w),
    )


def _dense_backward(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, w = load.context_tokens, model.hidden, model.dense_width // load.tensor
    up = _columns(model)
    return (
        cast("dense_cast_fp8_dy", t, h),
        dequantise("dense_swiglu_in_dequant", t, up * w),
        transpose("dense_w2_transpose", h, w),
        small("dense_scale_transpose_bwd", t, h // 128, calls=2),
        gemm_fp8("dense_down_dgrad", t, w, h),
        cast_transpose("dense_dy_cast_transpose", t, h),
        memory("dense_swiglu_recompute_cast_transpose", "cast_transpose", t, w, _forward_bytes(model)),
        memory("dense_swiglu_bwd", "act", t, w, _backward_bytes(model)),
        norm("dense_ffn_norm_recompute", load.own_tokens, h),
        transpose("dense_w13_transpose", up * w, h),
        cast("dense_dgateup_cast_fp8", t, up * w),
        gemm_fp8("dense_gateup_dgrad", t, h, up * w),
        cast_transpose("dense_dgateup_cast_transpose", t, up * w),
        *_bias_gradient("dense_bias_grad", model, t, w),
        cast_transpose("dense_ffn_in_cast_transpose", t, h),
    )


def _dense_weight_gradients(model: ModelSpec, load: Load) -> tuple[Operator, ...]:
    t, h, w = load.context_tokens, model.hidden, model.dense_width // load.tensor
    up = _columns(model)
    return (
        wgrad_fp8("dense_down_wgrad", h, w, t),
        wgrad_fp8("dense_gateup_wgrad", up * w, h, t),
    )
