"""From a model and a number of tokens to the operators of every block of a training step.

Modelled: the attention and feed-forward blocks of a layer (`attention`, `ffn`), the embedding, the output head
with its cross-entropy, the input projection of a multi-token-prediction module, and the ZeRO-1 AdamW
update; each for F, B (input gradient, with what it recomputes) and W (weight gradient). The transformer
block of an MTP module is a layer of kind "moe". Left out: data loading, auxiliary losses beyond the gate's
own kernels, the FP8 cast and the layout kernel that run on the communication stream (the profile's
communication table has them).

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 2.1, 2.2 and 3.3.
"""

from __future__ import annotations

from dataclasses import replace

from netsim.errors import NetsimError, did_you_mean
from netsim.specs.adapter import AdapterSpec
from netsim.specs.formats import FORMATS, Products
from netsim.specs.framework import AttentionKernel, Kernels
from netsim.specs.profile import Kind
from netsim.specs.workload import CorePrecision, ModelSpec, Precision, Recomputed
from netsim.workloads.adapter import adapter_operators, over_frozen
from netsim.workloads.again import kept_activation, run_again
from netsim.workloads.attention import attention_block
from netsim.workloads.division import check_division
from netsim.workloads.ffn import dense_block, moe_block
from netsim.workloads.kernels import (
    BF16_BYTES,
    FP32_BYTES,
    Load,
    Operator,
    copy,
    gemm,
    gemm_bf16,
    memory,
    norm,
    wgrad,
)
from netsim.workloads.launched import launched
from netsim.workloads.layers import BODY, has_experts, is_body
from netsim.workloads.moe import value_bytes
from netsim.workloads.precision import STASH_CASTS, in_products, with_core

__all__ = ["KINDS", "PHASES", "Load", "Operator", "block_operators", "blocks_of", "optimizer_operators"]

#: layer kind -> its blocks, in forward order
KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BODY, ("attn", "mlp")),
    "embedding": ("embedding",),
    "embedding_copy": ("embedding_copy",),
    "head": ("head",),
    "mtp_in": ("mtp_in",),
}
PHASES = ("F", "B", "W")
#: what the backward runs again where the outputs of norms are not kept; norms of latents go with the up-projections
_NORMS_AGAIN = (
    "attn_norm_recompute", "ffn_norm_recompute", "cast_fp8_ffn_in_recompute", "dense_ffn_norm_recompute",
    "final_norm_recompute", "mtp_hidden_norm_recompute", "mtp_embedding_norm_recompute",
)  # fmt: skip
_FFN_NORMS = ("ffn_norm_fwd", "ffn_norm_bwd", "ffn_norm_recompute", "dense_ffn_norm_recompute")


def blocks_of(kind: str) -> tuple[str, ...]:
    """The blocks of a layer kind."""
    if kind not in KINDS:
        raise NetsimError(f"no layer kind {kind!r}: {did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def block_operators(
    model: ModelSpec,
    kind: str,
    block: str,
    phase: str,
    tokens: int,
    sequence_length: int,
    expert_rows: int = 0,
    local_experts: int = 0,
    *,
    tensor: int = 1,
    context: int = 1,
    products: Products = "fp8",
    head: Products = "bf16",
    core: CorePrecision = "bf16",
    core_kernel: AttentionKernel = "fused",
    recompute: tuple[Recomputed, ...] = ("norm", "mla_up", "act"),
    attention_bits: int = 12,
    kernels: Kernels = "deepseek",
    adapter: AdapterSpec | None = None,
    scattered_beside: bool = False,
    stash: Precision = "bf16",
) -> tuple[Operator, ...]:
    """The operators of one block in launch order; empty where a block has nothing to do in a phase.

    tokens : of the micro-batch, on which `tensor` x `context` ranks work together
    expert_rows : rows that the rank's `local_experts` receive together (its own tokens x top_k when balanced)
    products, head, core : precision of the products of layers, of the output head, and of the attention core
    attention_bits : of the attention output kept for the backward; below 16 it is cast and cast back
    stash : precision of the inputs of activations that are kept
    scattered_beside : whether tensor parallelism scatters outputs beside the products that make them
    adapter : low-rank adapters over weights that stay as they are; none: all weights are trained

    Raises NetsimError for an unknown kind, block or phase, or tokens that are no whole sequences, SpecError for a
    model that cannot be divided so.
    """
    _check(kind, block, phase, tokens, sequence_length, expert_rows, local_experts)
    check_division(model, tensor, context, sequence_length)
    load = Load(
        tokens, sequence_length, expert_rows, local_experts, tensor, context, products, recompute
    )  # fmt: skip

    def finished(phase: str) -> tuple[Operator, ...]:
        made = _kept(_made(model, kind, block, phase, load), recompute, attention_bits)
        made = (
            _head_in(made, head)
            if kind == "head"
            else in_products(with_core(made, core, core_kernel), products, stash=stash)
        )
        beside = scattered_beside and block in ("attn", "mlp") and not has_experts(kind) and phase != "W"
        return launched(made, model, kind, phase, load, kernels, beside)

    frozen = adapter is not None and phase == "W"
    made = () if frozen else finished(phase)
    if phase == "B" and is_body(kind):
        made = (*run_again(finished("F"), recompute), *made)
    if adapter is not None:
        made = over_frozen(made, products if kind != "head" else head, adapter)
        made += adapter_operators(model, adapter, kind, block, phase, load)
    return made if model.gated else tuple(_ungated(op) for op in made)


