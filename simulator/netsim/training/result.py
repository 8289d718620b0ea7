"""What a step comes to: phases, overlap, collectives, and tidy tables with units in their column names.

Phases follow table 4 of arXiv 2505.09343. A rank's chunks do not overlap each other: a chunk lasts from its first
task (compute or expert exchange), or the end of the chunk before if that is later, to its last, pipeline sends
apart. `opt` is the tail of the step after the last chunk of the slowest rank; `bubble` is what is left of the step
on a rank. The table gives means over ranks and the ranges beside them.

Exposed communication and its hidden fraction are of every exchange of the step (`netsim.execution.exposure`), so they
cut across the phases. `idle` is the part of chunks in which a rank computes nothing; with compute, bubble and `opt` it
adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.execution.exposure import Exposure, exposure
from netsim.topologies.graph import RESOURCES
from netsim.training.simulate import Step
from netsim.workloads.tasks import (
    COMMUNICATION,
    COMPUTE,
    CONTEXT_TRANSFERS,
    EXCHANGES,
    EXPERT_TRANSFERS,
    JOINT,
    PIPELINE,
    SENDS,
    TENSOR,
    TENSOR_TRANSFERS,
)

PHASES = ("1F", "1B", "1W", "1F1B", "bubble", "opt")


@dataclass(frozen=True)
class Phases:
    """Seconds per phase: means over ranks, and (least, most); idle time inside chunks; exchanges exposed and hidden."""

    mean_s: dict[str, float]
    range_s: dict[str, tuple[float, float]]
    idle_s: float
    exposed_s: float
    hidden_fraction: float


def step_time_s(step: Step) -> float:
    """From the first task's start to the last task's end."""
    return float(step.execution.end_s.max())


class Columns:
    """Columns of the task instances, gathered from the graph once.

    `groups_in` : (actors,) stage groups that each actor class stands for; the others are per task instance.
    """

    def __init__(self, step: Step) -> None:
        graph, task = step.graph, step.instances.task
        self.actor = step.instances.actor
        self.queue = step.program.queue
        self.work = np.array(graph.work)[task]
        self.chunk = np.array(graph.chunk)[task]
        self.name = np.array([work.name for work in graph.works])[self.work]
        self.start_s, self.end_s = step.execution.start_s, step.execution.end_s
        stall = step.execution.stall_s
        self.stall_s = np.zeros(len(self.queue)) if stall is None else stall
        self.groups_in = step.traffic.multiplicity


def phases(step: Step) -> Phases:
    """Phases, exposed communication and the hidden fraction, weighted over all ranks."""
    columns, total = Columns(step), step_time_s(step)
    spans = chunk_spans(step, columns)
    last = max(float(span.end_s[-1]) for span in spans)
    rows = {phase: np.zeros(len(spans)) for phase in PHASES}
    idle = np.zeros(len(spans))
    for actor, span in enumerate(spans):
        length = span.end_s - span.start_s
        for phase in ("1F", "1B", "1W", "1F1B"):
            rows[phase][actor] = length[span.phase == phase].sum()
        idle[actor] = length.sum() - span.busy_s
        rows["opt"][actor] = total - last
        rows["bubble"][actor] = last - length.sum()
    weight, found = columns.groups_in, step_exposure(columns)
    return Phases(
        mean_s={phase: float(np.average(row, weights=weight)) for phase, row in rows.items()},
        range_s={phase: (float(row.min()), float(row.max())) for phase, row in rows.items()},
        idle_s=float(np.average(idle, weights=weight)),
        exposed_s=found.exposed_s,
        hidden_fraction=found.hidden_fraction,
    )


@dataclass(frozen=True)
class Spans:
    """The chunks of one actor class in order: phase, start and end of each, and the compute time in all of them."""

    phase: NDArray[np.str_]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    busy_s: float


def chunk_spans(step: Step, columns: Columns | None = None) -> list[Spans]:
    """When each chunk of each actor class ran; a chunk never starts before the one before has ended."""
    columns = columns or Columns(step)
    timed = np.isin(columns.queue, [COMPUTE, COMMUNICATION, TENSOR]) & ~np.isin(
        columns.name, [*SENDS, "optimizer"]
    )
    phase = np.array([chunk.phase for chunk in step.graph.chunks])
    return [_spans(columns, timed & (columns.actor == a), phase) for a in range(len(columns.groups_in))]


def _spans(columns: Columns, mask: NDArray[np.bool_], phase: NDArray[np.str_]) -> Spans:
    chunk, group = np.unique(columns.chunk[mask], return_inverse=True)
    start, end = np.full(len(chunk), np.inf), np.zeros(len(chunk))
    np.minimum.at(start, group, columns.start_s[mask])
    np.maximum.at(end, group, columns.end_s[mask])
    end = np.maximum.accumulate(end)
    start[1:] = np.maximum(start[1:], end[:-1])
    compute = mask & (columns.queue == COMPUTE)
    busy = float((columns.end_s - columns.start_s - columns.stall_s)[compute].sum())
    return Spans(phase[chunk], start, end, busy)


def step_exposure(columns: Columns, last_queue: int = PIPELINE) -> Exposure:
    """What of the step's exchanges, in the queues up to `last_queue`, is hidden, over all ranks."""
    c, mine = columns, columns.queue <= last_queue
    # what a block stands still for what it is tied to is put before it: the exchange is exposed for as long
    start = c.start_s + np.where(c.queue == COMPUTE, c.stall_s, 0.0)
    return exposure(
        c.actor[mine], c.queue[mine], c.work[mine], c.name[mine], start[mine], c.end_s[mine], c.groups_in
    )


