"""The network of a step once more, alone: every transfer starts when it did, over links or kernels of another rate.

That is how long each transfer takes when a resource changes, sharing and its side effects included: a flow that gets
what others leave of a link gains more than the link does. No task is run, so no start moves (to first order none needs
to); a batch that has not ended when its next start comes puts that start off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy
from netsim.network.fluid import FluidNetwork

Floats = NDArray[np.float64]


def moved_again_s(found: Anatomy, capacity: Floats, kernel_factor: Floats) -> Floats:
    """(n,) seconds that transfers take on the network; 0 for compute and for what moves nothing.

    capacity : (links,) bytes/s; kernel_factor : (n,) on the rate of each transfer's kernels
    """
    step = found.step
    program, fluid = step.program, FluidNetwork(capacity, step.traffic.table)
    starts = step.execution.end_s - found.moved_s
    moved, one = np.zeros(len(starts)), np.zeros(1, np.int64)
    running: dict[int, int] = {}
    last_s = 0.0

    def take(until_s: float) -> None:
        for batch in fluid.advance(until_s).tolist():
            task = running.pop(batch)
            moved[task] = until_s - begun[task]

    begun: dict[int, float] = {}
    for task in _movers(found, starts).tolist():
        transfer = program.transfers[program.transfer[task]]
        start_s = max(float(starts[task]), last_s)
        while (due_s := fluid.next_completion_s()) <= start_s or transfer.batch in running:
            take(due_s)
            last_s = start_s = max(start_s, due_s)
        one[0] = transfer.batch
        fluid.start(start_s, one, transfer.unit_bytes, transfer.kernel_bytes_per_s * kernel_factor[task])
        running[transfer.batch], begun[task] = task, start_s
    while running:
        take(fluid.next_completion_s())
    return _of_members(found, moved)


def _movers(found: Anatomy, starts: Floats) -> NDArray[np.int64]:
    """Tasks that move bytes, by their starts; of a joint exchange the first member."""
    transfers = found.step.program.transfers
    batch = np.array([*(t.batch for t in transfers), -1])[found.step.program.transfer]
    moves = np.flatnonzero(batch >= 0)
    meeting = _meeting(found)[moves]
    alone = moves[meeting < 0]
    _, first = np.unique(meeting[meeting >= 0], return_index=True)
    chosen = np.concatenate([alone, moves[meeting >= 0][first]])
    return np.asarray(chosen[np.argsort(starts[chosen], kind="stable")])


def _meeting(found: Anatomy) -> NDArray[np.int64]:
    transfers = found.step.program.transfers
    return np.asarray(
        np.array([*(t.rendezvous for t in transfers), -1], np.int64)[found.step.program.transfer]
    )


def _of_members(found: Anatomy, moved: Floats) -> Floats:
    """Every member of a joint exchange takes what the exchange takes."""
    meeting = _meeting(found)
    members = np.flatnonzero(meeting >= 0)
    if members.size:
        together = np.zeros(int(meeting.max()) + 1)
        np.maximum.at(together, meeting[members], moved[members])
        moved[members] = together[meeting[members]]
    return moved
