"""Parameters and floating-point operations of a model, by part and in closed form.

Modelled: every weight matrix and norm of the layers, embedding, output head and MTP module; two operations
for each weight a token meets in a matrix product, and the attention core, causal (half the pairs) or not.
Training is three times the forward. Left out, as in the published TFLOPS: the MTP module, recomputation,
norms, softmax, routing, the optimizer.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 2.1, 2.2 and 4.2; Insights into DeepSeek-V3,
arXiv 2505.09343, table 2.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.errors import NetsimError, did_you_mean
from netsim.specs.workload import ModelSpec
from netsim.workloads.mla import attention_flops, mla_dims


class Parameters(NamedTuple):
    """`dense` is held by every rank of a stage, `expert` is divided over the expert-parallel ranks."""

    dense: float
    expert: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.dense + self.expert


def attention_matrices(model: ModelSpec, tensor: int = 1) -> int:
    """Weights of the MLA projections of a layer that one of `tensor` ranks holds: latents whole, heads divided."""
    d = mla_dims(model)
    down = d.hidden * (d.q_rank + d.kv_a)
    up = d.q_rank * d.queries + d.kv_rank * d.keys_values
    return down + (up + d.out * d.hidden) // tensor


def _expert(model: ModelSpec) -> int:
    return 3 * model.hidden * model.moe.width


def _layer_norms(model: ModelSpec) -> int:
    return 2 * model.hidden + model.attention.q_rank + model.attention.kv_rank


def layer_parameters(model: ModelSpec, kind: str, tensor: int = 1) -> Parameters:
    """Parameters of one layer of a kind: "moe", "dense", "embedding", "head" or "mtp_in".

    tensor : tensor-parallel ranks, of which one is asked about; `workloads.division` says what they divide

    The gate counts its bias; the head its final norm; "mtp_in" the two norms, the projection and the final
    norm that the MTP module has of its own (it shares embedding and head with the model).

    Raises NetsimError for an unknown kind.
    """
    h, moe = model.hidden, model.moe
    attention = attention_matrices(model, tensor) + _layer_norms(model)
    match kind:
        case "moe":
            gate = moe.experts * h + moe.experts
            return Parameters(attention + gate + moe.shared * _expert(model), moe.experts * _expert(model))
        case "dense":
            return Parameters(attention + 3 * h * model.dense_width // tensor, 0.0)
        case "embedding":
            return Parameters(model.vocabulary * h // tensor, 0.0)
        case "head":
            return Parameters(model.vocabulary * h // tensor + h, 0.0)
        case "mtp_in":
            return Parameters(2 * h * h + 3 * h, 0.0)
    known = ("moe", "dense", "embedding", "head", "mtp_in")
    raise NetsimError(f"no layer kind {kind!r}: {did_you_mean(kind, known)}")


def parameters_by_part(model: ModelSpec) -> dict[str, float]:
    """Total parameters of each part of the main model; they add up to its size."""
    moe_layers = model.layers - model.dense_layers
    return {
        "embedding": layer_parameters(model, "embedding").total,
        "dense_layers": model.dense_layers * layer_parameters(model, "dense").total,
        "moe_layers": moe_layers * layer_parameters(model, "moe").total,
        "head": layer_parameters(model, "head").total,
    }


def total_parameters(model: ModelSpec) -> float:
    """Size of the main model, without the MTP module."""
    return sum(parameters_by_part(model).values())


def active_parameters(model: ModelSpec) -> float:
    """Parameters that one token uses: all but the experts it is not sent to."""
    moe_layers = model.layers - model.dense_layers
    idle = moe_layers * (model.moe.experts - model.moe.top_k) * _expert(model)
    return total_parameters(model) - idle


def mtp_parameters(model: ModelSpec) -> float:
    """Parameters of all MTP modules that they do not share with the main model."""
    one = layer_parameters(model, "mtp_in").total + layer_parameters(model, "moe").total
    return model.mtp_depth * one


def layer_matrices(model: ModelSpec, kind: str) -> float:
    """Weights of a layer that a token meets in matrix products: what counts two operations each, forward."""
    h, moe = model.hidden, model.moe
    match kind:
        case "moe":
            experts = (moe.top_k + moe.shared) * _expert(model)
            return attention_matrices(model) + moe.experts * h + experts
        case "dense":
            return attention_matrices(model) + 3 * h * model.dense_width
        case "head":
            return model.vocabulary * h
        case "mtp_in":
            return 2 * h * h
        case "embedding":
            return 0.0
    raise NetsimError(
        f"no layer kind {kind!r}: {did_you_mean(kind, ('moe', 'dense', 'head', 'mtp_in', 'embedding'))}"
    )


def layer_flops(model: ModelSpec, kind: str, tokens: int, sequence_length: int, causal: bool = True) -> float:
    """Forward operations of a layer for `tokens` in whole sequences."""
    products = 2.0 * layer_matrices(model, kind) * tokens
    if kind not in ("moe", "dense"):
        return products
    return products + attention_flops(mla_dims(model), tokens, sequence_length, causal)[0]


def flops_per_token(
    model: ModelSpec, sequence_length: int, causal: bool = True, training: bool = True
) -> float:
    """Operations a token of the main model, training (three times forward) or forward only."""
    one = sequence_length
    layers = model.dense_layers * layer_flops(model, "dense", one, sequence_length, causal)
    layers += (model.layers - model.dense_layers) * layer_flops(model, "moe", one, sequence_length, causal)
    forward = (layers + layer_flops(model, "head", one, sequence_length, causal)) / one
    return 3.0 * forward if training else forward
