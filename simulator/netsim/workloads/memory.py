"""Bytes of GPU memory on a rank, part by part, and whether they fit.

    parameters   working weights of the stages held, in the storage precision; embedding, head, MTP projection in BF16
    gradients    one FP32 accumulator a parameter held
    optimizer    master weight and two Adam moments a parameter held
    activations  what a stage keeps of a micro-batch, times the micro-batches between forward and weight gradient, at
                 the worst moment of the schedule's order
    buffers      a fixed allowance, or the work space of the worst moment where that is more

ZeRO stage 1 leaves a rank its own share of the optimizer; stage 2 of the gradients too, beside the largest layer's
gradients that are being reduced; stage 3 of the parameters too, beside two of the largest layer: the one at work and
the one gathered ahead. Tensor and context parallelism (with sequence parallelism) leave a rank its part of a
micro-batch's tokens, or of heads and width, of everything that is kept.

What a layer keeps of a micro-batch is in `netsim.workloads.kept`, what a step needs for a moment in
`netsim.workloads.work_space`; the latter is part of `buffers`, or more where they are smaller. Under low-rank adapters
only these have gradients and an optimizer. Left out: that gate and norms of a layer stay in BF16 (0.5 % of what a rank
holds of a MoE layer), and fragmentation.

Source: DeepSeek-V3 technical report, arXiv 2412.19437, sections 3.2.3 and 3.3.3; what the public trace saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.specs.workload import WorkloadSpec
from netsim.workloads.adapter import trained
from netsim.workloads.again import Again, places
from netsim.workloads.holding import layer_holding, own_share, unshared
from netsim.workloads.kept import layer_activations
from netsim.workloads.layers import is_body
from netsim.workloads.moe import value_bytes
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Order
from netsim.workloads.stages import Stage
from netsim.workloads.work_space import work_space


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
    kept = [_kept(job, plan, stage, devices_per_token) for stage in stages]
    ranks = range(len(order.ranks))
    return [_of_rank(job, plan, order, stages, kept, rank, devices_per_token) for rank in ranks]


def _kept(job: WorkloadSpec, plan: Plan, stage: Stage, devices_per_token: float) -> float:
    """Bytes that a stage keeps of one micro-batch."""
    again, whole = Again.of(job.storage), _keeping_all(job)
    return sum(
        layer_activations(job if again.blocks(kind, place) else whole, plan, kind, devices_per_token)
        for kind, place in zip(stage, places(stage), strict=True)
    )


def _keeping_all(job: WorkloadSpec) -> WorkloadSpec:
    """The job without recomputation of whole blocks."""
    parts = tuple(word for word in job.storage.recompute if word not in ("layer", "moe", "mlp"))
    kept = job.storage.model_copy(update={"recompute": parts, "recompute_layers": None})
    return job.model_copy(update={"storage": kept})


def _of_rank(
    job: WorkloadSpec,
    plan: Plan,
    order: Order,
    stages: Sequence[Stage],
    kept: Sequence[float],
    rank: int,
    devices: float,
) -> Memory:
    storage = job.storage
    gradient = value_bytes(job.communication.gradient)
    state = value_bytes(storage.master) + 2 * value_bytes(storage.moments)
    weights, gradients, optimizer = _Part(), _Part(), _Part()
    tied = job.model.tied_embeddings and any("head" in stages[stage] for stage in order.stages_of(rank))
    for stage in order.stages_of(rank):
        for kind in unshared(stages[stage]):
            if tied and kind == "embedding":  # the head is the same matrix
                continue
            held, holders = layer_holding(job.model, kind, plan), len(order.holders[stage])
            own = own_share(held, plan, holders)
            weights.add(held.total, own, value_bytes(storage.weights if is_body(kind) else "bf16"))
            with_gradient = trained(job.model, job.adapter, (kind,), plan)
            own = own_share(with_gradient, plan, holders)
            gradients.add(with_gradient.total, own, gradient)
            optimizer.add(with_gradient.total, own, state)
    activations, in_flight = _peak(order, kept, rank)
    held_layers = [kind for stage in order.stages_of(rank) for kind in stages[stage]]
    return Memory(
        rank,
        weights.own + 2 * weights.largest if plan.zero >= 3 else weights.held,
        gradients.own + gradients.largest if plan.zero >= 2 else gradients.held,
        optimizer.own if plan.zero >= 1 else optimizer.held,
        activations,
        max(storage.buffers, work_space(job, plan, held_layers, devices)),
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
