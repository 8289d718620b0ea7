"""Bytes of the exchanges inside a layer that tensor and context parallelism need; all of them travel in BF16.

tensor    The rank's context share of the tokens times a width: the hidden size, or for the input of multi-head latent
          attention its latents, which are what is gathered there (`workloads.division`).
context   Keys and values of all tokens of the micro-batch, of the heads that the rank has: each rank contributes those
          of its share of every sequence, all gather them. Multi-head latent attention gathers its keys and values as
          attention reads them, after the up-projections, which each rank runs on its share.

Sizes are of the whole gathered buffer: over n ranks each sends (n - 1)/n of it, in a gather and in a scatter alike.

Source: Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2; Llama 3, arXiv 2407.21783, section 3.3.2.
"""

from __future__ import annotations

from netsim.specs.workload import ModelSpec
from netsim.workloads.attention import divided, heads_of
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.kernels import BF16_BYTES
from netsim.workloads.plan import Plan


def tensor_bytes(model: ModelSpec, plan: Plan, name: str, block: str, phase: str) -> float:
    """Bytes gathered or scattered around a block: `tensor_gather` or `tensor_scatter` in phase F, B, or W (the input
    again, for the weight gradient; of the embedding, the gradient of its output)."""
    if block == "adapter":  # all-to-all of the columns that a rank has
        return BF16_BYTES * (plan.microbatch_tokens // plan.context) * model.hidden / plan.tensor
    gather = name == "tensor_gather"
    into = gather == (phase in "FW") and not block.startswith("embedding")
    return (
        BF16_BYTES
        * (plan.microbatch_tokens // plan.context)
        * (_width_in(model, block) if into else model.hidden)
    )


def _width_in(model: ModelSpec, block: str) -> int:
    if block != "attn":
        return model.hidden
    return kind_of(model.attention).input_width(model.attention, model.hidden)


def context_bytes(model: ModelSpec, plan: Plan) -> float:
    """Bytes of the keys and values (or their gradients) that a rank has after a gather."""
    heads = divided(heads_of(model.attention), plan.tensor)
    return BF16_BYTES * plan.microbatch_tokens * heads.keys * (heads.qk + heads.v)
