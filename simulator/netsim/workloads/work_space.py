"""Bytes that a rank needs for a moment of the backward, beside what it keeps: the worst moment of a step.

    loss     logits in FP32 for softmax and its gradient, 4 t v; the rank's share v of the vocabulary
    head     the gradient of its matrix in BF16, 2 h v, before it is in the accumulator
    layer    gradients of the FFN's products in BF16, 2 (c + 1) t w, and of its input and output, 4 t h; of experts
             the same a row, 2 r ((c + 1) w + 2 h)
    again    what a layer that is computed again did not keep, while its backward runs

Beside each of these, where products are not DeepSeek's own: autograd is handed a gradient in BF16 for every matrix
although it was added to the FP32 accumulator already. TransformerEngine keeps one of each shape: those of one layer,
and one expert. Left out: buffers of NCCL, the gathered input of a tensor-parallel product, the optimizer's step, which
comes when activations are gone.

Source: Megatron-LM, tensor_parallel/layers.py and cross_entropy.py; TransformerEngine, module/base.py
(get_dummy_wgrad); checked against peaks of real runs (tests/test_workloads_memory_peaks.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from netsim.specs.workload import ModelSpec, WorkloadSpec
from netsim.workloads.again import blocks_again
from netsim.workloads.attention import attention_matrices
from netsim.workloads.kept import inside_layer, layer_activations
from netsim.workloads.layers import attention_of, has_experts, is_body
from netsim.workloads.plan import Plan


def work_space(job: WorkloadSpec, plan: Plan, layers: Sequence[str], devices_per_token: float) -> float:
    """The most that a rank needs at once for the layers that it holds."""
    kinds = dict.fromkeys(layers)
    moments = [0.0]
    for kind in kinds:
        if kind == "head":
            moments.append(_head(job.model, plan))
        elif is_body(kind):
            again = _again(job, plan, kind, devices_per_token)
            moments.append(again + _gradients(job.model, plan, kind))
    handed = 0.0 if job.compute.products == "fp8" else 2.0 * _matrices(job.model, plan, list(kinds))
    return max(moments) + handed


def _again(job: WorkloadSpec, plan: Plan, kind: str, devices_per_token: float) -> float:
    """What a layer that is computed again did not keep, and needs while its backward runs."""
    words = job.storage.recompute
    if not blocks_again(kind, words):
        return 0.0
    inside = tuple(word for word in words if word not in ("layer", "mlp", "moe"))
    whole = job.model_copy(update={"storage": job.storage.model_copy(update={"recompute": inside})})
    kept = layer_activations(job, plan, kind, devices_per_token)
    return inside_layer(whole, plan, kind, devices_per_token) - kept


def _head(model: ModelSpec, plan: Plan) -> float:
    loss = 4.0 * plan.own_tokens * model.vocabulary
    return max(loss, 2.0 * model.hidden * model.vocabulary / plan.tensor)


def _gradients(model: ModelSpec, plan: Plan, kind: str) -> float:
    """Gradients on their way back through the FFN of a layer."""
    tokens, h, values = plan.own_tokens, model.hidden, model.ffn_matrices
    if not has_experts(kind):
        return 2.0 * tokens * (values * model.dense_width + 2 * h)
    moe = model.experts
    return 2.0 * tokens * (moe.top_k * (values * moe.width + 2 * h) + values * moe.shared_inner)


def _matrices(model: ModelSpec, plan: Plan, kinds: Sequence[str]) -> float:
    """Weights of the matrices of one layer, of each shape once."""
    body = [kind for kind in kinds if is_body(kind)]
    attention = max(
        (attention_matrices(attention_of(model, kind), model.hidden, plan.tensor) for kind in body), default=0
    )
    each, found = model.ffn_matrices * model.hidden, float(attention)
    if any(not has_experts(kind) for kind in body):
        found += each * model.dense_width / plan.tensor
    if any(has_experts(kind) for kind in body):
        found += each * model.experts.width
    return found