@dataclass(frozen=True)
class CollectiveStatistics:
    """One kind of collective over the step; times over all its occurrences in the cluster."""

    kind: str
    count: int
    mean_s: float
    p99_s: float
    mean_alone_s: float | None
    mean_overlapped_s: float | None
    wire_bytes_per_gpu: float
    logical_bytes_per_gpu: float
    bottleneck: str


def collective_statistics(step: Step) -> list[CollectiveStatistics]:
    """Dispatches, combines, sends and gradient exchanges of the step."""
    columns = Columns(step)
    wire, bottleneck = transfer_columns(step)
    found = []
    for kind in (*EXCHANGES, *SENDS, *(joint for joint in JOINT if joint != "grad_norm")):
        mine = np.flatnonzero(columns.name == kind)
        if mine.size:
            found.append(_one_collective(step, columns, kind, mine, wire, bottleneck))
    return found


def _one_collective(
    step: Step,
    columns: Columns,
    kind: str,
    mine: NDArray[np.int64],
    wire: NDArray[np.float64],
    bottleneck: NDArray[np.str_],
) -> CollectiveStatistics:
    weight = columns.groups_in[columns.actor[mine]]
    seconds = (columns.end_s - columns.start_s)[mine]
    overlapped = np.array([w.overlapped for w in step.graph.works])[columns.work[mine]]
    if kind in JOINT:  # the time of the exchange itself, not the wait for its last member
        works, which = np.unique(columns.work[mine], return_inverse=True)
        last = np.full(len(works), np.inf)
        np.minimum.at(last, which, seconds)
        seconds, weight, overlapped = last, np.ones(len(last), dtype=int), np.zeros(len(last), dtype=bool)
    wire_mean = float(np.average(wire[mine], weights=columns.groups_in[columns.actor[mine]]))
    logical = wire_mean
    if kind in EXPERT_TRANSFERS:  # every host that a token visits counts, its own included
        units = np.array([step.program.transfers[t].unit_bytes for t in step.program.transfer[mine]])
        logical = (
            float(np.average(units, weights=columns.groups_in[columns.actor[mine]])) * step.routing.hosts
        )
    if (
        kind in TENSOR_TRANSFERS + CONTEXT_TRANSFERS
    ):  # what a rank sends, over NVLink too: all but its own part
        ranks = step.plan.tensor if kind in TENSOR_TRANSFERS else step.plan.context
        units = np.array([step.program.transfers[t].size_bytes for t in step.program.transfer[mine]])
        logical = (
            float(np.average(units, weights=columns.groups_in[columns.actor[mine]])) * (ranks - 1) / ranks
        )
    words, which = np.unique(bottleneck[mine], return_inverse=True)
    counts = np.bincount(which, weights=columns.groups_in[columns.actor[mine]])
    return CollectiveStatistics(
        kind=kind,
        count=int(weight.sum()),
        mean_s=float(np.average(seconds, weights=weight)),
        p99_s=float(np.percentile(np.repeat(seconds, weight), 99)),
        mean_alone_s=_mean_where(seconds, weight, ~overlapped),
        mean_overlapped_s=_mean_where(seconds, weight, overlapped),
        wire_bytes_per_gpu=wire_mean,
        logical_bytes_per_gpu=logical,
        bottleneck=str(words[counts.argmax()]),
    )


