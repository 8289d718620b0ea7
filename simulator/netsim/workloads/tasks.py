"""From a pipeline schedule to the tasks of a training step: blocks of compute and transfers, with who waits for whom.

A task starts when it is at the head of its queue (`workloads.graph`) and the tasks it waits for have ended. Durations
are not known here. What a block exchanges is in `workloads.task_blocks`.

Inside an overlapped pair the queues interleave layer by layer as in the public H800 trace:
compute attn(F), mlp(B), mlp(W), mlp(F), attn(B), attn(W); communication combine(B), dispatch(F), dispatch(B),
combine(F); then the pipeline sends.

Compute runs at its overlapped speed in overlapped chunks that exchange anything, and at its lone speed elsewhere: there
the only transfers beside compute are those of gradients and parameters, and of tensor parallelism beside a weight
gradient, whose kernels no table has timed together.

Left out: host synchronisations inside a chunk, sends that overtake each other, and the sums of the vocabulary-parallel
cross-entropy (two values a token).

Source: github.com/deepseek-ai/profile-data, training trace; DeepSeek-V3 technical report, arXiv 2412.19437, fig. 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from netsim.errors import SpecError
from netsim.workloads.again import places
from netsim.workloads.graph import (
    COMMUNICATION,
    COMPUTE,
    CONTEXT_TRANSFERS,
    EXCHANGES,
    EXPERT_TRANSFERS,
    GRADIENT,
    JOINT,
    PARAMETER,
    PIPELINE,
    QUEUES,
    REDUCTIONS,
    SENDS,
    TENSOR,
    TENSOR_TRANSFERS,
    Division,
    TaskGraph,
    Work,
)
from netsim.workloads.layers import has_experts
from netsim.workloads.schedules import Chunk, Order, Unit
from netsim.workloads.stages import Stage, shared_stages
from netsim.workloads.task_blocks import Blocks
from netsim.workloads.task_writer import Layer, Side, TaskWriter

__all__ = [
    "COMMUNICATION", "COMPUTE", "CONTEXT_TRANSFERS", "EXCHANGES", "EXPERT_TRANSFERS", "GRADIENT", "JOINT", "PARAMETER",
    "PIPELINE", "QUEUES", "REDUCTIONS", "SENDS", "TENSOR", "TENSOR_TRANSFERS", "Division", "TaskGraph", "Work",
    "build_tasks",
]  # fmt: skip


def build_tasks(order: Order, stages: Sequence[Stage], division: Division | None = None) -> TaskGraph:
    """Every task of every rank for one step.

    order : chunks of each rank; stages : layers of each of the order's stages; division : what has to be exchanged.

    Raises SpecError for gradients that should be reduced beside the backward under DualPipe.
    """
    division = division or Division()
    if division.overlap.gradient and division.zero < 2 and any(len(ranks) > 1 for ranks in order.holders):
        rule = "needs a schedule that holds each stage once: the two holders end a layer in different orders"
        raise SpecError("workload", "overlap.gradient", True, rule)
    writer = TaskWriter(TaskGraph(len(order.ranks), order.holders), order, division.overlap, division.host)
    for rank, chunks in enumerate(order.ranks):
        writer.rank = rank
        made = _Rank(writer, stages, division)
        made.begin(chunks)
        for chunk in chunks:
            made.chunk(chunk)
        shared = shared_stages(stages, order, division.tied)
        _end_of_step(writer, made.blocks.weights_done, division, shared)
    writer.resolve_arrivals()
    return writer.graph


class _Rank:
    """Writes the chunks of one rank."""

    def __init__(self, writer: TaskWriter, stages: Sequence[Stage], division: Division) -> None:
        self.writer, self.stages, self.division = writer, stages, division
        self.blocks = Blocks(writer, division)
        self.first_layer = [sum(map(len, stages[:stage])) for stage in range(len(stages))]

    def begin(self, chunks: Sequence[Chunk]) -> None:
        """What the step begins with: parameters that the last update left on other ranks."""
        self.writer.blocking = ()
        self.blocks.last_weight = {chunk.weight.stage: chunk.weight for chunk in chunks if chunk.weight}
        if self.division.zero in (1, 2) and self.division.overlap.parameter:
            held = sorted(self.writer.order.stages_of(self.writer.rank))
            self.writer.graph.chunks.append(chunks[0])
            self.blocks.gather_updated(held, {stage: self._layers(stage) for stage in held})
            self.writer.graph.chunks.pop()

    def _layers(self, stage: int) -> list[Layer]:
        return [Layer(*row) for row in enumerate(self.stages[stage], self.first_layer[stage])]

    def chunk(self, chunk: Chunk) -> None:
        """One chunk: a forward, a backward, both interleaved, or weight gradients alone."""
        self.writer.graph.chunks.append(chunk)
        overlapped = chunk.phase == "1F1B" and self._exchanges_anything(chunk)
        ahead = self._forward_side(chunk.forward, overlapped) if chunk.forward else None
        back = self._backward_side(chunk.backward, overlapped) if chunk.backward else None
        with_weight = chunk.weight is not None and chunk.weight == chunk.backward
        layers = zip_longest(ahead.layers if ahead else (), back.layers if back else ())
        for forward, backward in layers:
            self._layer_pair(ahead, forward, back, backward, with_weight)
        if ahead:
            self.writer.send(ahead, "send_forward", +1)
        if back:
            self.writer.send(back, "send_backward", -1)
        if chunk.weight and not chunk.backward:
            self._weights(chunk.weight)

    def _exchanges_anything(self, chunk: Chunk) -> bool:
        """Whether there is a transfer for the compute of an overlapped chunk to run beside."""
        units = (chunk.forward, chunk.backward)
        divided = self.division.tensor or self.division.context
        return divided or any(has_experts(kind) for unit in units if unit for kind in self.stages[unit.stage])

    def _forward_side(self, unit: Unit, overlapped: bool) -> Side:
        layers = self._layers(unit.stage)
        arrival = ("send_forward", Unit(unit.stage - 1, unit.microbatch)) if unit.stage else None
        return Side(unit, layers, arrival, overlapped)

    def _backward_side(self, unit: Unit, overlapped: bool) -> Side:
        side = self._forward_side(unit, overlapped)
        last = unit.stage == self.writer.order.stages - 1
        side.arrival = None if last else ("send_backward", Unit(unit.stage + 1, unit.microbatch))
        side.layers.reverse()
        return side

    def _layer_pair(
        self, ahead: Side | None, f: Layer | None, back: Side | None, b: Layer | None, with_weight: bool
    ) -> None:
        """One layer of the forward and one of the backward, interleaved as in the trace; either may be missing."""
        blocks = self.blocks
        again = self._again(back.unit, b) if back and b else ()
        if back and b and again:
            blocks.gather_parameters(back, b, "B")
            self._run_again(back, b, again)
        if back and b:
            blocks.exchange(back, b, "cached_dispatch")
        if ahead and f:
            blocks.gather_parameters(ahead, f, "F")
            blocks.forward(ahead, f, f.first_block)
            blocks.exchange(ahead, f, "dispatch")
        if back and b:
            if not again:
                blocks.gather_parameters(back, b, "B")
            delayed = blocks.delays(b, b.last_block)
            blocks.backward(back, b, b.last_block, with_weight)
            if with_weight and not delayed:
                blocks.weight(back, b, b.last_block)
            blocks.exchange(back, b, "combine_backward")
            if with_weight and delayed:
                blocks.weight(back, b, b.last_block)
        if ahead and f and f.last_block == "mlp":
            blocks.forward(ahead, f, "mlp")
            blocks.exchange(ahead, f, "combine")
        if back and b and b.first_block == "attn":
            blocks.backward(back, b, "attn", with_weight)
            if with_weight:
                blocks.weight(back, b, "attn")
        blocks.used(ahead, f)
        blocks.used(back, b)

    def _again(self, unit: Unit, layer: Layer) -> tuple[str, ...]:
        """The blocks of a layer that its backward runs again."""
        if not self.division.again.recompute:
            return ()
        place = places(self.stages[unit.stage])[layer.number - self.first_layer[unit.stage]]
        return self.division.again.blocks(layer.kind, place)

    def _run_again(self, side: Side, layer: Layer, blocks: Sequence[str]) -> None:
        """Forward blocks of a layer in front of its backward, with all that they exchange, as Megatron-LM runs them."""
        for block in blocks:
            if block == "mlp":
                self.blocks.exchange(side, layer, "dispatch")
            self.blocks.forward(side, layer, block)
        self.blocks.exchange(side, layer, "combine")

    def _weights(self, unit: Unit) -> None:
        side = self._backward_side(unit, overlapped=False)
        side.arrival = None
        for layer in side.layers:
            for block in dict.fromkeys((layer.last_block, layer.first_block)):
                self.blocks.lone_weight(side, layer, block)


def _shared_gradient(
    writer: TaskWriter, weights_done: Mapping[int, int], shared: tuple[int, int] | None
) -> tuple[list[int], list[Unit]]:
    """Send the gradient of an embedding that two stages hold to the other one's rank: what is sent, what arrives."""
    sent, arrivals = [], []
    for mine, other in (shared, shared[::-1]) if shared else ():
        if mine in weights_done:
            sent.append(writer.send_gradient(mine, other, weights_done[mine]))
            arrivals.append(Unit(other, -1))
    return sent, arrivals


