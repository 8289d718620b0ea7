"""Runs a task graph on the network: in-order queues, waits, rendezvous, and nothing else.

Each *actor* (a class of stage groups that cannot be told apart) runs its queues as SimPy processes. A task starts
when it is at the head of its queue and what it waits for has ended; compute takes a known time, a
transfer takes a fixed latency and then as long as the network gives it. A joint transfer starts when the last of
its actors has arrived.

Where the ranks of an actor differ (`RankTimes`), its compute queue is one clock a rank: rank r starts a task when what
the task waits for has ended and its own task before has; a transfer starts when the last rank has arrived.

An exchange may also run beside the block that needs it (`Program.early` and `late`), and compute slows while kernels of
transfers hold SMs (`execution.pace`; not where ranks differ, nor on a GPU with a `Speed`).

Left out: the cost of a scheduling decision itself (it is part of the measured operator times).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import StalledError
from netsim.execution.pace import Pace
from netsim.execution.program import Execution, Lag, Program, RankTimes, Speed, Transfer
from netsim.execution.simpy_network import Network
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork

__all__ = ["Execution", "Lag", "Program", "RankTimes", "Speed", "Transfer", "execute"]

Steps = Generator[simpy.Event, Any, None]


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
    columns = np.array(run.start), run.ended(), np.array(run.bottleneck), np.array(run.stall_s)
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
        self.began: dict[int, simpy.Event] = {}
        self.early, self.late = program.early, program.late
        self.stall_s = [0.0] * len(program)
        self.joint: dict[int, simpy.Event] = {}
        self.missing = list(program.joint_size)
        self.speed = [speeds.get(actor) for actor in program.actor.tolist()] if speeds else []
        self.progress = progress
        self.count = 0
        ptr, ids = program.wait_ptr.tolist(), program.wait_ids.tolist()
        self.waits = [ids[ptr[t] : ptr[t + 1]] for t in range(len(program))]
        self.ranks = ranks
        self.actor: list[int] = program.actor.tolist()
        self.slope: list[float] = [] if program.slope is None or ranks else program.slope.tolist()
        self.pace = (
            [Pace(self.env) for _ in range(int(program.actor.max(initial=-1)) + 1)] if self.slope else []
        )
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
            if task in self.early:
                yield from self._wait_for_start(self.early[task])
            self._begin(task)
            if self.ranks is not None:
                self._note_waits(task, free)
            index = self.transfer[task]
            if index < 0:
                yield self._compute(task)
            else:
                transfer = self.transfers[index]
                self._hold(task, transfer.sms)
                if transfer.rendezvous < 0:
                    yield from self._move(transfer)
                else:
                    yield self._arrive(transfer)
                if transfer.batch >= 0:
                    self.bottleneck[task] = self.fluid.bottleneck_link(transfer.batch)
                if self.ranks is not None and (tail_s := self.ranks.tail_s(task)) > 0.0:
                    yield env.timeout(tail_s)
                self._hold(task, -transfer.sms)
            if task in self.late:
                yield from self._stand(task)
            self._finish(task)
            free = env.now

    def _begin(self, task: int) -> None:
        self.start[task] = self.env.now
        waiter = self.began.pop(task, None)
        if waiter is not None:
            waiter.succeed()

    def _wait_for_start(self, lag: Lag) -> Steps:
        if np.isnan(self.start[lag.other]):
            yield self.began.setdefault(lag.other, self.env.event())
        left = self.start[lag.other] + lag.seconds - self.env.now
        if left > 0.0:
            yield self.env.timeout(left)

    def _stand(self, task: int) -> Steps:
        """Until what a task is tied to has ended long enough ago."""
        since = self.env.now
        for other, seconds in self.late[task]:
            if self.end[other] is None:
                yield self.awaited.setdefault(other, self.env.event())
            left = (self.end[other] or 0.0) + seconds - self.env.now
            if left > 0.0:
                yield self.env.timeout(left)
        self.stall_s[task] = self.env.now - since

    def _hold(self, task: int, sms: int) -> None:
        if sms and self.pace:
            self.pace[self.actor[task]].hold(sms)

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
            if task in self.began:  # an exchange beside it, which looks at the time for itself
                self.began.pop(task).succeed()
            clock = np.maximum(clock, ready) + ranks.seconds(task)
            for other, seconds in self.late.get(task, ()):
                if end[other] is None:
                    yield self.awaited.setdefault(other, env.event())
                clock = np.maximum(clock, (end[other] or 0.0) + seconds)
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
        if speed is None and self.pace and self.slope[task]:
            return self.pace[self.actor[task]].run(self.seconds[task], self.slope[task])
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
