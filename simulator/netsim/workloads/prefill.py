"""Operators of one prefill micro-batch on one GPU: the forward pass of training, without what only training does.

Left away: stashes for the backward pass, transposes of weights for it, and the auxiliary losses' small kernels but for
the top-k itself. MLA runs unabsorbed, so keys and values of tokens whose latents are cached are projected up again.
With s = tokens / n prompts of which n = (1 - c) P tokens are computed and c P were cached,

    pairs of a prompt   n c P + n^2 / 2
    keys and values     of n + c P tokens

`tensor` GPUs of a host share attention and the dense FFN of their `tensor` times `tokens`, as in training. A prompt
longer than the micro-batch is computed in chunks; attention is then that of a square of the same pairs.

Left out: the write of the KV cache to other hosts, and of what is kept on disk.

Source: DeepSeek-V3, arXiv 2412.19437, section 3.4.1; the kernel sequence is that of `netsim.workloads.mla` and `.ffn`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from netsim.specs.formats import Products
from netsim.specs.workload import AttentionSpec, ModelSpec
from netsim.workloads.attention import Heads, attention_block, core_flops, divided, heads_of, keys_met
from netsim.workloads.ffn import dense_block, moe_block
from netsim.workloads.kernels import BF16_BYTES, Load, Operator
from netsim.workloads.layers import attention_of, has_experts
from netsim.workloads.precision import in_products

#: kernels of the training forward that serve the backward pass or the auxiliary losses
TRAINING_ONLY = frozenset(
    {
        "cast_e5m6_attn_out",
        "gate_topk_aux_ops",
        "routed_w13_transpose",
        "routed_w2_transpose",
        "routed_swiglu_in_stash_cast_fp8",
        "shared_swiglu_in_stash_cast_fp8",
        "dense_swiglu_in_stash_cast_fp8",
    }
)
#: kernels over the tokens whose keys and values are made, cached latents included
_KEYS_VALUES = frozenset(
    {
        "cast_fp8_kv_lora",
        "scale_transpose_kv_b",
        "kv_b_proj_fwd",
        "k_assemble_copy_nope",
        "k_assemble_bcast_pe",
    }
)


@dataclass(frozen=True)
class PrefillLoad:
    """A micro-batch: tokens computed a GPU, the prompts they are of, and the part of each prompt that was cached."""

    tokens: int
    prompt: int
    cached_share: float
    expert_rows: int
    local_experts: int
    tensor: int = 1

    @property
    def computed(self) -> float:
        """Tokens of a prompt that are computed."""
        return (1.0 - self.cached_share) * self.prompt

    @property
    def pairs(self) -> float:
        """Query-key pairs of the micro-batch.

        >>> PrefillLoad(8192, 4096, 0.0, 0, 0).pairs == 2 * 4096**2 / 2
        True
        """
        n, cached = self.computed, self.cached_share * self.prompt
        return self.tokens * (cached + n / 2)


def prefill_layer(
    model: ModelSpec, kind: str, load: PrefillLoad, products: Products = "fp8"
) -> dict[str, tuple[Operator, ...]]:
    """Operators of a layer (`moe` or `dense`) by stage, in launch order; stages as in `netsim.workloads.decode`."""
    made = _layer(model, kind, load)
    return {stage: in_products(ops, products, training=False) for stage, ops in made.items()}


def _layer(model: ModelSpec, kind: str, load: PrefillLoad) -> dict[str, tuple[Operator, ...]]:
    t = load.tokens * load.tensor
    training = Load(t, t, load.expert_rows, load.local_experts, load.tensor)
    attention = tuple(
        _changed(attention_of(model, kind), op, load)
        for op in attention_block(model, training, "F", kind)
        if op.name not in TRAINING_ONLY
    )
    core = next(n for n, op in enumerate(attention) if op.kind == "attention_fwd")
    stages = {"attn_0": attention[:core], "attn_1": attention[core:]}
    block = (moe_block if has_experts(kind) else dense_block)(model, training, "F")
    ffn = tuple(op for op in block if op.name not in TRAINING_ONLY)
    if not has_experts(kind):
        return {**stages, "mlp": ffn}
    # rows of one device are added up there; the combine adds what the devices of a token send
    reduce = tuple(op for op in ffn if op.name == "reduce_rows_to_tokens_fwd")
    shared = tuple(op for op in ffn if op.name.startswith("shared_"))
    experts = tuple(op for op in ffn if op not in reduce and op not in shared)
    return {**stages, "shared": shared, "experts": experts + reduce}


def _changed(a: AttentionSpec, op: Operator, load: PrefillLoad) -> Operator:
    if op.kind == "attention_fwd":
        return _core(a, op, load)
    if op.name in _KEYS_VALUES and load.cached_share:
        return _stretched(op, 1.0 / (1.0 - load.cached_share))
    return op


def _stretched(op: Operator, factor: float) -> Operator:
    """An operator over more rows."""
    rows = round(op.shape[0] * factor)
    return replace(op, flops=op.flops * factor, bytes=op.bytes * factor, shape=(rows, *op.shape[1:]))


def _pairs(heads: Heads, load: PrefillLoad) -> float:
    """Query-key pairs of the micro-batch that the mask leaves: those of whole prompts less those of what was cached."""
    if not (heads.window or heads.chunk):
        return load.pairs
    lengths = (load.prompt, round(load.cached_share * load.prompt))
    whole, cached = (n * keys_met(heads, n) if n else 0.0 for n in lengths)
    return load.tokens * (whole - cached) / load.computed


def _core(a: AttentionSpec, op: Operator, load: PrefillLoad) -> Operator:
    """Attention with the pairs of the prompts in place of one causal sequence."""
    heads, tokens = divided(heads_of(a), load.tensor), load.tokens * load.tensor
    pairs = _pairs(heads, load)
    prompts = max(1, round(tokens / load.computed))
    length = math.sqrt(2.0 * pairs * load.tensor / prompts)
    flops = core_flops(heads, 1, 1, causal=False)[0] * pairs * load.tensor
    moved = tokens * heads.queries + tokens / (1.0 - load.cached_share) * heads.keys
    shape = (prompts, heads.queries, round(length), *op.shape[3:])
    return replace(op, flops=flops, bytes=BF16_BYTES * (heads.qk + heads.v) * moved, shape=shape)