def _check(
    kind: str, block: str, phase: str, tokens: int, sequence_length: int, expert_rows: int, local_experts: int
) -> None:
    if block not in blocks_of(kind):
        raise NetsimError(f"layer kind {kind!r} has no block {block!r}: {did_you_mean(block, KINDS[kind])}")
    if phase not in PHASES:
        raise NetsimError(f"no phase {phase!r}: must be F, B or W")
    if tokens < 1 or sequence_length < 1 or tokens % sequence_length:
        raise NetsimError(f"tokens = {tokens}, must be whole sequences of {sequence_length}")
    if has_experts(kind) and (expert_rows < 0 or local_experts < 1):
        raise NetsimError(
            f"expert_rows = {expert_rows}, local_experts = {local_experts}, "
            "must be at least 0 and 1 in a MoE layer"
        )


def _kept(
    made: tuple[Operator, ...], recompute: tuple[Recomputed, ...], attention_bits: int
) -> tuple[Operator, ...]:
    """Without what need not run again or be cast, because its result is kept."""
    if "norm" not in recompute:
        made = tuple(op for op in made if op.name not in _NORMS_AGAIN)
    if "act" not in recompute:
        made = tuple(map(kept_activation, made))
    if attention_bits >= 16:
        made = tuple(op for op in made if op.name not in STASH_CASTS)
    return made


def _made(model: ModelSpec, kind: str, block: str, phase: str, load: Load) -> tuple[Operator, ...]:
    if block == "attn":
        return _normed(model, attention_block(model, load, phase, kind), block, phase, load)
    if block == "mlp":
        made = (moe_block if has_experts(kind) else dense_block)(model, load, phase)
        return _normed(model, made, block, phase, load)
    return {"embedding": _embedding, "embedding_copy": _embedding, "head": _head, "mtp_in": _mtp_in}[kind](
        model, load, phase
    )


def _normed(
    model: ModelSpec, made: tuple[Operator, ...], block: str, phase: str, load: Load
) -> tuple[Operator, ...]:
    """A block with the norms that its model has: one less where attention and FFN share theirs, one more behind each
    block where its output is normed too."""
    if model.layer_norms == 1:
        return tuple(op for op in made if op.name not in _FFN_NORMS)
    if model.layer_norms == 2 or phase == "W":
        return made
    behind = norm(
        f"{block}_post_norm_{phase.lower()}", load.own_tokens, model.hidden, 2 if phase == "F" else 3
    )
    return (*made, behind) if phase == "F" else (behind, *made)


def _ungated(op: Operator) -> Operator:
    """The operator of an FFN without a gate, by a name that does not promise one."""
    return replace(op, name=op.name.replace("gateup", "up").replace("swiglu", "act"))