def _mean_where(
    seconds: NDArray[np.float64], weight: NDArray[np.int64], mask: NDArray[np.bool_]
) -> float | None:
    return float(np.average(seconds[mask], weights=weight[mask])) if mask.any() else None


def transfer_columns(step: Step) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Per task instance: mean bytes a GPU sends over its NIC (NaN for compute), and the resource that bound it."""
    program, index = step.program, step.program.transfer
    moves = index >= 0
    per_transfer = np.array([_wire_of(step, t.batch) * t.unit_bytes for t in program.transfers])
    wire = np.full(len(index), np.nan)
    wire[moves] = per_transfer[index[moves]]
    words = np.array([*resource_of_link(step), "kernel"])  # -1 picks the last: no link, the sender's own rate
    bound = words[step.execution.bottleneck]
    batchless = np.array([t.batch < 0 for t in program.transfers])
    bound[~moves] = ""
    bound[moves] = np.where(batchless[index[moves]], "latency", bound[moves])
    return wire, bound


def _wire_of(step: Step, batch: int) -> float:
    return step.traffic.wire_bytes_of[batch] if batch >= 0 else 0.0


def spine_bytes(step: Step) -> float:
    """Bytes of the step on links from a switch up to another, counted once for each such link that they climb.

    Where switches have no tiers, a cable has an up direction all the same (`netsim.topologies.graph`).
    """
    return _bytes_on(step, ("up", "trunk_up"))


def nic_bytes(step: Step) -> float:
    """Bytes of the step that NICs sent."""
    return _bytes_on(step, ("port_tx",))


def _bytes_on(step: Step, kinds: tuple[str, ...]) -> float:
    """What links of these kinds carried, in every state of a network whose parts break."""
    traffic, carried = step.traffic, np.asarray(step.fluid.link_bytes)
    states = [traffic.link_class] if traffic.layers is None else list(traffic.layers.link_class)
    mine = np.flatnonzero(np.isin(traffic.link_kind, kinds))
    return float(sum(carried[classes[mine][classes[mine] >= 0]].sum() for classes in states))


def resource_of_link(step: Step) -> list[str]:
    """What each link (class) of the simulated network is a part of, for people: nic, nvlink, pcie or fabric."""
    traffic = step.traffic
    states = [traffic.link_class]
    if traffic.layers is not None:
        states += list(traffic.layers.link_class[1:, : traffic.link_class.size])
    words = ["fabric"] * len(traffic.capacity)
    for link_class in states:
        used = np.flatnonzero(link_class >= 0)
        classes, first = np.unique(link_class[used], return_index=True)
        kinds = traffic.link_kind[used[first]]
        for number, kind in zip(classes.tolist(), kinds.tolist(), strict=True):
            words[number] = RESOURCES.get(kind, "fabric")
    return words