def _end_of_step(
    writer: TaskWriter,
    weights_done: Mapping[int, int],
    division: Division,
    shared: tuple[int, int] | None = None,
) -> None:
    """Reduce each stage's gradients when its last weight gradient is there (unless done), clip, update, gather."""
    writer.graph.chunks.append(Chunk())
    held = writer.order.stages_of(writer.rank)
    reduced = []
    zero, overlap = division.zero, division.overlap
    if zero < 2 and not overlap.gradient:
        name = "reduce_scatter" if zero else "all_reduce"
        for stage in sorted(held, key=lambda s: weights_done[s]):
            waits = (weights_done[stage],)
            reduced.append(writer.add(GRADIENT, Work(name, stage=stage), Unit(stage, -1), waits))
    both = None if "embedding" in division.frozen else shared
    sent, arrivals = _shared_gradient(writer, weights_done, both)
    norm = writer.add(GRADIENT, Work("grad_norm"), Unit(-1, -1), (*reduced, *sent))
    for unit in arrivals:
        writer.expect(norm, "send_embedding", unit)
    updated = [
        writer.add(COMPUTE, Work("optimizer", stage=stage), Unit(stage, -1), (norm,)) for stage in held
    ]
    for stage, update in zip(held, updated, strict=True):
        if zero in (1, 2) and not overlap.parameter:
            writer.add(GRADIENT, Work("all_gather", stage=stage), Unit(stage, -1), (update,))
