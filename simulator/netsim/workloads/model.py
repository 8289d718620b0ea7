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
from netsim.workloads.attention import attention_matrices, attention_vectors, core_flops, heads_of


class Parameters(NamedTuple):
    """`dense` is held by every rank of a stage, `expert` is divided over the expert-parallel ranks."""

    dense: float
    expert: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.dense + self.expert


def _expert(model: ModelSpec) -> int:
    return 3 * model.hidden * model.experts.width


def layer_parameters(model: ModelSpec, kind: str, tensor: int = 1) -> Parameters:
    """Parameters of one layer of a kind: "moe", "dense", "embedding", "head" or "mtp_in".

    tensor : tensor-parallel ranks, of which one is asked about; `workloads.division` says what they divide

    The gate counts its bias if it has one; the head its final norm, and its matrix, tied or not; "mtp_in" the two
    norms, the projection and the final norm that the MTP module has of its own (it shares embedding and head with the
    model).

    Raises NetsimError for an unknown kind.
    """
    h = model.hidden
    attention = attention_matrices(model, tensor) + attention_vectors(model, tensor) + 2 * h
    match kind:
        case "moe":
            moe = model.experts
            gate = moe.experts * (h + moe.gate_bias)
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
    """Total parameters of each part of the main model; they add up to its size.

    A head that is tied to the embedding has only its norm.
    """
    tied = model.vocabulary * model.hidden if model.tied_embeddings else 0
    moe = layer_parameters(model, "moe").total if model.moe_layers else 0.0
    return {
        "embedding": layer_parameters(model, "embedding").total,
        "dense_layers": model.dense_layers * layer_parameters(model, "dense").total,
        "moe_layers": model.moe_layers * moe,
        "head": layer_parameters(model, "head").total - tied,
    }


def parameters_by_role(model: ModelSpec) -> dict[str, float]:
    """Total parameters of the main model by what they do; they add up to its size."""
    h, moe = model.hidden, model.moe
    routed = shared = 0
    if moe is not None:
        routed = model.moe_layers * moe.experts * _expert(model)
        shared = model.moe_layers * (moe.shared * _expert(model) + moe.experts * (h + moe.gate_bias))
    return {
        "embedding and head": (2 - model.tied_embeddings) * model.vocabulary * h,
        "attention": model.layers * (attention_matrices(model) + attention_vectors(model)),
        "dense FFN": model.dense_layers * 3 * h * model.dense_width,
        "routed experts": routed,
        "shared experts and gate": shared,
        "norms": (2 * model.layers + 1) * h,
    }


def total_parameters(model: ModelSpec) -> float:
    """Size of the main model, without the MTP module."""
    return sum(parameters_by_part(model).values())


def active_parameters(model: ModelSpec) -> float:
    """Parameters that one token uses: all but the experts it is not sent to."""
    if model.moe is None:
        return total_parameters(model)
    idle = model.moe_layers * (model.moe.experts - model.moe.top_k) * _expert(model)
    return total_parameters(model) - idle


def mtp_parameters(model: ModelSpec) -> float:
    """Parameters of all MTP modules that they do not share with the main model."""
    one = layer_parameters(model, "mtp_in").total + layer_parameters(model, last_kind(model)).total
    return model.mtp_depth * one


def last_kind(model: ModelSpec) -> str:
    """The kind of the last layer, which an MTP module repeats."""
    return "moe" if model.moe_layers else "dense"


def layer_matrices(model: ModelSpec, kind: str) -> float:
    """Weights of a layer that a token meets in matrix products: what counts two operations each, forward."""
    h = model.hidden
    match kind:
        case "moe":
            moe = model.experts
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
    return products + core_flops(heads_of(model.attention), tokens, sequence_length, causal)[0]


def flops_per_token(
    model: ModelSpec, sequence_length: int, causal: bool = True, training: bool = True
) -> float:
    """Operations a token of the main model, training (three times forward) or forward only."""
    one = sequence_length
    layers = model.dense_layers * layer_flops(model, "dense", one, sequence_length, causal)
    if model.moe_layers:
        layers += model.moe_layers * layer_flops(model, "moe", one, sequence_length, causal)
    forward = (layers + layer_flops(model, "head", one, sequence_length, causal)) / one
    return 3.0 * forward if training else forward
