"""From a pipeline schedule to the tasks of a training step: blocks of compute and transfers, with who waits for whom.

Every pipeline rank has three in-order queues, as on the GPU: *compute*, *communication* (expert dispatch and
combine, pipeline sends), and *gradient* (reduction and parameter gathering, on a stream of their own). A task
starts when it is at the head of its queue and the tasks it waits for have ended. Durations are not known here.

Inside an overlapped pair the queues interleave layer by layer as in the public H800 trace:
compute attn(F), mlp(B), mlp(W), mlp(F), attn(B), attn(W); communication combine(B), dispatch(F), dispatch(B),
combine(F); then the pipeline sends. The backward of a combine moves tokens like a dispatch (`cached_dispatch`,
no counts to exchange), the backward of a dispatch like a combine.

Left out: host synchronisations inside a chunk, and sends that overtake each other.

Source: github.com/deepseek-ai/profile-data, training trace; DeepSeek-V3 technical report, arXiv 2412.19437, fig. 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from netsim.workloads.schedules import Chunk, Order, Unit
from netsim.workloads.stages import LayerKind, Stage

COMPUTE, COMMUNICATION, GRADIENT = 0, 1, 2
QUEUES = ("compute", "communication", "gradient")

#: transfers of a stage group on its own, and those that several ranks start together
EXPERT_TRANSFERS = ("dispatch", "cached_dispatch", "combine", "combine_backward")
SENDS = ("send_forward", "send_backward")
JOINT = ("reduce_scatter", "grad_norm", "all_gather")


class Work(NamedTuple):
    """What a task does, apart from where and when.

    For compute, `name` is a layer kind and `block` its half; for transfers, `name` is the collective. `overlapped`
    says whether compute and communication of the chunk run side by side. `stage` names the gradients of a joint
    transfer, `step` how many ranks along a send goes.
    """

    name: str
    block: str = ""
    phase: str = ""
    overlapped: bool = False
    stage: int = -1
    step: int = 0


@dataclass
class TaskGraph:
    """The tasks of one pipeline, in columns; a task is an index, and tasks of a rank are in queue order.

    `holders` : the ranks that hold each stage. `waits[t]` holds the tasks, other than its predecessor in the queue,
    that task t waits for.
    """

    ranks: int
    holders: tuple[tuple[int, ...], ...]
    works: list[Work] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    work: list[int] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    microbatch: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    layer: list[int] = field(default_factory=list)
    waits: list[tuple[int, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def routes(self) -> list[tuple[int, int]]:
        """The pairs of ranks (sender, receiver) between which anything is sent, sorted."""
        steps = [work.step for work in self.works]
        moves = {(rank, steps[work]) for rank, work in zip(self.rank, self.work, strict=True) if steps[work]}
        return sorted((rank, rank + step) for rank, step in moves)


def build_tasks(order: Order, stages: Sequence[Stage]) -> TaskGraph:
    """Every task of every rank for one step.

    order : chunks of each rank; stages : layers of each of the order's stages.
    """
    build = _Builder(TaskGraph(len(order.ranks), order.holders), order, stages)
    for rank, chunks in enumerate(order.ranks):
        build.rank_tasks(rank, chunks)
    build.resolve_arrivals()
    return build.graph


class _Builder:
    """Accumulates tasks; sends are linked to the chunks they feed once all ranks are known."""

    def __init__(self, graph: TaskGraph, order: Order, stages: Sequence[Stage]) -> None:
        self.graph, self.order, self.stages = graph, order, stages
        self.first_layer = [sum(len(s) for s in stages[:i]) for i in range(len(stages))]
        self.work_ids: dict[Work, int] = {}
        self.sent: dict[tuple[str, Unit], int] = {}
        self.arrivals: list[tuple[int, tuple[str, Unit]]] = []
        self.weights_done: dict[int, int] = {}  # stage -> last weight-gradient task on this rank

    def rank_tasks(self, rank: int, chunks: Sequence[Chunk]) -> None:
        self.rank, self.weights_done = rank, {}
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

    def _compute(self, side: _Side, layer: _Layer, block: str, phase: str) -> int:
        work = Work(layer.kind, block, phase, side.overlapped)
        self.unit = side.unit
        # a weight gradient needs only what its own input gradient already needed
        task = self.add(COMPUTE, work, () if phase == "W" else side.ready, layer.number)
        return self._expect(side, task)

    def _transfer(self, side: _Side, name: str, layer: int) -> int:
        self.unit = side.unit
        phase = "B" if name in ("cached_dispatch", "combine_backward") else "F"
        return self._expect(
            side, self.add(COMMUNICATION, Work(name, "", phase, side.overlapped), side.ready, layer)
        )

    def _expect(self, side: _Side, task: int) -> int:
        """Tie the first task of a side to the arrival from its neighbour."""
        if side.arrival:
            self.arrivals.append((task, side.arrival))
            side.arrival = None
        return task

    # -- one chunk ----------------------------------------------------------------------------------------

    def _chunk(self, chunk: Chunk) -> None:
        overlapped = chunk.phase == "1F1B"
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
            self._forward(ahead, f, _first_block(f.kind))
            self._exchange(ahead, f, "dispatch")
        if back and b:
            self._backward(back, b, _last_block(b.kind))
            self._exchange(back, b, "combine_backward")
            if with_weight:
                self._weight(back, b, _last_block(b.kind))
        if ahead and f and _last_block(f.kind) == "mlp":
            self._forward(ahead, f, "mlp")
            self._exchange(ahead, f, "combine")
        if back and b and _first_block(b.kind) == "attn":
            self._backward(back, b, "attn")
            if with_weight:
                self._weight(back, b, "attn")

    def _exchange(self, side: _Side, layer: _Layer, name: str) -> None:
        if layer.kind == "moe":
            side.ready = (self._transfer(side, name, layer.number),)

    def _forward(self, side: _Side, layer: _Layer, block: str) -> None:
        side.ready = (self._compute(side, layer, block, "F"),)

    def _backward(self, side: _Side, layer: _Layer, block: str) -> None:
        if layer.kind != "embedding":  # its input is token numbers: only a weight gradient
            side.ready = (self._compute(side, layer, block, "B"),)

    def _weight(self, side: _Side, layer: _Layer, block: str) -> None:
        self.weights_done[side.unit.stage] = self._compute(side, layer, block, "W")

    def _weights(self, unit: Unit) -> None:
        side = self._backward_side(unit, overlapped=False)
        side.arrival = None
        for layer in side.layers:
            self._weight(side, layer, _last_block(layer.kind))
            if _first_block(layer.kind) == "attn":
                self._weight(side, layer, "attn")

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
        """Reduce each stage's gradients when its last weight gradient is there, then clip, update, gather."""
        self.graph.chunks.append(Chunk())
        held = self.order.stages_of(self.rank)
        reduced = []
        for stage in sorted(held, key=lambda s: self.weights_done[s]):
            self.unit = Unit(stage, -1)
            reduced.append(
                self.add(GRADIENT, Work("reduce_scatter", stage=stage), (self.weights_done[stage],))
            )
        self.unit = Unit(-1, -1)
        norm = self.add(GRADIENT, Work("grad_norm"), tuple(reduced))
        updated = []
        for stage in held:
            self.unit = Unit(stage, -1)
            updated.append(self.add(COMPUTE, Work("optimizer", stage=stage), (norm,)))
        for stage, update in zip(held, updated, strict=True):
            self.unit = Unit(stage, -1)
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


def _first_block(kind: LayerKind) -> str:
    return "attn" if kind in ("dense", "moe") else kind


def _last_block(kind: LayerKind) -> str:
    return "mlp" if kind in ("dense", "moe") else kind
