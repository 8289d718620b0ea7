"""Runs a task graph on the network: in-order queues, waits, rendezvous, and nothing else.

Each *actor* (a class of stage groups that cannot be told apart) runs its queues as SimPy processes. A task starts
when it is at the head of its queue and what it waits for has ended; compute takes a known time, a
transfer takes a fixed latency and then as long as the network gives it. A joint transfer starts when the last of
its actors has arrived.

Where the ranks of an actor differ (`RankTimes`), its compute queue is one clock a rank: rank r starts a task when what
the task waits for has ended and its own task before has; a transfer starts when the last rank has arrived.

Left out: the cost of a scheduling decision itself (it is part of the measured operator times).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import StalledError
from netsim.execution.simpy_network import Network
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork

Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Transfer:
    """How a task uses the network: a registered batch, bytes of its unit, the sender's kernel rate, fixed latency.

    `rendezvous` names a joint transfer; `batch` is -1 for a rendezvous without traffic.
    """

    batch: int
    unit_bytes: float
    kernel_bytes_per_s: float
    latency_s: float
    rendezvous: int = -1


@dataclass(frozen=True)
class Program:
    """What the actors run, in columns over task instances; instances of one actor are in queue order.

    actor, queue : (n,); seconds : (n,) compute time, NaN for a transfer; transfer : (n,) index into `transfers`,
    -1 for compute; wait_ptr, wait_ids : CSR of instances waited for; joint_size : members of each rendezvous.
    """

    actor: NDArray[np.int64]
    queue: NDArray[np.int64]
    seconds: NDArray[np.float64]
    transfer: NDArray[np.int64]
    wait_ptr: NDArray[np.int64]
    wait_ids: NDArray[np.int64]
    transfers: Sequence[Transfer]
    joint_size: Sequence[int]

    def __len__(self) -> int:
        return len(self.actor)


class RankTimes(Protocol):
    """How the ranks of an actor differ."""

    @property
    def width(self) -> int:
        """Ranks of every actor."""
        ...

    def seconds(self, instance: int) -> NDArray[np.float64]:
        """(width,) compute time of an instance on each rank."""
        ...

    def tail_s(self, instance: int) -> float:
        """What a transfer takes longer after its mean bytes have moved."""
        ...


@dataclass(frozen=True)
class Execution:
    """When every task instance started and ended, in seconds, and the link that bound each transfer (-1: none).

    Where ranks differ: `last_rank`, which of them was the last to end each compute task (-1 for a transfer), and
    `wait_s`, (actors, width) how long each waited at the start of transfers for the last rank.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    bottleneck: NDArray[np.int64]
    last_rank: NDArray[np.int64] | None = None
    wait_s: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Speed:
    """How fast an actor computes: `factor[n]` of its speed from `time_s[n]` on, all of it before.

    >>> Speed((2.0, 4.0), (0.5, 1.0)).end_s(1.0, 3.0)  # one second before, one in two slow ones, one after
    5.0
    """

    time_s: tuple[float, ...]
    factor: tuple[float, ...]

    def end_s(self, now_s: float, seconds: float) -> float:
        """When `seconds` of work end that start now; inf for never."""
        factor = 1.0
        for at, then in zip(self.time_s, self.factor, strict=True):
            if at > now_s:
                done = (at - now_s) * factor
                if done >= seconds:
                    return now_s + seconds / factor
                seconds, now_s = seconds - done, at
            factor = then
        return now_s + seconds / factor if factor > 0 else np.inf


def execute(
    program: Program,
    fluid: FluidNetwork | None = None,
    progress: Callable[[int], None] | None = None,
    ranks: RankTimes | None = None,
    changes: Sequence[tuple[float, FlowTable]] = (),
    speeds: Mapping[int, Speed] | None = None,
) -> Execution:
    """Run every task to its end; without transfers there need not be a network.

    `ranks` gives the compute times in place of the program's where the ranks of an actor differ; `changes` are the
    paths that flows take from a time on, in order; `speeds` of actors that compute at another speed (not with `ranks`).

    Raises StalledError naming the first stuck task when the program cannot finish (a dead link under a transfer).
    """
    network = fluid or FluidNetwork(np.zeros(0), FlowTable.from_batches([]))
    run = _Run(program, network, progress, ranks, speeds or {})
    if changes:
        run.env.process(run.change(changes))
    run.env.run()
    stuck = np.flatnonzero(np.isnan(run.ended()))
    if stuck.size:
        first = int(stuck[0])
        raise StalledError(
            f"the step stalls: {stuck.size} of {len(program)} tasks never end, the first on actor "
            f"{program.actor[first]} (task {first}); does a transfer cross a link without capacity?"
        )
    columns = np.array(run.start), run.ended(), np.array(run.bottleneck)
    return Execution(*columns) if ranks is None else Execution(*columns, np.array(run.last_rank), run.wait_s)