def _embedding(model: ModelSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    t = load.context_tokens
    if phase == "F":
        return (memory("embedding_gather", "copy", t, model.hidden, 2 * BF16_BYTES),)
    if phase == "B":
        return ()
    # the gradient is read, and added to the rows of an FP32 main gradient
    return (memory("embedding_scatter_add", "elementwise", t, model.hidden, BF16_BYTES + 2 * FP32_BYTES),)


def _head(model: ModelSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    t, own, h, v = load.context_tokens, load.own_tokens, model.hidden, model.vocabulary // load.tensor
    if phase == "F":
        return (
            norm("final_norm_fwd", own, h),
            gemm_bf16("head_proj_fwd", t, v, h),
            # logits read for the sums, then read again and overwritten with their gradient
            memory("cross_entropy", "elementwise", t, v, 3 * BF16_BYTES),
        )
    if phase == "B":
        return (
            gemm_bf16("head_proj_dgrad", t, h, v),
            norm("final_norm_recompute", own, h),
            norm("final_norm_bwd", own, h, tensors=4),
        )
    return (gemm_bf16("head_proj_wgrad", v, h, t, out_bytes=2 * FP32_BYTES),)


def _head_in(made: tuple[Operator, ...], products: Products) -> tuple[Operator, ...]:
    """The output head with its products in another format, each input cast once before them."""
    if products == "bf16":
        return made
    both = BF16_BYTES + 2 * FORMATS[products].activation_bytes
    found: list[Operator] = []
    for op in made:
        if op.kind != "gemm_bf16":
            found.append(op)
            continue
        m, n, k = op.shape
        if op.name.endswith("wgrad"):
            found.append(wgrad(op.name, m, n, k, products))
        else:
            found.append(memory(f"cast_for_{op.name}", "quant", m, k, both))
            found.append(gemm(op.name, m, n, k, products))
    return tuple(found)


def _mtp_in(model: ModelSpec, load: Load, phase: str) -> tuple[Operator, ...]:
    """RMSNorm of the hidden state and of the next token's embedding, side by side, then 2 x hidden to hidden.

    In BF16: the published checkpoint holds this projection unquantised.
    """
    t, h = load.own_tokens, model.hidden
    norms = ("mtp_hidden_norm", "mtp_embedding_norm")
    if phase == "F":
        return (
            *(norm(f"{name}_fwd", t, h) for name in norms),
            copy("mtp_concat", t, 2 * h),
            gemm_bf16("mtp_proj_fwd", t, h, 2 * h),
        )
    if phase == "B":
        return (
            gemm_bf16("mtp_proj_dgrad", t, 2 * h, h),
            copy("mtp_split", t, 2 * h),
            *(norm(f"{name}_recompute", t, h) for name in norms),
            copy("mtp_concat_recompute", t, 2 * h),
            *(norm(f"{name}_bwd", t, h, tensors=4) for name in norms),
        )
    return (gemm_bf16("mtp_proj_wgrad", h, 2 * h, t, out_bytes=2 * FP32_BYTES),)


def optimizer_operators(
    parameters: float,
    *,
    kernels: Kernels = "deepseek",
    gradient: Precision = "fp32",
    master: Precision = "fp32",
    moments: Precision = "bf16",
    parameter: Precision = "bf16",
) -> tuple[Operator, ...]:
    """The AdamW update of `parameters` on one rank: gradient norm for clipping, then one fused pass.

    Gradient read, master weight and both moments read and written, the weight that is gathered written: 22 bytes a
    parameter with BF16 moments. Source: DeepSeek-V3 technical report, section 3.3.3 (low-precision storage).

    >>> [op.bytes for op in optimizer_operators(1e6)]
    [4000000.0, 22000000.0]
    """
    read = value_bytes(gradient)
    state = value_bytes(master) + 2 * value_bytes(moments)
    update_bytes = read + 2 * state + value_bytes(parameter)
    count = round(parameters)
    if kernels != "deepseek":
        kind: Kind = "optimizer_bf16" if (master, moments) == ("bf16", "bf16") else "optimizer"
        update_bytes -= value_bytes(parameter) if master == parameter else 0
        return (Operator("adamw_update", kind, 0.0, update_bytes * parameters, (count, 1)),)
    return (
        Operator("grad_norm", "elementwise", 0.0, read * parameters, (count, 1)),
        Operator("adamw_update", "optimizer", 0.0, update_bytes * parameters, (count, 1)),
    )
