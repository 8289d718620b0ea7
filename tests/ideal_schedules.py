"""A schedule under its textbook assumptions: chunks of known length, equal on all stages, free communication.

`idle_s` runs an order chunk by chunk; `BUBBLES` are the published closed forms that it must reproduce. F is a
forward, B a *full* backward, W its weight gradient, F&B an overlapped pair, P the ranks. For DualPipe, P counts the
stages, so that DualPipeV on half the ranks has the same bubble.

| schedule    | bubble on a rank           | parameters | activations |
|-------------|----------------------------|------------|-------------|
| 1F1B        | (P - 1)(F + B)             | 1x         | P           |
| interleaved | (P - 1)(F + B)/v           | 1x         | P (1 + (P - 1)/(P v)) |
| ZB1P        | (P - 1)(F + B - 2W)        | 1x         | P           |
| DualPipe    | (P/2 - 1)(F&B + B - 3W)    | 2x         | P + 1       |
| DualPipeV   | (P/2 - 1)(F&B + B - 3W)    | 1x         | P + 1       |

Source: DeepSeek-V3 technical report, arXiv 2412.19437, table 2; Narayanan et al. 2021 for the interleaved row;
github.com/deepseek-ai/DualPipe for DualPipeV.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.workloads.schedules.one_direction import VIRTUAL_STAGES
from netsim.workloads.schedules.order import Chunk, Order, Unit


class ChunkTimes(NamedTuple):
    """Seconds of one chunk of a stage: forward, full backward, weight gradient, overlapped pair."""

    forward: float
    backward: float
    weight: float
    overlapped: float

    def of(self, chunk: Chunk) -> float:
        """How long a chunk takes."""
        if chunk.forward:
            return self.overlapped if chunk.backward else self.forward
        if chunk.backward:
            return self.backward if chunk.weight else self.backward - self.weight
        return self.weight


Bubble = Callable[[int, ChunkTimes], float]


def _of_two_directions(halves: int, t: ChunkTimes) -> float:
    return (halves - 1) * (t.overlapped + t.backward - 3 * t.weight)


#: schedule -> bubble of a rank in seconds, from (ranks, times of a stage's chunks)
BUBBLES: dict[str, Bubble] = {
    "1f1b": lambda ranks, t: (ranks - 1) * (t.forward + t.backward),
    # F and B of the formula are those of a rank, v stages; so the v cancels against the stage's times
    "interleaved": lambda ranks, t: (ranks - 1) * (t.forward + t.backward),
    "zb1p": lambda ranks, t: (ranks - 1) * (t.forward + t.backward - 2 * t.weight),
    "dualpipe": lambda ranks, t: _of_two_directions(ranks // 2, t),
    "dualpipe_v": lambda ranks, t: _of_two_directions(ranks, t),
}

#: schedule -> micro-batches of activations that a rank holds at the most, in units of a whole rank's layers
ACTIVATIONS: dict[str, Callable[[int], float]] = {
    "1f1b": lambda ranks: float(ranks),
    "interleaved": lambda ranks: ranks * (1 + (ranks - 1) / (ranks * VIRTUAL_STAGES)),
    "zb1p": lambda ranks: float(ranks),
    "dualpipe": lambda ranks: float(ranks + 1),
    "dualpipe_v": lambda ranks: float(2 * ranks + 1),
}


def idle_s(order: Order, times: ChunkTimes) -> list[float]:
    """Idle seconds of each rank between the start of the step and its end on the last rank."""
    done: dict[tuple[str, Unit], float] = {}
    heads, clocks, busy = [0] * len(order.ranks), [0.0] * len(order.ranks), [0.0] * len(order.ranks)
    moved = True
    while moved:
        moved = False
        for rank, chunks in enumerate(order.ranks):
            while heads[rank] < len(chunks):
                chunk = chunks[heads[rank]]
                waits = [done.get(need) for need in needs(chunk, order.stages)]
                if None in waits:
                    break
                begin = max([clocks[rank], *(w for w in waits if w is not None)])
                clocks[rank] = begin + times.of(chunk)
                busy[rank] += times.of(chunk)
                for name in ("forward", "backward"):
                    if (unit := getattr(chunk, name)) is not None:
                        done[name, unit] = clocks[rank]
                heads[rank] += 1
                moved = True
    if any(head < len(chunks) for head, chunks in zip(heads, order.ranks, strict=True)):
        raise RuntimeError("the order has a deadlock: a defect of the schedule")
    return [max(clocks) - b for b in busy]


def needs(chunk: Chunk, stages: int) -> list[tuple[str, Unit]]:
    """What must have ended before a chunk may start, apart from the chunk before it on its rank."""
    found: list[tuple[str, Unit]] = []
    if chunk.forward and chunk.forward.stage:
        found.append(("forward", Unit(chunk.forward.stage - 1, chunk.forward.microbatch)))
    if chunk.backward:
        found.append(("forward", chunk.backward))
        if chunk.backward.stage < stages - 1:
            found.append(("backward", Unit(chunk.backward.stage + 1, chunk.backward.microbatch)))
    if chunk.weight and chunk.weight != chunk.backward:
        found.append(("backward", chunk.weight))
    return found
