"""From a pipeline schedule to the tasks of a training step: blocks of compute and transfers, with who waits for whom.

A task starts when it is at the head of its queue (`workloads.graph`) and the tasks it waits for have ended. Durations
are not known here.

Inside an overlapped pair the queues interleave layer by layer as in the public H800 trace:
compute attn(F), mlp(B), mlp(W), mlp(F), attn(B), attn(W); communication combine(B), dispatch(F), dispatch(B),
combine(F); then the pipeline sends. The backward of a combine moves tokens like a dispatch (`cached_dispatch`,
no counts to exchange), the backward of a dispatch like a combine.

Tensor parallelism (Korthikanti et al. 2022, section 4.2.2) puts an all-gather before and a reduce-scatter after
attention and dense FFN, forward and backward; the backward gathers the block's input once more for the weight gradient,
beside the input gradient. Vocabulary-parallel embedding and head have the half of it that they need; MoE blocks none,
since experts are whole. Context parallelism as Llama 3 does it (arXiv 2407.21783, section 3.3.2): keys and values are
gathered before attention, gathered again before its backward, and their gradients scattered after it. All of this is in
line with the block that needs it, so exposed unless the chunk is overlapped. Attention is one block here: what of it is
computed before its keys and values are gathered makes no difference to the sum.

ZeRO stage 2 and 3 reduce a layer's gradients after each of its weight gradients, in every micro-batch: there is no full
accumulator to wait in. Stage 3 gathers a layer's parameters before its forward and again before its backward, one
layer ahead of the compute (Zhao et al. 2023, PyTorch FSDP, arXiv 2304.11277).

Compute runs at its overlapped speed in overlapped chunks that exchange anything, and at its lone speed elsewhere: there
the only transfers beside compute are those of gradients and parameters, and of tensor parallelism beside a weight
gradient, whose kernels no table has timed together.

Left out: host synchronisations inside a chunk, sends that overtake each other, and the sums of the vocabulary-parallel
cross-entropy (two values a token).

Source: github.com/deepseek-ai/profile-data, training trace; DeepSeek-V3 technical report, arXiv 2412.19437, fig. 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from netsim.workloads.graph import (
    COMMUNICATION,
    COMPUTE,
    CONTEXT_TRANSFERS,
    EXCHANGES,
    EXPERT_TRANSFERS,
    GRADIENT,
    JOINT,
    PARAMETER,
    QUEUES,
    REDUCTIONS,
    SENDS,
    TENSOR_TRANSFERS,
    Division,
    TaskGraph,
    Work,
)
from netsim.workloads.schedules import Chunk, Order, Unit
from netsim.workloads.stages import LayerKind, Stage

__all__ = [
    "COMMUNICATION", "COMPUTE", "CONTEXT_TRANSFERS", "EXCHANGES", "EXPERT_TRANSFERS", "GRADIENT", "JOINT", "PARAMETER",
    "QUEUES", "REDUCTIONS", "SENDS", "TENSOR_TRANSFERS", "Division", "TaskGraph", "Work", "build_tasks",
]  # fmt: skip

#: block -> whether tensor parallelism gathers its input and scatters its output, forward (and so backward the other
#: way round), and gathers the input again for its weight gradient; blocks of a MoE layer's experts are not divided
_TENSOR_BLOCKS = {
    "attn": (True, True),
    "mlp": (True, True),
    "embedding": (False, True),
    "head": (True, False),
}


def build_tasks(order: Order, stages: Sequence[Stage], division: Division | None = None) -> TaskGraph:
    """Every task of every rank for one step.

    order : chunks of each rank; stages : layers of each of the order's stages; division : what has to be exchanged.
    """
    build = _Builder(TaskGraph(len(order.ranks), order.holders), order, stages, division or Division())
    for rank, chunks in enumerate(order.ranks):
        build.rank_tasks(rank, chunks)
    build.resolve_arrivals()
    return build.graph


class _Builder:
    """Accumulates tasks; sends are linked to the chunks they feed once all ranks are known."""

    def __init__(self, graph: TaskGraph, order: Order, stages: Sequence[Stage], division: Division) -> None:
        self.graph, self.order, self.stages, self.division = graph, order, stages, division
        self.first_layer = [sum(len(s) for s in stages[:i]) for i in range(len(stages))]
        self.work_ids: dict[Work, int] = {}
        self.sent: dict[tuple[str, Unit], int] = {}
        self.arrivals: list[tuple[int, tuple[str, Unit]]] = []
        self.weights_done: dict[int, int] = {}  # stage -> last weight-gradient task on this rank
        self.turns: Counter[tuple[str, str, int]] = Counter()  # how often a layer's parameters have moved
        self.used: list[int] = []  # last compute of each layer that gathered parameters

    def rank_tasks(self, rank: int, chunks: Sequence[Chunk]) -> None:
        self.rank, self.weights_done = rank, {}
        self.turns, self.used = Counter(), []
        for chunk in chunks:
            self.graph.chunks.append(chunk)
            self._chunk(chunk)
        self._end_of_step()

    # -- one task -----------------------------------------------------------------------------------------

    def add(self, queue: int, work: Work, waits: tuple[int, ...] = (), layer: int = -1) -> int:
        graph, task = self.graph, len(self.graph)
        work_id = self.work_ids.setdefault(work, len(self.work_ids))
        if work_id == len(graph.works):
            graph.works.append(work)
        graph.rank.append(self.rank)
        graph.queue.append(queue)
        graph.work.append(work_id)
        graph.chunk.append(len(graph.chunks) - 1)
        graph.microbatch.append(self.unit.microbatch)
        graph.stage.append(self.unit.stage)
        graph.layer.append(layer)
        # an earlier task of the same queue has ended by the time this one is at its head
        graph.waits.append(tuple(w for w in waits if graph.queue[w] != queue))
        return task

    def _compute(
        self, side: _Side, layer: _Layer, block: str, phase: str, waits: tuple[int, ...] = ()
    ) -> int:
        work = Work(layer.kind, block, phase, side.overlapped)
        self.unit = side.unit
        # a weight gradient needs only what its own input gradient already needed
        waits += () if phase == "W" else side.ready + side.parameters
        side.last = self._expect(side, self.add(COMPUTE, work, waits, layer.number))
        return side.last

    def _transfer(self, side: _Side, name: str, block: str, phase: str, layer: int) -> int:
        self.unit = side.unit
        work = Work(name, block, phase, side.overlapped)
        return self._expect(side, self.add(COMMUNICATION, work, side.ready, layer))

    def _expect(self, side: _Side, task: int) -> int:
        """Tie the first task of a side to the arrival from its neighbour."""
        if side.arrival:
            self.arrivals.append((task, side.arrival))
            side.arrival = None
        return task

    # -- one chunk ----------------------------------------------------------------------------------------

    def _chunk(self, chunk: Chunk) -> None:
        overlapped = chunk.phase == "1F1B" and self._exchanges_anything(chunk)
        ahead = self._forward_side(chunk.forward, overlapped) if chunk.forward else None
        back = self._backward_side(chunk.backward, overlapped) if chunk.backward else None
        with_weight = chunk.weight is not None and chunk.weight == chunk.backward
        layers = zip_longest(ahead.layers if ahead else (), back.layers if back else ())
        for forward, backward in layers:
            self._layer_pair(ahead, forward, back, backward, with_weight)
        if ahead:
            self._send(ahead, "send_forward", +1)
        if back:
            self._send(back, "send_backward", -1)
        if chunk.weight and not chunk.backward:
            self._weights(chunk.weight)

    def _exchanges_anything(self, chunk: Chunk) -> bool:
        """Whether there is a transfer for the compute of an overlapped chunk to run beside."""
        units = (chunk.forward, chunk.backward)
        divided = self.division.tensor or self.division.context
        return divided or any("moe" in self.stages[unit.stage] for unit in units if unit)

    def _forward_side(self, unit: Unit, overlapped: bool) -> _Side:
        layers = [_Layer(*row) for row in enumerate(self.stages[unit.stage], self.first_layer[unit.stage])]
        arrival = ("send_forward", Unit(unit.stage - 1, unit.microbatch)) if unit.stage else None
        return _Side(unit, layers, arrival, overlapped)

    def _backward_side(self, unit: Unit, overlapped: bool) -> _Side:
        side = self._forward_side(unit, overlapped)
        last = unit.stage == self.order.stages - 1
        side.arrival = None if last else ("send_backward", Unit(unit.stage + 1, unit.microbatch))
        side.layers.reverse()
        return side

    def _layer_pair(
        self, ahead: _Side | None, f: _Layer | None, back: _Side | None, b: _Layer | None, with_weight: bool
    ) -> None:
        """One layer of the forward and one of the backward, interleaved as in the trace; either may be missing."""
        if back and b:
            self._exchange(back, b, "cached_dispatch")
        if ahead and f:
            self._gather_parameters(ahead, f, "F")
            self._forward(ahead, f, _first_block(f.kind))
            self._exchange(ahead, f, "dispatch")
        if back and b:
            self._gather_parameters(back, b, "B")
            self._backward(back, b, _last_block(b.kind), with_weight)
            self._exchange(back, b, "combine_backward")
            if with_weight:
                self._weight(back, b, _last_block(b.kind))
        if ahead and f and _last_block(f.kind) == "mlp":
            self._forward(ahead, f, "mlp")
            self._exchange(ahead, f, "combine")
        if back and b and _first_block(b.kind) == "attn":
            self._backward(back, b, "attn", with_weight)
            if with_weight:
                self._weight(back, b, "attn")
        self.used += [
            side.last for side, layer in ((ahead, f), (back, b)) if side and layer and side.last >= 0
        ]

    def _exchange(self, side: _Side, layer: _Layer, name: str) -> None:
        """Dispatch or combine of a MoE layer."""
        if layer.kind == "moe":
            phase = "B" if name in ("cached_dispatch", "combine_backward") else "F"
            side.ready = (self._transfer(side, name, "", phase, layer.number),)

    def _forward(self, side: _Side, layer: _Layer, block: str) -> None:
        """A block forward, between the exchanges of its divided inputs and outputs."""
        gathers, scatters = self._tensor(layer.kind, block)
        if gathers:
            self._divided(side, "tensor_gather", block, "F", layer)
        if self.division.context and block == "attn":
            self._divided(side, "context_gather", block, "F", layer)
        side.ready = (self._compute(side, layer, block, "F"),)
        if scatters:
            self._divided(side, "tensor_scatter", block, "F", layer)

    def _backward(self, side: _Side, layer: _Layer, block: str, with_weight: bool) -> None:
        """An input gradient: what was scattered forward is gathered, and the other way round."""
        if layer.kind == "embedding":  # its input is token numbers: only a weight gradient
            return
        gathers, scatters = self._tensor(layer.kind, block)
        if scatters:
            self._divided(side, "tensor_gather", block, "B", layer)
        if self.division.context and block == "attn":
            self._divided(side, "context_gather", block, "B", layer)
        if gathers and with_weight:
            side.again = (self._transfer(side, "tensor_gather", block, "W", layer.number),)
        side.ready = (self._compute(side, layer, block, "B"),)
        if self.division.context and block == "attn":
            self._divided(side, "context_scatter", block, "B", layer)
        if gathers:
            self._divided(side, "tensor_scatter", block, "B", layer)

    def _divided(self, side: _Side, name: str, block: str, phase: str, layer: _Layer) -> None:
        side.ready = (self._transfer(side, name, block, phase, layer.number),)

    def _tensor(self, kind: LayerKind, block: str) -> tuple[bool, bool]:
        """Whether a block gathers its input and scatters its output, forward."""
        if not self.division.tensor or (kind, block) == ("moe", "mlp"):
            return False, False
        return _TENSOR_BLOCKS.get(block, (False, False))

    def _weight(self, side: _Side, layer: _Layer, block: str) -> None:
        waits, side.again = side.again, ()
        if (
            layer.kind == "embedding" and self.division.tensor
        ):  # the gradient of its output, which was scattered
            waits = (self._transfer(side, "tensor_gather", block, "W", layer.number),)
        done = self._compute(side, layer, block, "W", waits)
        self.weights_done[side.unit.stage] = done
        if self.division.zero >= 2 and block == _first_block(layer.kind):
            self._layer_moves(GRADIENT, "reduce_scatter", side, layer, "W", (done,))

    def _weights(self, unit: Unit) -> None:
        side = self._backward_side(unit, overlapped=False)
        side.arrival = None
        for layer in side.layers:
            for block in dict.fromkeys((_last_block(layer.kind), _first_block(layer.kind))):
                if self._tensor(layer.kind, block)[0]:
                    side.again = (self._transfer(side, "tensor_gather", block, "W", layer.number),)
                self._weight(side, layer, block)

    # -- parameters and gradients, a layer at a time (ZeRO stages 2 and 3) ------------------------------------

    def _gather_parameters(self, side: _Side, layer: _Layer, phase: str) -> None:
        """Under stage 3, gather when the layer before starts: two layers' worth are there at a time."""
        side.parameters = ()
        if self.division.zero == 3 and (layer.kind, phase) != ("embedding", "B"):
            before = tuple(self.used[-2:-1])
            side.parameters = (self._layer_moves(PARAMETER, "parameter_gather", side, layer, phase, before),)

    def _layer_moves(
        self, queue: int, name: str, side: _Side, layer: _Layer, phase: str, waits: tuple[int, ...]
    ) -> int:
        turn = self.turns[name, phase, layer.number]
        self.turns[name, phase, layer.number] += 1
        self.unit = side.unit
        work = Work(name, layer.kind, phase, stage=side.unit.stage, layer=layer.number, turn=turn)
        return self.add(queue, work, waits, layer.number)

    def _send(self, side: _Side, name: str, along: int) -> None:
        """Hand the result to the rank of the stage that comes next; on the same rank there is nothing to send."""
        following = Unit(side.unit.stage + along, side.unit.microbatch)
        if not 0 <= following.stage < self.order.stages:
            return
        step = self.order.rank_of[following] - self.rank
        self.unit = side.unit
        if step:
            work = Work(name, "", name[5].upper(), side.overlapped, step=step)
            self.sent[name, side.unit] = self.add(COMMUNICATION, work, side.ready)
        elif side.ready:
            self.sent[name, side.unit] = side.ready[0]

    # -- end of the step ----------------------------------------------------------------------------------

    def _end_of_step(self) -> None:
        """Reduce each stage's gradients when its last weight gradient is there (unless done), clip, update, gather."""
        self.graph.chunks.append(Chunk())
        held, zero = self.order.stages_of(self.rank), self.division.zero
        reduced = []
        if zero < 2:
            name = "reduce_scatter" if zero else "all_reduce"
            for stage in sorted(held, key=lambda s: self.weights_done[s]):
                self.unit = Unit(stage, -1)
                reduced.append(self.add(GRADIENT, Work(name, stage=stage), (self.weights_done[stage],)))
        self.unit = Unit(-1, -1)
        norm = self.add(GRADIENT, Work("grad_norm"), tuple(reduced))
        updated = []
        for stage in held:
            self.unit = Unit(stage, -1)
            updated.append(self.add(COMPUTE, Work("optimizer", stage=stage), (norm,)))
        for stage, update in zip(held, updated, strict=True):
            self.unit = Unit(stage, -1)
            if zero in (1, 2):
                self.add(GRADIENT, Work("all_gather", stage=stage), (update,))

    def resolve_arrivals(self) -> None:
        for task, sender in self.arrivals:
            self.graph.waits[task] += (self.sent[sender],)


class _Layer(NamedTuple):
    """A layer by its number in the model and its kind."""

    number: int
    kind: LayerKind


@dataclass
class _Side:
    """The forward or the backward half of a chunk while it is being written."""

    unit: Unit
    layers: list[_Layer]
    arrival: tuple[str, Unit] | None
    overlapped: bool
    ready: tuple[int, ...] = ()
    parameters: tuple[int, ...] = ()  # what gathered those of the layer at hand
    again: tuple[int, ...] = ()  # what gathered the block's input again, for its weight gradient
    last: int = -1  # last compute


def _first_block(kind: LayerKind) -> str:
    return "attn" if kind in ("dense", "moe") else kind


def _last_block(kind: LayerKind) -> str:
    return "mlp" if kind in ("dense", "moe") else kind
