"""Operators of one decode step on one GPU: a few tokens of many requests, each against its own KV cache.

MLA runs in absorbed form: the up-projection of the keys is folded into the queries and that of the values into the
outputs, so attention is over the cached latents, once for each request however many heads share them. Attention by
heads (gqa, mqa, mha) reads the keys and values of its groups. With c values cached for a token and a layer,

    cache read   sequences x context x c values
    core         2 x tokens x heads x context x (width of a key + width of a value) operations
                 (MLA: widths kv_rank + rope and kv_rank)

A layer is five stages (`STAGES`), which the two micro-batches of a step alternate in. Products are FP8 (or BF16, see
`netsim.workloads.precision`) but the absorbed ones, the gate and the head; each expert reads its weights once, whatever
the rows it receives, and computes them in tiles of 64. Kernels are fused as serving engines do: one projection down to
all latents, one gate kernel. `tensor` GPUs of a host share attention, dense FFN and head; experts stay whole.

Left out: sampling, rows that experts receive unevenly, the split of attention over the context (its reduction).

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.2 and appendix C (absorption); FlashMLA; DeepSeek-V3, arXiv
2412.19437, section 3.4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from netsim.specs.formats import Products
from netsim.specs.workload import AttentionSpec, ModelSpec
from netsim.workloads.attention import cache_values, core_values, divided, heads_of, met_tokens
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.kernels import (
    BF16_BYTES,
    FP8_BYTES,
    FP32_BYTES,
    Operator,
    cast,
    copy,
    gemm_bf16,
    gemm_fp8,
    grouped_gemm_fp8,
    memory,
    norm,
    small,
)
from netsim.workloads.layers import attention_of, has_experts
from netsim.workloads.precision import in_products

#: in order; `mlp` stands for the last three in a dense layer
STAGES = ("attn_0", "attn_1", "shared", "experts", "merge")
CORE = "decode_attention_core"
#: rows of the smallest tile of a grouped product; source: WGMMA takes 64 rows (PTX ISA, wgmma.mma_async)
_TILE_ROWS = 64


@dataclass(frozen=True)
class DecodeLoad:
    """What a micro-batch is on one GPU.

    sequences : requests that the GPU owns; queries : tokens of each (1, and those drafted); context : tokens cached
    before; tensor : GPUs that share the attention of their requests; expert_rows, local_experts : rows received, and
    experts that receive them; kv_bytes : of a cached value
    """

    sequences: int
    queries: int
    context: int
    tensor: int = 1
    expert_rows: int = 0
    local_experts: int = 0
    kv_bytes: float = BF16_BYTES

    @property
    def tokens(self) -> int:
        """Tokens that the GPU owns outside attention."""
        return self.sequences * self.queries


def decode_layer(
    model: ModelSpec, kind: str, load: DecodeLoad, shared_apart: bool = True, products: Products = "fp8"
) -> dict[str, tuple[Operator, ...]]:
    """Operators of a layer (`moe` or `dense`) by stage, in launch order.

    shared_apart : whether the GPU computes the shared experts of its own tokens
    """
    made = _layer(model, kind, load, shared_apart)
    return {stage: in_products(ops, products, training=False) for stage, ops in made.items()}


def _layer(
    model: ModelSpec, kind: str, load: DecodeLoad, shared_apart: bool
) -> dict[str, tuple[Operator, ...]]:
    t = load.tokens
    before, after = _attention(model, attention_of(model, kind), load)
    if not has_experts(kind):
        width = model.dense_width // load.tensor
        return {"attn_0": before, "attn_1": after, "mlp": _ffn("dense", model, t * load.tensor, width)}
    shared = model.experts.shared_inner if shared_apart else 0
    return {
        "attn_0": before,
        "attn_1": (*after, *_gate(model, t)),
        "shared": _ffn("shared", model, t, shared) if shared else (),
        "experts": _experts(model, load),
        "merge": (combine_reduce(model, t),),
    }


def _attention(
    model: ModelSpec, a: AttentionSpec, load: DecodeLoad
) -> tuple[tuple[Operator, ...], tuple[Operator, ...]]:
    """(projections, core and output projection) of `tensor` GPUs' requests with a share of the heads."""
    h, t = model.hidden, load.tokens * load.tensor
    heads = divided(heads_of(a), load.tensor)
    out, columns = heads.queries * heads.v, cache_values(a, load.tensor)
    project, absorb_keys, absorb_values = kind_of(a).decode_projections(a, h, t, load.tensor)
    before = (
        norm("decode_attn_norm", t, h, tensors=4),
        cast("decode_cast_x", t, h),
        *project,
        memory("decode_cache_write", "copy", t, columns, BF16_BYTES + load.kv_bytes),
    )
    after = (
        *absorb_keys,
        attention_core(a, load),
        *absorb_values,
        cast("decode_cast_attn_out", t, out),
        gemm_fp8("decode_o_proj", t, h, out),
        norm("decode_ffn_norm", load.tokens, h, tensors=4),
    )
    return before, after


