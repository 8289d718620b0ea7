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
from typing import NamedTuple

from netsim.workloads.schedules import Chunk, Order, Unit, stage_of
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
    transfer, `step` the direction of a send along the ranks (+1 or -1).
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

    `both_ways` says that every stage is held by two ranks. `waits[t]` holds the tasks, other than its predecessor in
    the queue, that task t waits for.
    """

    ranks: int
    both_ways: bool
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


def build_tasks(order: Order, stages: Sequence[Stage]) -> TaskGraph:
    """Every task of every rank for one step.

    order : chunks of each rank; stages : layers of each stage, one stage a rank.
    """
    both_ways = any(chunk.forward and chunk.forward.direction for chunk in order[0])
    build = _Builder(TaskGraph(len(order), both_ways), stages)
    for rank, chunks in enumerate(order):
        build.rank_tasks(rank, chunks)
    build.resolve_arrivals()
    return build.graph


class _Builder:
    """Accumulates tasks; sends are linked to the chunks they feed once all ranks are known."""

    def __init__(self, graph: TaskGraph, stages: Sequence[Stage]) -> None:
        self.graph = graph
        self.ranks, self.stages = graph.ranks, stages
        self.directions = (0, 1) if graph.both_ways else (0,)
        self.first_layer = [sum(len(s) for s in stages[:i]) for i in range(len(stages))]
        self.work_ids: dict[Work, int] = {}
        self.sent: dict[tuple[str, Unit, int], int] = {}
        self.arrivals: list[tuple[int, tuple[str, Unit, int]]] = []
        self.last_on: list[int] = []  # last task of each queue of the current rank
        self.weights_done: dict[int, int] = {}  # stage -> last weight-gradient task on this rank
        self.join: tuple[int, ...] = ()  # forward communication that the next chunk's compute waits for

    def rank_tasks(self, rank: int, chunks: Sequence[Chunk]) -> None:
        self.rank, self.join, self.weights_done = rank, (), {}
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
        graph.stage.append(self.stage)
        graph.layer.append(layer)
        # an earlier task of the same queue has ended by the time this one is at its head
        graph.waits.append(tuple(w for w in waits if graph.queue[w] != queue))
        return task

    def _compute(self, side: _Side, kind: LayerKind, block: str, phase: str, layer: int) -> int:
        work = Work(kind, block, phase, side.overlapped)
        self.unit, self.stage = side.unit, side.stage
        # a weight gradient needs only what its own input gradient already needed
        ready = () if phase == "W" else side.ready
        task = self.add(COMPUTE, work, ready + self.join, layer)
        self.join = ()
        return self._expect(side, task)

    def _transfer(self, side: _Side, name: str, layer: int) -> int:
        self.unit, self.stage = side.unit, side.stage
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
        for slot in range(max(len(ahead.layers) if ahead else 0, len(back.layers) if back else 0)):
            self._slot(ahead, back, slot, with_weight)
        if ahead:
            self.join = tuple(w for w in ahead.ready if self.graph.queue[w] == COMMUNICATION)
            self._send(ahead, "send_forward", +1)
        if back:
            self._send(back, "send_backward", -1)
        if chunk.weight and not chunk.backward:
            self._weights(chunk.weight)

    def _forward_side(self, unit: Unit, overlapped: bool) -> _Side:
        stage = stage_of(self.rank, unit.direction, self.ranks)
        layers = list(enumerate(self.stages[stage], self.first_layer[stage]))
        arrival = ("send_forward", unit, stage - 1) if stage else None
        return _Side(unit, stage, layers, arrival, overlapped)

    def _backward_side(self, unit: Unit, overlapped: bool) -> _Side:
        side = self._forward_side(unit, overlapped)
        last = side.stage == self.ranks - 1
        side.arrival = None if last else ("send_backward", unit, side.stage + 1)
        side.layers.reverse()
        return side

    def _slot(self, ahead: _Side | None, back: _Side | None, slot: int, with_weight: bool) -> None:
        """One layer of the forward and one of the backward, interleaved as in the trace."""
        f = ahead.at(slot) if ahead else None
        b = back.at(slot) if back else None
        if back and b and b[1] == "moe":
            back.ready = (self._transfer(back, "cached_dispatch", b[0]),)
        if ahead and f:
            ahead.ready = (self._compute(ahead, f[1], _first_block(f[1]), "F", f[0]),)
            if f[1] == "moe":
                ahead.ready = (self._transfer(ahead, "dispatch", f[0]),)
        if back and b:
            done = self._backward(back, b, _last_block(b[1]))
            if b[1] == "moe":
                back.ready = (done,)
                back.ready = (self._transfer(back, "combine_backward", b[0]),)
            if with_weight:
                self._weight(back, b, _last_block(b[1]))
        if ahead and f and _last_block(f[1]) == "mlp":
            ahead.ready = (self._compute(ahead, f[1], "mlp", "F", f[0]),)
            if f[1] == "moe":
                ahead.ready = (self._transfer(ahead, "combine", f[0]),)
        if back and b and _first_block(b[1]) == "attn":
            self._backward(back, b, "attn")
            if with_weight:
                self._weight(back, b, "attn")

    def _backward(self, side: _Side, layer: tuple[int, LayerKind], block: str) -> int:
        if layer[1] == "embedding":  # its input is token numbers: only a weight gradient
            return side.ready[0] if side.ready else -1
        task = self._compute(side, layer[1], block, "B", layer[0])
        side.ready = (task,)
        return task

    def _weight(self, side: _Side, layer: tuple[int, LayerKind], block: str) -> None:
        task = self._compute(side, layer[1], block, "W", layer[0])
        self.weights_done[side.stage] = task

    def _weights(self, unit: Unit) -> None:
        side = self._backward_side(unit, overlapped=False)
        side.arrival = None
        for layer in side.layers:
            self._weight(side, layer, _last_block(layer[1]))
            if _first_block(layer[1]) == "attn":
                self._weight(side, layer, "attn")

    def _send(self, side: _Side, name: str, along: int) -> None:
        """Hand the result to the stage that comes next in the direction of travel."""
        if not 0 <= side.stage + along < self.ranks:
            return
        step = along if side.unit.direction == 0 else -along
        self.unit, self.stage = side.unit, side.stage
        work = Work(name, "", name[5].upper(), side.overlapped, step=step)
        self.sent[name, side.unit, side.stage] = self.add(COMMUNICATION, work, side.ready)

    # -- end of the step ----------------------------------------------------------------------------------

    def _end_of_step(self) -> None:
        """Reduce each stage's gradients when its last weight gradient is there, then clip, update, gather."""
        self.graph.chunks.append(Chunk())
        held = sorted({stage_of(self.rank, d, self.ranks) for d in self.directions})
        self.unit = Unit(0, -1)
        reduced = []
        for stage in sorted(held, key=lambda s: self.weights_done[s]):
            self.stage = stage
            reduced.append(self.add(GRADIENT, Work("reduce_scatter", stage=stage), (self.weights_done[stage],)))
        self.stage = -1
        norm = self.add(GRADIENT, Work("grad_norm"), tuple(reduced))
        updated = []
        for stage in held:
            self.stage = stage
            updated.append(self.add(COMPUTE, Work("optimizer", stage=stage), (norm,)))
        for stage, update in zip(held, updated, strict=True):
            self.stage = stage
            self.add(GRADIENT, Work("all_gather", stage=stage), (update,))

    def resolve_arrivals(self) -> None:
        for task, sender in self.arrivals:
            self.graph.waits[task] += (self.sent[sender],)


@dataclass
class _Side:
    """The forward or the backward half of a chunk while it is being written."""

    unit: Unit
    stage: int
    layers: list[tuple[int, LayerKind]]
    arrival: tuple[str, Unit, int] | None
    overlapped: bool
    ready: tuple[int, ...] = ()

    def at(self, slot: int) -> tuple[int, LayerKind] | None:
        return self.layers[slot] if slot < len(self.layers) else None


def _first_block(kind: LayerKind) -> str:
    return "attn" if kind in ("dense", "moe") else kind


def _last_block(kind: LayerKind) -> str:
    return "mlp" if kind in ("dense", "moe") else kind
