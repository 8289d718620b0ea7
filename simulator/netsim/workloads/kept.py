"""Bytes that a layer keeps of one micro-batch from its forward to its weight gradient.

For t tokens of width h on a rank (its share under sequence parallelism), rows r at its experts, FFN width w with
c = 2 columns of the first product a unit of width (1 without a gate), s bytes a value of the stash:

    residual      4 t h          inputs of attention and FFN, BF16
    norms         2 t h s        their outputs, inputs of the products; not with `norm`
    attention     2 t (q + k + v) BF16, output t heads v of `attention_bits`, log-sum-exp 4 t heads
    latents       2 t (q_rank + kv_rank + rope) BF16 in place of q, k, v with `mla_up`, else beside them, with the
                  outputs of their norms, 2 t (q_rank + kv_rank)
    dense FFN     t (c + 1) w s  first product, and its activation; c alone with `act`; nothing with `mlp`
    experts       inputs, (c + 1) w s a row; shared experts the same a token; nothing with `moe`

Inputs of experts: DeepSeek's kernels (products = fp8) keep each token once for each device and gather rows from them
again; others keep a row for each expert. The recomputed core (`core`) drops the log-sum-exp alone: its output is
the input of the output projection, and scores of a fused kernel are never kept. Every second product (`half`) keeps
half of gate and up, no activation and no norm. Whole layers (`layer`) keep their input, 2 t h. A head keeps its input
and the logits' gradient in BF16.

Checked against peaks of real Megatron runs (tests/test_workloads_memory_peaks.py). Left out: keys and values gathered
under context parallelism (kept of one layer at a time), scales of FP8 blocks (1/32 of the values), the gate's scores.

Source: DeepSeek-V3, arXiv 2412.19437, sections 3.2.3 and 3.3.3; Korthikanti et al. 2022, arXiv 2205.05198, section 4;
what TransformerEngine saves for the backward (LayerNormLinear, GroupedLinear, fused attention).
"""

from __future__ import annotations

from netsim.specs.workload import AttentionSpec, ModelSpec, StorageSpec, WorkloadSpec
from netsim.workloads.again import blocks_again
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.layers import attention_of, has_experts
from netsim.workloads.moe import value_bytes
from netsim.workloads.plan import Plan


def layer_activations(job: WorkloadSpec, plan: Plan, kind: str, devices_per_token: float) -> float:
    """Bytes that a layer keeps of one micro-batch until its weight gradient."""
    model, tokens = job.model, plan.own_tokens
    h = model.hidden
    match kind:
        case "embedding" | "embedding_copy":
            return 4.0 * tokens
        case "head":
            return 2.0 * tokens * (h + model.vocabulary)
        case "mtp_in":
            return 2.0 * tokens * 2 * h
    if "attn" in blocks_again(kind, job.storage.recompute):
        return 2.0 * tokens * h
    return inside_layer(job, plan, kind, devices_per_token)


def inside_layer(job: WorkloadSpec, plan: Plan, kind: str, devices_per_token: float) -> float:
    """What a layer of the body keeps when it is not computed again as a whole."""
    model, storage, tokens = job.model, job.storage, plan.own_tokens
    h = model.hidden
    again = {"norm", "half"} & set(storage.recompute)
    norms = 0.0 if again else 2.0 * tokens * h * value_bytes(storage.stash)
    attention = _attention(model, attention_of(model, kind), storage, tokens)
    ffn = _experts(job, tokens, devices_per_token) if has_experts(kind) else _dense(model, storage, tokens)
    return attention + norms + 2.0 * tokens * h + ffn


def _dense(model: ModelSpec, storage: StorageSpec, tokens: int) -> float:
    if "mlp" in storage.recompute:
        return 0.0
    return _columns(model, storage) * tokens * model.dense_width * value_bytes(storage.stash)


def _columns(model: ModelSpec, storage: StorageSpec) -> float:
    """Values kept for each unit of width: gate and up, or up alone, and their activation unless it is recomputed."""
    columns = float(model.ffn_matrices - 1)
    if "half" in storage.recompute:
        return columns / 2
    return columns + ("act" not in storage.recompute)


def _experts(job: WorkloadSpec, tokens: int, devices_per_token: float) -> float:
    model, storage = job.model, job.storage
    if "moe" in storage.recompute:
        return 0.0
    moe, stash = model.experts, value_bytes(storage.stash)
    shared = 0 if "shared_experts" in storage.recompute else tokens * moe.shared_inner
    rows = tokens * moe.top_k
    inner = (shared + rows * moe.width) * _columns(model, storage) * stash
    received = tokens * devices_per_token if job.compute.products == "fp8" else rows
    return inner + received * model.hidden * stash


def _attention(model: ModelSpec, a: AttentionSpec, storage: StorageSpec, tokens: int) -> float:
    sums = 0 if "core" in storage.recompute else 4
    kept = 2.0 * tokens * model.hidden + tokens * a.heads * (a.v_dim * storage.attention_bits / 8 + sums)
    return kept + tokens * kind_of(a).kept(a, storage)
