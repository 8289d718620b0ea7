"""Tasks of one rank after another, as they are written: compute, transfers, and sends between ranks.

A task is tied to what it waits for when it is written; what arrives from another rank is tied when all are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netsim.specs.framework import HostSpec, OverlapSpec
from netsim.workloads.graph import (
    COMMUNICATION,
    COMPUTE,
    EXPERT_TRANSFERS,
    HOST,
    PIPELINE,
    TENSOR,
    Mark,
    TaskGraph,
    Tie,
    Work,
)
from netsim.workloads.layers import has_experts, is_body
from netsim.workloads.schedules import Order, Unit
from netsim.workloads.stages import LayerKind


class Layer(NamedTuple):
    """A layer by its number in the model and its kind."""

    number: int
    kind: LayerKind

    @property
    def first_block(self) -> str:
        """The block that a forward begins with."""
        return "attn" if is_body(self.kind) else self.kind

    @property
    def last_block(self) -> str:
        """The block that a forward ends with."""
        return "mlp" if is_body(self.kind) else self.kind


@dataclass
class Side:
    """The forward or the backward half of a chunk while it is being written."""

    unit: Unit
    layers: list[Layer]
    arrival: tuple[str, Unit] | None
    overlapped: bool
    ready: tuple[int, ...] = ()
    parameters: tuple[int, ...] = ()  # what gathered those of the layer at hand
    again: tuple[int, ...] = ()  # what gathered the block's input again, for its weight gradient
    last: int = -1  # last compute


class TaskWriter:
    """Appends tasks of `rank` to a graph."""

    def __init__(
        self, graph: TaskGraph, order: Order, overlap: OverlapSpec, host: HostSpec | None = None
    ) -> None:
        self.graph, self.order, self.rank, self.overlap = graph, order, 0, overlap
        self.host = host if host and host.counts else None
        self.blocking: tuple[int, ...] = ()  # sends that the next compute waits for
        self._work_ids: dict[Work, int] = {}
        self._sent: dict[tuple[str, Unit], int] = {}
        self._arrivals: list[tuple[int, tuple[str, Unit]]] = []

    def add(self, queue: int, work: Work, unit: Unit, waits: tuple[int, ...] = (), layer: int = -1) -> int:
        """Append a task; returns its number."""
        graph, task = self.graph, len(self.graph)
        work_id = self._work_ids.setdefault(work, len(self._work_ids))
        if work_id == len(graph.works):
            graph.works.append(work)
        graph.rank.append(self.rank)
        graph.queue.append(queue)
        graph.work.append(work_id)
        graph.chunk.append(len(graph.chunks) - 1)
        graph.microbatch.append(unit.microbatch)
        graph.stage.append(unit.stage)
        graph.layer.append(layer)
        # an earlier task of the same queue has ended by the time this one is at its head
        graph.waits.append(tuple(w for w in waits if graph.queue[w] != queue))
        return task

    def compute(self, side: Side, layer: Layer, block: str, phase: str, waits: tuple[int, ...] = ()) -> int:
        """A block of a layer, when its input is there."""
        # an overlapped time was measured beside transfers that hold SMs all the time
        work = Work(layer.kind, block, phase, side.overlapped and self.overlap.sms == "always")
        # a weight gradient needs only what its own input gradient already needed
        waits += () if phase == "W" else side.ready + side.parameters
        waits, self.blocking = waits + self.blocking + self._launch(side, layer, block, phase), ()
        side.last = self._expect(side, self.add(COMPUTE, work, side.unit, waits, layer.number))
        return side.last

    def _launch(self, side: Side, layer: Layer, block: str, phase: str) -> tuple[int, ...]:
        """What the host does before a block, where that counts; weight gradients go with the backward."""
        if self.host is None or not is_body(layer.kind) or phase not in ("F", "B"):
            return ()
        experts = has_experts(layer.kind) and block == "mlp"
        gate = (
            (side.last,) if experts and phase == "F" and self.host.waits_for_gate and side.last >= 0 else ()
        )
        what = "attention" if block == "attn" else "experts" if experts else "dense"
        return (self.add(HOST, Work("host", what, phase), side.unit, gate, layer.number),)

    def beside(self, task: int, other: int, mark: Mark) -> None:
        """A task ends no sooner than `other` and what is behind the mark."""
        self.graph.late.setdefault(task, []).append(Tie(other, mark))

    def transfer_beside(
        self, side: Side, name: str, phase: str, layer: Layer, block: str, of: int, mark: Mark
    ) -> int:
        """An exchange that starts when the block `of` has reached a mark."""
        task = self.transfer(side, name, block, phase, layer)
        self.graph.early[task] = Tie(of, mark)
        return task

    def transfer(self, side: Side, name: str, block: str, phase: str, layer: Layer) -> int:
        """What a layer exchanges, when it is there."""
        work = Work(name, block, phase, side.overlapped)
        apart = self.overlap.streams == "each" and name not in EXPERT_TRANSFERS
        queue = TENSOR if apart else COMMUNICATION
        return self._expect(side, self.add(queue, work, side.unit, side.ready, layer.number))

    def send(self, side: Side, name: str, along: int) -> None:
        """Hand the result to the rank of the stage that comes next; on the same rank there is nothing to send."""
        following = Unit(side.unit.stage + along, side.unit.microbatch)
        if not 0 <= following.stage < self.order.stages:
            return
        step = self.order.rank_of[following] - self.rank
        if step:
            work = Work(name, "", name[5].upper(), side.overlapped, step=step)
            queue = PIPELINE if self.overlap.streams == "each" else COMMUNICATION
            sent = self.add(queue, work, side.unit, side.ready)
            self._sent[name, side.unit] = sent
            rounds = self.order.stages // len(self.order.ranks)
            if self.overlap.pipeline == "never" or (self.overlap.pipeline == "interleaved" and rounds == 1):
                self.blocking += (sent,)
        elif side.ready:
            self._sent[name, side.unit] = side.ready[0]

    def send_gradient(self, stage: int, other: int, done: int) -> int:
        """Send the gradient of a stage's embedding to the rank of another that holds the same."""
        step = self.order.holders[other][0] - self.rank
        queue = PIPELINE if self.overlap.streams == "each" else COMMUNICATION
        work, unit = Work("send_embedding", "", "W", stage=stage, step=step), Unit(stage, -1)
        self._sent["send_embedding", unit] = self.add(queue, work, unit, (done,))
        return self._sent["send_embedding", unit]

    def expect(self, task: int, name: str, unit: Unit) -> None:
        """Tie a task to what another rank sends."""
        self._arrivals.append((task, (name, unit)))

    def resolve_arrivals(self) -> None:
        """Tie what waits for another rank to what that sends, once all are written."""
        for task, sender in self._arrivals:
            self.graph.waits[task] += (self._sent[sender],)

    def _expect(self, side: Side, task: int) -> int:
        """Tie the first task of a side to the arrival from its neighbour."""
        if side.arrival:
            self._arrivals.append((task, side.arrival))
            side.arrival = None
        return task
