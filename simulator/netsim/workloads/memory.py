"""Bytes of GPU memory on a rank, part by part, and whether they fit.

    parameters   working weights of the stages held, in the storage precision; embedding, head, MTP projection in BF16
    gradients    one FP32 accumulator a parameter held
    optimizer    master weight and two Adam moments a parameter held
    activations  what a stage keeps of a micro-batch, times the micro-batches between forward and weight gradient, at
                 the worst moment of the schedule's order
    buffers      a fixed allowance

ZeRO stage 1 leaves a rank its own share of the optimizer; stage 2 of the gradients too, beside the largest layer's
gradients that are being reduced; stage 3 of the parameters too, beside two of the largest layer: the one at work and
the one gathered ahead. Tensor and context parallelism (with sequence parallelism) leave a rank its part of a
micro-batch's tokens, or of heads and width, of everything that is kept.

Kept of a MoE layer, for t tokens of width h and r rows at the local experts: the residual stream before attention and
before the FFN (2 t h BF16), the latents (t (q_rank + kv_rank + rope) BF16), the attention output (t heads v_dim) and
its log-sum-exp, the tokens received by the local experts (t x distinct devices x h), and the inputs of SwiGLU of shared
and routed experts (t 2 w shared + r 2 w), in the stash's precision. Without recomputing norms their outputs are kept
too (2 t h), without recomputing the MLA up-projections the queries, keys and values. Attention by
heads keeps queries, keys and values, BF16, in place of the latents. A dense layer keeps 2 t width
in place of the experts; a head its input and the logits' gradient in BF16. A layer that is computed again keeps its
input (2 t h), an FFN that is computed again nothing, and one such layer is there whole at a time. Under low-rank
adapters only these have gradients and an optimizer.

Left out: keys and values gathered under context parallelism (kept of one layer at a time), that gate and norms of a
layer stay in BF16 (0.5 % of what a rank holds of a MoE layer), fragmentation, scales of FP8 blocks (1/32 of the
values), temporary tensors inside a block.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 3.2.3 and 3.3.3; what the public trace saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netsim.specs.workload import AttentionSpec, ModelSpec, StorageSpec, WorkloadSpec
from netsim.workloads.adapter import trained
from netsim.workloads.again import blocks_again
from netsim.workloads.holding import layer_holding, own_share, unshared
from netsim.workloads.layers import attention_of, has_experts, is_body
from netsim.workloads.moe import value_bytes
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Order
from netsim.workloads.stages import LayerKind, Stage


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank by part, at its worst moment; `in_flight` micro-batches of one stage or other then."""

    rank: int
    parameters: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    in_flight: int

    @property
    def parts(self) -> dict[str, float]:
        """The parts by name."""
        names = ("parameters", "gradients", "optimizer", "activations", "buffers")
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def largest(self) -> str:
        """The name of the largest part."""
        return max(self.parts, key=lambda name: self.parts[name])


def memory_by_rank(
    job: WorkloadSpec, plan: Plan, order: Order, stages: Sequence[Stage], devices_per_token: float
) -> list[Memory]:
    """Memory of every pipeline rank."""
    kept = [sum(layer_activations(job, plan, kind, devices_per_token) for kind in stage) for stage in stages]
    ranks = [_of_rank(job, plan, order, stages, kept, rank) for rank in range(len(order.ranks))]
    working = _working(job, plan, stages, devices_per_token)
    return [replace(rank, activations=rank.activations + working) for rank in ranks]


def _working(job: WorkloadSpec, plan: Plan, stages: Sequence[Stage], devices_per_token: float) -> float:
    """Bytes of the largest layer that is computed again: what it did not keep is there while its backward runs."""
    whole = job.model_copy(update={"storage": job.storage.model_copy(update={"recompute": ()})})
    kinds = {kind for stage in stages for kind in stage if blocks_again(kind, job.storage.recompute)}
    return max(
        (
            layer_activations(whole, plan, kind, devices_per_token)
            - layer_activations(job, plan, kind, devices_per_token)
            for kind in kinds
        ),
        default=0.0,
    )