def attention_core(a: AttentionSpec, load: DecodeLoad) -> Operator:
    """Attention over the cached tokens, or those of them that a window or an indexer leaves.

    >>> from netsim.specs import WorkloadSpec, load
    >>> op = attention_core(load(WorkloadSpec, "workload", "deepseek-v3").model.attention, DecodeLoad(1, 1, 1000))
    >>> op.flops, op.bytes == 2 * (1000 * 576 + 128 * (576 + 512))
    (278528000.0, True)
    """
    sequences, heads = load.sequences * load.tensor, divided(heads_of(a), load.tensor)
    context = round(met_tokens(a, load.context))
    widths = kind_of(a).core_widths(a)
    rows = sequences * load.queries * heads.queries
    flops = 2.0 * rows * context * sum(widths)
    cached = load.kv_bytes * sequences * context * core_values(a, load.tensor)
    shape = (sequences, heads.queries, context, *widths)
    return Operator(CORE, "attention_fwd", flops, cached + BF16_BYTES * rows * sum(widths), shape)


def _gate(model: ModelSpec, t: int) -> tuple[Operator, ...]:
    return (
        gemm_bf16("decode_gate", t, model.experts.experts, model.hidden, out_bytes=FP32_BYTES),
        small("decode_gate_topk", t, model.experts.experts),
        cast("decode_cast_dispatch", t, model.hidden),
    )


def _ffn(name: str, model: ModelSpec, t: int, width: int) -> tuple[Operator, ...]:
    """An FFN on the GPU's own tokens."""
    hidden, up = model.hidden, model.ffn_matrices - 1
    return (
        cast(f"decode_{name}_cast_x", t, hidden),
        gemm_fp8(f"decode_{name}_gateup", t, up * width, hidden),
        memory(f"decode_{name}_swiglu_fwd", "act", t, width, up * BF16_BYTES + FP8_BYTES),
        gemm_fp8(f"decode_{name}_down", t, hidden, width),
    )


def _experts(model: ModelSpec, load: DecodeLoad) -> tuple[Operator, ...]:
    rows, w, h, up = load.expert_rows, model.experts.width, model.hidden, model.ffn_matrices - 1
    return (
        _in_tiles(grouped_gemm_fp8("decode_experts_gateup", rows, up * w, h, load.local_experts)),
        memory("decode_experts_swiglu_fwd", "act", rows, w, up * BF16_BYTES + FP8_BYTES),
        _in_tiles(grouped_gemm_fp8("decode_experts_down", rows, h, w, load.local_experts)),
    )


def _in_tiles(op: Operator) -> Operator:
    """Rows of each expert rounded up to whole tiles, which is what the tensor cores see."""
    rows, n, k, groups = op.shape
    padded = groups * math.ceil(rows / groups / _TILE_ROWS) * _TILE_ROWS
    return replace(op, shape=(padded, n, k, groups))


def combine_reduce(model: ModelSpec, tokens: int) -> Operator:
    """The received expert outputs of each token weighed and added."""
    moved = BF16_BYTES * model.hidden * tokens * (model.experts.top_k + 1)
    return Operator("decode_combine_reduce", "permute", 0.0, moved, (tokens, model.hidden))


def embedding(model: ModelSpec, tokens: int) -> tuple[Operator, ...]:
    """Rows of the embedding."""
    return (memory("decode_embedding", "copy", tokens, model.hidden, 2 * BF16_BYTES),)


def head(model: ModelSpec, tokens: int, tensor: int = 1) -> tuple[Operator, ...]:
    """Final norm, logits in BF16, and one pass over them to pick a token; `tensor` GPUs share the vocabulary."""
    rows, words = tokens * tensor, model.vocabulary // tensor
    return (
        norm("decode_final_norm", tokens, model.hidden),
        gemm_bf16("decode_head", rows, words, model.hidden),
        memory("decode_pick", "elementwise", rows, words, BF16_BYTES),
    )


def mtp_input(model: ModelSpec, tokens: int) -> tuple[Operator, ...]:
    """What an MTP module does before its layer: two norms side by side, then 2 x hidden to hidden, in BF16."""
    h = model.hidden
    return (
        norm("decode_mtp_norms", tokens, 2 * h),
        copy("decode_mtp_concat", tokens, 2 * h),
        gemm_bf16("decode_mtp_proj", tokens, h, 2 * h),
    )
