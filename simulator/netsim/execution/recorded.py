"""An execution as a graph of instants, to be read backwards (what set the end?) and run again with other durations.

Every task has two instants, its start and its end; a joint exchange has one more, when its last member has arrived:

    start  after the end of the task before in its queue, the ends that it waits for, and `early` marks
    end    the start (or the last arrival) plus the task's own duration; `late` marks behind the end of another
    own    what the execution shows: end - start, less what the task stood still for its marks

Run again with other durations, the graph is exact where nothing that shares a link or an SM shifts: a transfer keeps
the time that it took beside the others, a block the SMs that were taken from it, and ranks that differ the one of them
that was last. Faults are part of the durations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.execution.longest import longest, topological_order
from netsim.execution.program import Execution, Program

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: kinds of edges: order in a queue, a wait, marks between an exchange and its block, a task itself, a member's arrival
QUEUE, WAIT, EARLY, LATE, OWN, ARRIVAL = range(6)


@dataclass(frozen=True)
class Recorded:
    """The instants of an execution; of n tasks the starts are 0..n-1, the ends n..2n-1, then arrivals.

    ptr, source, kind : edges by the instant that they lead to; `task` : whose duration or mark an edge is (-1: none);
    lag_s : (edges,) seconds of marks, 0 elsewhere; own_s : (n,) durations; moved_s : (n,) a task's time from its last
    member's arrival
    """

    ptr: Ints
    source: Ints
    kind: Ints
    task: Ints
    lag_s: Floats
    own_s: Floats
    order: Ints

    @property
    def tasks(self) -> int:
        return len(self.own_s)

    def run(self, own_s: Floats | None = None, lag_s: Floats | None = None) -> tuple[Floats, Ints]:
        """Times of all instants, and the edge that set each, with other durations or marks."""
        length = np.array(self.lag_s if lag_s is None else lag_s)
        mine = self.kind == OWN
        length[mine] = (self.own_s if own_s is None else own_s)[self.task[mine]]
        found: tuple[Floats, Ints] = longest(self.order, self.ptr, self.source, length)
        return found

    def end_s(self, own_s: Floats | None = None, lag_s: Floats | None = None) -> float:
        """When the last task ends."""
        return float(self.run(own_s, lag_s)[0][self.tasks : 2 * self.tasks].max())


def record(program: Program, execution: Execution) -> Recorded:
    """The graph of an execution."""
    n = len(program)
    start, end = execution.start_s, execution.end_s
    joint = _joint(program)
    members = np.flatnonzero(joint >= 0)
    arrivals = int(joint.max(initial=-1)) + 1
    last = np.zeros(arrivals)
    np.maximum.at(last, joint[members], start[members])
    begin = np.array(start)
    begin[members] = last[joint[members]]
    stall = np.zeros(n) if execution.stall_s is None else execution.stall_s
    tasks = np.arange(n)
    lone = tasks[joint < 0]
    before, after = _in_queue(program)
    waits = np.repeat(tasks, np.diff(program.wait_ptr))
    parts = [
        _edges(QUEUE, after, before + n),
        _edges(WAIT, waits, program.wait_ids + n),
        _edges(OWN, lone + n, lone, task=lone),
        _edges(OWN, members + n, joint[members] + 2 * n, task=members),
        _edges(ARRIVAL, joint[members] + 2 * n, members),
        _marks(EARLY, [(t, lag.other, lag.seconds) for t, lag in program.early.items()], 0, 0),
        _marks(LATE, [(t, g.other, g.seconds) for t, lags in program.late.items() for g in lags], n, n),
    ]
    target, source, kind, task, lag_s = (np.concatenate(column) for column in zip(*parts, strict=True))
    sort = np.argsort(target, kind="stable")
    ptr = np.searchsorted(target[sort], np.arange(2 * n + arrivals + 1))
    source = source[sort]
    order = topological_order(ptr, source)
    return Recorded(ptr, source, kind[sort], task[sort], lag_s[sort], end - begin - stall, order)


def _joint(program: Program) -> Ints:
    """(n,) the rendezvous of each task, -1 for none."""
    of_transfer = np.array([*(t.rendezvous for t in program.transfers), -1], dtype=np.int64)
    return np.asarray(of_transfer[program.transfer])


def _in_queue(program: Program) -> tuple[Ints, Ints]:
    """Pairs of tasks that follow each other in a queue of an actor."""
    order = np.lexsort((np.arange(len(program)), program.queue, program.actor))
    one, two = order[:-1], order[1:]
    same = (program.actor[one] == program.actor[two]) & (program.queue[one] == program.queue[two])
    return one[same], two[same]


def _edges(
    kind: int, target: Ints, source: Ints, task: Ints | None = None
) -> tuple[NDArray[np.generic], ...]:
    size = len(target)
    return (
        np.asarray(target, np.int64),
        np.asarray(source, np.int64),
        np.full(size, kind),
        np.full(size, -1) if task is None else task,
        np.zeros(size),
    )


def _marks(
    kind: int, rows: list[tuple[int, int, float]], at: int, other: int
) -> tuple[NDArray[np.generic], ...]:
    task = np.array([row[0] for row in rows], dtype=np.int64)
    source = np.array([row[1] for row in rows], dtype=np.int64)
    lag_s = np.array([row[2] for row in rows], dtype=float)
    return task + at, source + other, np.full(len(rows), kind), task, lag_s
