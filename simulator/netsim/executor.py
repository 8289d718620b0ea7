"""Runs a task graph on the network: in-order queues, waits, rendezvous, and nothing else.

Each *actor* (a class of stage groups that cannot be told apart) runs its queues as SimPy processes. A task starts
when it is at the head of its queue and what it waits for has ended; compute takes a known time, a
transfer takes a fixed latency and then as long as the network gives it. A joint transfer starts when the last of
its actors has arrived.

Left out: the cost of a scheduling decision itself (it is part of the measured operator times).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.simpy_network import Network

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


@dataclass(frozen=True)
class Execution:
    """When every task instance started and ended, in seconds, and the link that bound each transfer (-1: none)."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    bottleneck: NDArray[np.int64]


def execute(
    program: Program, fluid: FluidNetwork | None = None, progress: Callable[[int], None] | None = None
) -> Execution:
    """Run every task to its end; without transfers there need not be a network.

    Raises NetsimError naming the first stuck task when the program cannot finish (a dead link under a transfer).
    """
    run = _Run(program, fluid or FluidNetwork(np.zeros(0), FlowTable.from_batches([])), progress)
    run.env.run()
    stuck = np.flatnonzero(np.isnan(run.ended()))
    if stuck.size:
        first = int(stuck[0])
        raise NetsimError(
            f"the step stalls: {stuck.size} of {len(program)} tasks never end, the first on actor "
            f"{program.actor[first]} (task {first}); does a transfer cross a link without capacity?"
        )
    return Execution(np.array(run.start), run.ended(), np.array(run.bottleneck))


class _Run:
    """One execution in progress. Columns are plain lists: they are touched one element at a time."""

    def __init__(self, program: Program, fluid: FluidNetwork, progress: Callable[[int], None] | None) -> None:
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
        self.progress = progress
        self.count = 0
        ptr, ids = program.wait_ptr.tolist(), program.wait_ids.tolist()
        self.waits = [ids[ptr[t] : ptr[t + 1]] for t in range(len(program))]
        for tasks in _queues(program):
            self.env.process(self._queue(tasks))

    def ended(self) -> NDArray[np.float64]:
        return np.array([np.nan if end is None else end for end in self.end])

    def _queue(self, tasks: list[int]) -> Steps:
        env, end = self.env, self.end
        for task in tasks:
            for other in self.waits[task]:
                if end[other] is None:
                    yield self.awaited.setdefault(other, env.event())
            self.start[task] = env.now
            index = self.transfer[task]
            if index < 0:
                yield env.timeout(self.seconds[task])
            else:
                transfer = self.transfers[index]
                if transfer.rendezvous < 0:
                    yield from self._move(transfer)
                else:
                    yield self._arrive(transfer)
                if transfer.batch >= 0:
                    self.bottleneck[task] = self.fluid.bottleneck_link(transfer.batch)
            self._finish(task)

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