class _Run:
    """One execution in progress. Columns are plain lists: they are touched one element at a time."""

    def __init__(
        self,
        program: Program,
        fluid: FluidNetwork,
        progress: Callable[[int], None] | None,
        ranks: RankTimes | None,
        speeds: Mapping[int, Speed],
    ) -> None:
        self.env = simpy.Environment()
        self.network = Network(self.env, fluid)
        self.fluid, self.transfers = fluid, program.transfers
        self.seconds: list[float] = program.seconds.tolist()
        self.transfer: list[int] = program.transfer.tolist()
        self.start = [float("nan")] * len(program)
        self.end: list[float | None] = [None] * len(program)
        self.bottleneck = [-1] * len(program)
        self.awaited: dict[int, simpy.Event] = {}
        self.joint: dict[int, simpy.Event] = {}
        self.missing = list(program.joint_size)
        self.speed = [speeds.get(actor) for actor in program.actor.tolist()] if speeds else []
        self.progress = progress
        self.count = 0
        ptr, ids = program.wait_ptr.tolist(), program.wait_ids.tolist()
        self.waits = [ids[ptr[t] : ptr[t + 1]] for t in range(len(program))]
        self.ranks = ranks
        self.actor: list[int] = program.actor.tolist()
        self.last_rank = [-1] * len(program)
        self.wait_s = np.zeros((int(program.actor.max(initial=-1)) + 1, ranks.width if ranks else 0))
        self.arrived: dict[
            int, NDArray[np.float64]
        ] = {}  # when each rank ended a task that a transfer waits for
        for tasks in _queues(program):
            computes = self.transfer[tasks[0]] < 0
            self.env.process(
                self._rank_queue(tasks, ranks) if ranks is not None and computes else self._queue(tasks)
            )

    def ended(self) -> NDArray[np.float64]:
        return np.array([np.nan if end is None else end for end in self.end])

    def _queue(self, tasks: list[int]) -> Steps:
        env, end = self.env, self.end
        free = 0.0
        for task in tasks:
            for other in self.waits[task]:
                if end[other] is None:
                    yield self.awaited.setdefault(other, env.event())
            self.start[task] = env.now
            if self.ranks is not None:
                self._note_waits(task, free)
            index = self.transfer[task]
            if index < 0:
                yield self._compute(task)
            else:
                transfer = self.transfers[index]
                if transfer.rendezvous < 0:
                    yield from self._move(transfer)
                else:
                    yield self._arrive(transfer)
                if transfer.batch >= 0:
                    self.bottleneck[task] = self.fluid.bottleneck_link(transfer.batch)
                if self.ranks is not None and (tail_s := self.ranks.tail_s(task)) > 0.0:
                    yield env.timeout(tail_s)
            self._finish(task)
            free = env.now

    def _rank_queue(self, tasks: list[int], ranks: RankTimes) -> Steps:
        """The compute queue of an actor whose ranks differ; ends are planned ahead, never before a wait is over."""
        env, end = self.env, self.end
        clock, free = np.zeros(ranks.width), 0.0
        for task in tasks:
            ready = 0.0
            for other in self.waits[task]:
                if end[other] is None:
                    yield self.awaited.setdefault(other, env.event())
                ready = max(ready, end[other] or 0.0)
            self.start[task] = max(free, ready)
            clock = np.maximum(clock, ready) + ranks.seconds(task)
            self.arrived[task] = clock
            self.last_rank[task] = int(clock.argmax())
            free = float(clock.max())
            due = env.timeout(free - env.now, task)
            due.callbacks.append(lambda event: self._finish(event.value))

    def _note_waits(self, task: int, free: float) -> None:
        """How long each rank stands at the start of a transfer until the last one is there too."""
        arrived = [self.arrived.pop(other) for other in self.waits[task] if other in self.arrived]
        if arrived:
            there = np.maximum(np.max(arrived, axis=0), free)
            self.wait_s[self.actor[task]] += np.maximum(self.env.now - there, 0.0)

    def change(self, changes: Sequence[tuple[float, FlowTable]]) -> Steps:
        """Give flows other paths, each at its time."""
        for at, table in changes:
            if at > self.env.now:
                yield self.env.timeout(at - self.env.now)
            self.network.reroute(table)

    def _compute(self, task: int) -> simpy.Event:
        """An event at the end of a compute task that starts now."""
        speed = self.speed[task] if self.speed else None
        if speed is None:
            return self.env.timeout(self.seconds[task])
        end = speed.end_s(self.env.now, self.seconds[task])
        return self.env.timeout(end - self.env.now) if end < np.inf else self.env.event()

    def _finish(self, task: int) -> None:
        self.end[task] = self.env.now
        waiter = self.awaited.pop(task, None)
        if waiter is not None:
            waiter.succeed()
        self.count += 1
        if self.progress is not None and self.count % 2048 == 0:
            self.progress(self.count)

    def _move(self, transfer: Transfer) -> Steps:
        if transfer.latency_s:
            yield self.env.timeout(transfer.latency_s)
        if transfer.batch >= 0:
            yield self.network.transfer(transfer.batch, transfer.unit_bytes, transfer.kernel_bytes_per_s)

    def _arrive(self, transfer: Transfer) -> simpy.Event:
        """Join a rendezvous; the event fires when its transfer has ended for all."""
        key = transfer.rendezvous
        done = self.joint.setdefault(key, self.env.event())
        self.missing[key] -= 1
        if self.missing[key] == 0:
            self.env.process(self._joint_move(transfer, done))
        return done

    def _joint_move(self, transfer: Transfer, done: simpy.Event) -> Steps:
        yield from self._move(transfer)
        done.succeed()


def _queues(program: Program) -> list[list[int]]:
    """Instances of each (actor, queue), in order."""
    queues: dict[Any, list[int]] = {}
    for task, key in enumerate(zip(program.actor.tolist(), program.queue.tolist(), strict=True)):
        queues.setdefault(key, []).append(task)
    return [queues[key] for key in sorted(queues)]
