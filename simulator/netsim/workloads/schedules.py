"""Pipeline schedules: from (ranks, micro-batches) to the order of chunks on every rank.

A *chunk* is what a rank runs without looking left or right: a forward (F), an input-gradient backward (B), a
weight gradient (W), a full backward (B with its W), or a forward overlapped with a full backward of another
micro-batch. Schedules know neither time nor network.

`dualpipe` feeds micro-batches from both ends: every rank holds two stages, `rank` (direction 0) and
`ranks - 1 - rank` (direction 1), so half of the micro-batches flow down and half up, and in the steady state a
rank always has a forward of one direction to overlap with a backward of the other.

Sources: 1F1B: Narayanan et al., SC 2021, arXiv 2104.04473. DualPipe: DeepSeek-V3 technical report, arXiv
2412.19437, section 3.2.1 and figure 5; per-rank counts as in its open-source release.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from netsim.errors import SpecError, did_you_mean


class Unit(NamedTuple):
    """One micro-batch travelling in one direction of the pipeline."""

    direction: int
    microbatch: int


@dataclass(frozen=True)
class Chunk:
    """What a rank runs next; with both a forward and a backward, they overlap."""

    forward: Unit | None = None
    backward: Unit | None = None
    weight: Unit | None = None

    @property
    def phase(self) -> str:
        """The phase that the chunk's time is counted in, as table 4 of arXiv 2505.09343 names them."""
        if self.forward and self.backward:
            return "1F1B"
        if self.forward:
            return "1F"
        return "1B" if self.backward else "1W"


Order = tuple[tuple[Chunk, ...], ...]


def stage_of(rank: int, direction: int, ranks: int) -> int:
    """The stage that a rank holds for a direction."""
    return rank if direction == 0 else ranks - 1 - rank


def one_f_one_b(ranks: int, microbatches: int) -> Order:
    """1F1B: warm-up forwards, then one backward for every forward, never more than `ranks` in flight.

    >>> [chunk.phase for chunk in one_f_one_b(2, 2)[0]]
    ['1F', '1F', '1B', '1B']
    """
    return tuple(_one_f_one_b_rank(rank, ranks, microbatches) for rank in range(ranks))


def _one_f_one_b_rank(rank: int, ranks: int, microbatches: int) -> tuple[Chunk, ...]:
    warmup = min(ranks - 1 - rank, microbatches)
    chunks = [Chunk(forward=Unit(0, m)) for m in range(warmup)]
    for m in range(microbatches - warmup):
        done = Unit(0, m)
        chunks += [Chunk(forward=Unit(0, m + warmup)), Chunk(backward=done, weight=done)]
    rest = (Unit(0, m) for m in range(microbatches - warmup, microbatches))
    return tuple(chunks + [Chunk(backward=unit, weight=unit) for unit in rest])


class _DualPipeRank:
    """The chunks of one rank, written in *phases*: 0 enters at the rank's nearer end, 1 at the other."""

    def __init__(self, far_half: bool) -> None:
        self.flip = int(far_half)
        self.chunks: list[Chunk] = []
        self.forwards = [0, 0]
        self.backwards = [0, 0]
        self.deferred: deque[Unit] = deque()

    def _next(self, counts: list[int], phase: int) -> Unit:
        unit = Unit(phase ^ self.flip, counts[phase])
        counts[phase] += 1
        return unit

    def forward(self, phase: int) -> None:
        self.chunks.append(Chunk(forward=self._next(self.forwards, phase)))

    def backward(self, phase: int, defer_weight: bool = False) -> None:
        unit = self._next(self.backwards, phase)
        if defer_weight:
            self.deferred.append(unit)
        self.chunks.append(Chunk(backward=unit, weight=None if defer_weight else unit))

    def weight(self) -> None:
        self.chunks.append(Chunk(weight=self.deferred.popleft()))

    def overlapped(self, forward_phase: int, backward_phase: int) -> None:
        back = self._next(self.backwards, backward_phase)
        ahead = self._next(self.forwards, forward_phase)
        self.chunks.append(Chunk(forward=ahead, backward=back, weight=back))


def dualpipe(ranks: int, microbatches: int) -> Order:
    """DualPipe: bidirectional, with a forward overlapping a backward in the steady state.

    Raises SpecError unless ranks is even and micro-batches are even and at least two a rank.
    """
    if ranks % 2:
        rule = "DualPipe needs an even number of pipeline ranks; --schedule 1f1b takes any"
        raise SpecError("schedule", "parallelism.pipeline", ranks, rule)
    if microbatches % 2 or microbatches < 2 * ranks:
        rule = f"DualPipe needs an even number of at least 2 a pipeline rank = {2 * ranks}"
        raise SpecError("schedule", "micro-batches a pipeline", microbatches, rule)
    return tuple(_dualpipe_rank(rank, ranks, microbatches) for rank in range(ranks))


def _dualpipe_rank(rank: int, ranks: int, microbatches: int) -> tuple[Chunk, ...]:
    half = ranks // 2
    depth = min(rank, ranks - 1 - rank)  # distance from the nearer end
    inner = half - depth - 1
    middle = depth == half - 1
    plan = _DualPipeRank(far_half=rank >= half)
    for _ in range(2 * inner):  # fill from the nearer end
        plan.forward(0)
    for _ in range(depth + 1):  # both directions arrive
        plan.forward(0)
        plan.forward(1)
    for _ in range(inner):  # first backwards from the far end, weights deferred to let them through
        plan.backward(1, defer_weight=True)
        plan.weight()
        plan.forward(1)
    for step in range(microbatches // 2 - ranks + depth + 1):  # steady state
        if step == 0 and middle:  # the two middle ranks feed each other here and cannot overlap
            plan.forward(0)
            plan.backward(1)
        else:
            plan.overlapped(0, 1)
        plan.overlapped(1, 0)
    for _ in range(inner):
        plan.backward(1)
        plan.overlapped(1, 0)
    defer = False
    for step in range(depth + 1):  # drain; the second half defers its weights to fill the end
        defer |= step == (depth + 1) // 2 and depth % 2 == 1
        plan.backward(1, defer)
        defer |= step == (depth + 1) // 2 and depth % 2 == 0
        plan.backward(0, defer)
    for _ in range(inner):
        plan.weight()
        plan.backward(0, defer_weight=True)
    while plan.deferred:
        plan.weight()
    return tuple(plan.chunks)


SCHEDULES: dict[str, Callable[[int, int], Order]] = {"1f1b": one_f_one_b, "dualpipe": dualpipe}


def schedule(name: str, ranks: int, microbatches: int) -> Order:
    """The chunks of every rank under a named schedule."""
    if name not in SCHEDULES:
        raise SpecError("schedule", "schedule.name", name, did_you_mean(name, SCHEDULES))
    return SCHEDULES[name](ranks, microbatches)
