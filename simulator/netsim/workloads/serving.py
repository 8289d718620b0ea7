"""GPU memory of a serving unit: weights that stay, keys and values that grow, and the batch that fits.

    experts    (experts + redundant) / EP copies of a routed expert on a GPU, in every MoE layer
    replicas   attention, shared experts, dense layers, gate and norms, and embedding and head in BF16, on every GPU;
               `tensor` GPUs of a host divide attention, dense FFN, embedding and head
    mtp        the MTP modules' own parameters, divided alike
    cache      of each request context x layers x what a layer caches, one more layer for each MTP module; a GPU of
               `tensor` keeps its share of the heads of `tensor` times the requests, and latents of MLA whole

A batch fits when weights, cache and a reserve stay within HBM. Left out: fragmentation of cache pages, scales of FP8
blocks, activations (in the reserve).

Source: DeepSeek-V3, arXiv 2412.19437, section 3.4; KV cache a token: arXiv 2505.09343, table 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.errors import NetsimError
from netsim.specs.workload import ModelSpec, Precision
from netsim.workloads.attention import cache_values, kept_tokens
from netsim.workloads.kernels import BF16_BYTES
from netsim.workloads.layers import attention_of, has_experts
from netsim.workloads.model import expert_parameters, last_kind, layer_parameters
from netsim.workloads.moe import value_bytes


@dataclass(frozen=True)
class Unit:
    """One expert-parallel group: GPUs, redundant expert copies, attention group, whether the shared expert is among
    the routed ones, and whether MTP modules are loaded."""

    expert: int
    redundant: int = 0
    tensor: int = 1
    shared_as_expert: bool = False
    mtp: bool = True


@dataclass(frozen=True)
class ServingMemory:
    """Bytes on a GPU by part; `cache` at the asked batch, `limit` requests of that context that would fit."""

    experts: float
    replicas: float
    mtp: float
    cache: float
    reserve: float
    capacity: float
    cache_bytes_per_token: float
    limit: int

    @property
    def weights(self) -> float:
        """All weights."""
        return self.experts + self.replicas + self.mtp

    @property
    def total(self) -> float:
        """All that is used."""
        return self.weights + self.cache + self.reserve

    @property
    def fits(self) -> bool:
        """Whether it is within HBM."""
        return self.total <= self.capacity


def local_experts(model: ModelSpec, unit: Unit) -> int:
    """Expert copies on a GPU; none in a model without experts.

    Raises NetsimError when they do not divide evenly.
    """
    if model.moe is None:
        if unit.expert > 1 or unit.redundant:
            raise NetsimError(
                f"expert = {unit.expert}: {model.name} has no experts, must be 1 without redundant ones"
            )
        return 0
    copies = model.moe.experts + unit.redundant
    if copies % unit.expert:
        short = unit.expert - copies % unit.expert
        raise NetsimError(
            f"expert = {unit.expert}: must divide {model.moe.experts} experts and {unit.redundant} redundant copies; "
            f"nearest: redundant = {unit.redundant + short}"
        )
    return copies // unit.expert


def cache_bytes_per_token(
    model: ModelSpec, precision: Precision, mtp: bool = False, tensor: int = 1, context: int | None = None
) -> float:
    """Bytes on a GPU for each cached token of a request that it owns, in all layers.

    context : tokens of the request, of which layers with a window keep the last; left out: none has outgrown it

    >>> from netsim.specs import WorkloadSpec, load
    >>> cache_bytes_per_token(load(WorkloadSpec, "workload", "deepseek-v3").model, "bf16")
    70272.0
    """
    counts = dict(model.kind_counts)
    if mtp:
        counts[last_kind(model)] += model.mtp_depth
    values = 0.0
    for kind, count in counts.items():
        a = attention_of(model, kind)
        kept = kept_tokens(a, context) / context if context else 1.0
        values += count * cache_values(a, tensor) * kept
    return tensor * values * value_bytes(precision)


def serving_memory(
    model: ModelSpec,
    unit: Unit,
    batch: int,
    context: int,
    precisions: tuple[Precision, Precision],
    reserve: float,
    capacity: float,
) -> ServingMemory:
    """Memory of a GPU that owns `batch` requests of `context` tokens.

    precisions : of weights, and of keys and values
    """
    size, tensor, copies = value_bytes(precisions[0]), unit.tensor, local_experts(model, unit)
    one = float(expert_parameters(model)) if model.moe else 0.0
    layers = {kind: _replica(model, kind, unit) for kind in model.kind_counts}
    routed = model.moe_layers * copies * one * size
    ends = sum(layer_parameters(model, kind, tensor).dense for kind in ("embedding", "head")) * BF16_BYTES
    replicas = sum(count * layers[kind] for kind, count in model.kind_counts.items())
    mtp = 0.0
    if unit.mtp and model.mtp_depth:
        kind = last_kind(model)
        layer = layers[kind] + (copies * one if has_experts(kind) else 0.0)
        mtp = model.mtp_depth * (layer_parameters(model, "mtp_in").dense * BF16_BYTES + layer * size)
    per_token = cache_bytes_per_token(model, precisions[1], unit.mtp, tensor, context)
    fixed = routed + replicas * size + ends + mtp
    limit = max(0, int((capacity - reserve - fixed) // (per_token * context)))
    cache = per_token * batch * context
    return ServingMemory(routed, replicas * size + ends, mtp, cache, reserve, capacity, per_token, limit)


def _replica(model: ModelSpec, kind: str, unit: Unit) -> float:
    """Parameters of a layer on every GPU, without routed experts."""
    shared = 0.0
    if has_experts(kind) and unit.shared_as_expert:
        shared = float(model.experts.shared * expert_parameters(model, model.experts.shared_width))
    return layer_parameters(model, kind, unit.tensor).dense - shared