def _of_rank(
    job: WorkloadSpec, plan: Plan, order: Order, stages: Sequence[Stage], kept: Sequence[float], rank: int
) -> Memory:
    storage = job.storage
    gradient = value_bytes(job.communication.gradient)
    state = value_bytes(storage.master) + 2 * value_bytes(storage.moments)
    weights, gradients, optimizer = _Part(), _Part(), _Part()
    for stage in order.stages_of(rank):
        for kind in unshared(stages[stage]):
            held, holders = layer_holding(job.model, kind, plan), len(order.holders[stage])
            own = own_share(held, plan, holders)
            weights.add(held.total, own, value_bytes(storage.weights if is_body(kind) else "bf16"))
            with_gradient = trained(job.model, job.adapter, (kind,), plan)
            own = own_share(with_gradient, plan, holders)
            gradients.add(with_gradient.total, own, gradient)
            optimizer.add(with_gradient.total, own, state)
    activations, in_flight = _peak(order, kept, rank)
    return Memory(
        rank,
        weights.own + 2 * weights.largest if plan.zero >= 3 else weights.held,
        gradients.own + gradients.largest if plan.zero >= 2 else gradients.held,
        optimizer.own if plan.zero >= 1 else optimizer.held,
        activations,
        storage.buffers,
        in_flight,
    )


@dataclass
class _Part:
    """Bytes of all layers of a rank: as held, the rank's own share of them, and of the largest layer."""

    held: float = 0.0
    own: float = 0.0
    largest: float = 0.0

    def add(self, held: float, own: float, bytes_each: float) -> None:
        """One more layer, in parameters."""
        self.held += held * bytes_each
        self.own += own * bytes_each
        self.largest = max(self.largest, held * bytes_each)


def _peak(order: Order, kept: Sequence[float], rank: int) -> tuple[float, int]:
    """The most bytes of activations on a rank, and the micro-batches then in flight."""
    now = peak = 0.0
    count = at_peak = 0
    for chunk in order.ranks[rank]:
        if chunk.forward:
            now, count = now + kept[chunk.forward.stage], count + 1
        if now > peak:
            peak, at_peak = now, count
        if chunk.weight:
            now, count = now - kept[chunk.weight.stage], count - 1
    return peak, at_peak


def layer_activations(job: WorkloadSpec, plan: Plan, kind: LayerKind, devices_per_token: float) -> float:
    """Bytes that a layer keeps of one micro-batch until its weight gradient."""
    model, storage, tokens = job.model, job.storage, plan.own_tokens
    h, stash = model.hidden, value_bytes(storage.stash)
    match kind:
        case "embedding":
            return 4.0 * tokens
        case "head":
            return 2.0 * tokens * (h + model.vocabulary)
        case "mtp_in":
            return 2.0 * tokens * 2 * h
    again = blocks_again(kind, storage.recompute)
    if "attn" in again:  # the layer's input is all that is kept
        return 2.0 * tokens * h
    attention = _attention(model, attention_of(model, kind), storage, tokens)
    norms = 0.0 if "norm" in storage.recompute else 2.0 * tokens * h * stash
    if "mlp" in again:
        return attention + norms + 2.0 * tokens * h
    columns = float(model.ffn_matrices - 1)
    if not has_experts(kind):
        return attention + norms + 2.0 * tokens * h + columns * tokens * model.dense_width * stash
    moe = model.experts
    rows = tokens * moe.top_k
    swiglu = (tokens * moe.shared_inner + rows * moe.width) * columns * stash
    received = tokens * devices_per_token * h * stash
    return attention + norms + 2.0 * tokens * h + swiglu + received


def _attention(model: ModelSpec, a: AttentionSpec, storage: StorageSpec, tokens: int) -> float:
    kept = 2.0 * tokens * model.hidden + tokens * a.heads * (a.v_dim * storage.attention_bits / 8 + 4)
    if a.kind != "mla":
        return kept + 2.0 * tokens * (a.heads + 2 * a.key_value_heads) * a.head_dim
    kept += 2.0 * tokens * (a.kv_rank + a.rope_dim + (a.q_rank or a.heads * a.qk_dim))
    if "mla_up" not in storage.recompute:
        again = (a.qk_dim if a.q_rank else 0) + a.qk_dim + a.v_dim
        kept += 2.0 * tokens * a.heads * again
    return kept
