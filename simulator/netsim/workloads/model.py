"""Parameters and floating-point operations of a model, by part and in closed form.

Modelled: every weight matrix and norm of the layers, embedding, output head and MTP module; two operations
for each weight a token meets in a matrix product, and the attention core, causal (half the pairs) or not.
Training is three times the forward. Left out, as in the published TFLOPS: the MTP module, recomputation,
norms, softmax, routing, the optimizer.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 2.1, 2.2 and 4.2; Insights into DeepSeek-V3,
arXiv 2505.09343, table 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.errors import NetsimError, did_you_mean
from netsim.specs.workload import ModelSpec
from netsim.workloads.attention import attention_flops, attention_matrices, attention_vectors
from netsim.workloads.layers import BODY, attention_of, has_experts, is_body


class Parameters(NamedTuple):
    """`dense` is held by every rank of a stage, `expert` is divided over the expert-parallel ranks."""

    dense: float
    expert: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.dense + self.expert


def expert_parameters(model: ModelSpec, width: int | None = None) -> int:
    """Parameters of one expert, or of a dense FFN of a width: its matrices, and biases where it has some."""
    h, w = model.hidden, model.experts.width if width is None else width
    biases = (model.ffn_matrices - 1) * w + h if model.ffn_bias else 0
    return model.ffn_matrices * h * w + biases


def _shared(model: ModelSpec) -> int:
    """Shared experts, and the gate that weighs them."""
    moe = model.experts
    if not moe.shared:
        return 0
    return moe.shared * expert_parameters(model, moe.shared_width) + model.hidden * moe.shared_gate


def _norm(model: ModelSpec) -> int:
    return model.hidden * (1 + model.norm_bias)


def _attention(model: ModelSpec, kind: str, tensor: int = 1) -> int:
    """Attention of a layer, and the norms of its residual stream."""
    a, h = attention_of(model, kind), model.hidden
    return (
        attention_matrices(a, h, tensor) + attention_vectors(a, h, tensor) + model.layer_norms * _norm(model)
    )


def layer_parameters(model: ModelSpec, kind: str, tensor: int = 1) -> Parameters:
    """Parameters of one layer of a kind: one of `layers.BODY`, "embedding", "head" or "mtp_in".

    tensor : tensor-parallel ranks, of which one is asked about; `workloads.division` says what they divide

    The gate counts its bias if it has one; the head its final norm, and its matrix, tied or not; "mtp_in" the two
    norms, the projection and the final norm that the MTP module has of its own (it shares embedding and head with the
    model).

    Raises NetsimError for an unknown kind.
    """
    h, words = model.hidden, model.vocabulary
    if is_body(kind):
        attention = _attention(model, kind, tensor)
        if not has_experts(kind):
            return Parameters(attention + _divided_ffn(model, tensor), 0.0)
        moe = model.experts
        gate = moe.experts * (h + moe.gate_bias)
        return Parameters(attention + gate + _shared(model), moe.experts * expert_parameters(model))
    match kind:
        case "embedding" | "embedding_copy":
            return Parameters(words * h // tensor + model.positions * h, 0.0)
        case "head":
            return Parameters((words * (h + model.head_bias)) // tensor + _norm(model), 0.0)
        case "mtp_in":
            return Parameters(2 * h * h + 3 * h, 0.0)
    raise _unknown(kind)


def _divided_ffn(model: ModelSpec, tensor: int) -> int:
    """A rank's part of a dense FFN; the bias of its output is whole."""
    h, w = model.hidden, model.dense_width
    biases = (model.ffn_matrices - 1) * w // tensor + h if model.ffn_bias else 0
    return model.ffn_matrices * h * w // tensor + biases


def _unknown(kind: str) -> NetsimError:
    return NetsimError(
        f"no layer kind {kind!r}: {did_you_mean(kind, (*BODY, 'embedding', 'head', 'mtp_in'))}"
    )


def _of_body(model: ModelSpec, value: Callable[[str], float]) -> dict[str, float]:
    """A value of all layers with a dense FFN together, and of all with experts."""
    found = {"dense": 0.0, "moe": 0.0}
    for kind, count in model.kind_counts.items():
        found["moe" if has_experts(kind) else "dense"] += count * value(kind)
    return found


def parameters_by_part(model: ModelSpec) -> dict[str, float]:
    """Total parameters of each part of the main model; they add up to its size.

    A head that is tied to the embedding has only its norm and bias.
    """
    tied = model.vocabulary * model.hidden if model.tied_embeddings else 0
    layers = _of_body(model, lambda kind: layer_parameters(model, kind).total)
    return {
        "embedding": layer_parameters(model, "embedding").total,
        "dense_layers": layers["dense"],
        "moe_layers": layers["moe"],
        "head": layer_parameters(model, "head").total - tied,
    }


def parameters_by_role(model: ModelSpec) -> dict[str, float]:
    """Total parameters of the main model by what they do; they add up to its size."""
    h, moe, norms = model.hidden, model.moe, model.layer_norms * _norm(model)
    routed = shared = 0
    if moe is not None:
        routed = model.moe_layers * moe.experts * expert_parameters(model)
        shared = model.moe_layers * (_shared(model) + moe.experts * (h + moe.gate_bias))
    words = (2 - model.tied_embeddings) * model.vocabulary * h + model.vocabulary * model.head_bias
    return {
        "embedding and head": words + model.positions * h,
        "attention": sum(
            count * (_attention(model, kind) - norms) for kind, count in model.kind_counts.items()
        ),
        "dense FFN": model.dense_count * expert_parameters(model, model.dense_width),
        "routed experts": routed,
        "shared experts and gate": shared,
        "norms": model.layers * norms + _norm(model),
    }


def total_parameters(model: ModelSpec) -> float:
    """Size of the main model, without the MTP module."""
    return sum(parameters_by_part(model).values())


def active_parameters(model: ModelSpec) -> float:
    """Parameters that one token uses: all but the experts it is not sent to."""
    if model.moe is None:
        return total_parameters(model)
    idle = model.moe_layers * (model.moe.experts - model.moe.top_k) * expert_parameters(model)
    return total_parameters(model) - idle


def mtp_parameters(model: ModelSpec) -> float:
    """Parameters of all MTP modules that they do not share with the main model."""
    one = layer_parameters(model, "mtp_in").total + layer_parameters(model, last_kind(model)).total
    return model.mtp_depth * one


def last_kind(model: ModelSpec) -> str:
    """The kind of the last layer, which an MTP module repeats."""
    return model.kinds[-1]


def layer_matrices(model: ModelSpec, kind: str) -> float:
    """Weights of a layer that a token meets in matrix products: what counts two operations each, forward."""
    h, each = model.hidden, model.ffn_matrices
    if is_body(kind):
        attention = attention_matrices(attention_of(model, kind), h)
        if not has_experts(kind):
            return attention + each * h * model.dense_width
        moe = model.experts
        inner = moe.top_k * moe.width + moe.shared_inner
        return attention + h * (moe.experts + moe.shared_gate) + each * h * inner
    match kind:
        case "head":
            return model.vocabulary * h
        case "mtp_in":
            return 2 * h * h
        case "embedding" | "embedding_copy":
            return 0.0
    raise _unknown(kind)


def layer_flops(model: ModelSpec, kind: str, tokens: int, sequence_length: int, causal: bool = True) -> float:
    """Forward operations of a layer for `tokens` in whole sequences."""
    products = 2.0 * layer_matrices(model, kind) * tokens
    if not is_body(kind):
        return products
    return products + attention_flops(attention_of(model, kind), tokens, sequence_length, causal)


def flops_per_token(
    model: ModelSpec, sequence_length: int, causal: bool = True, training: bool = True
) -> float:
    """Operations a token of the main model, training (three times forward) or forward only."""
    one = sequence_length
    layers = _of_body(model, lambda kind: layer_flops(model, kind, one, sequence_length, causal))
    total = layers["dense"] + layers["moe"] + layer_flops(model, "head", one, sequence_length, causal)
    return 3.0 * (total / one) if training else total / one
