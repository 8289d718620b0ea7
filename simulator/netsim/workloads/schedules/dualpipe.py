"""DualPipe and DualPipeV: a rank always has a forward of one stage to overlap with a backward of another.

Every rank holds two stages and works in two *phases*: phase 0 at its stage nearer to where micro-batches enter, phase
1 at the other. Under DualPipe micro-batches enter at both ends: rank r holds the stages r and ranks - 1 - r, each
stage is held twice, and half of the micro-batches flow in each direction. DualPipeV cuts that schedule in half:
stage r and stage 2 ranks - 1 - r on rank r, each held once, and all micro-batches run down and back up.

The order on a rank depends on its distance from the entrance (`depth`), the length of a half (`half`), and the
micro-batches of a phase. Sources: DeepSeek-V3 technical report, arXiv 2412.19437, section 3.2.1 and figure 5;
github.com/deepseek-ai/DualPipe (per-rank counts, and the one pair at the innermost rank that cannot overlap).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from netsim.errors import SpecError
from netsim.workloads.schedules.order import (
    Chunk,
    Order,
    Unit,
    forward,
    full_backward,
    input_backward,
    weight,
)


def dualpipe(ranks: int, microbatches: int) -> Order:
    """DualPipe: bidirectional; the micro-batches of direction 1 are numbered after those of direction 0.

    Raises SpecError unless ranks is even and micro-batches are even and at least two a rank.
    """
    if ranks % 2:
        rule = "DualPipe needs an even number of pipeline ranks; --schedule 1f1b takes any"
        raise SpecError("schedule", "parallelism.pipeline", ranks, rule)
    if microbatches % 2 or microbatches < 2 * ranks:
        rule = f"DualPipe needs an even number of at least 2 a pipeline rank = {2 * ranks}"
        raise SpecError("schedule", "micro-batches a pipeline", microbatches, rule)

    def chunks(rank: int) -> tuple[Chunk, ...]:
        far = rank >= ranks // 2

        def unit(phase: int, count: int) -> Unit:
            upward = phase ^ far
            stage = ranks - 1 - rank if upward else rank
            return Unit(stage, count + upward * (microbatches // 2))

        return _phases(min(rank, ranks - 1 - rank), ranks // 2, microbatches // 2, unit)

    return Order(tuple(chunks(rank) for rank in range(ranks)))


def dualpipe_v(ranks: int, microbatches: int) -> Order:
    """DualPipeV: two stages a rank, in the shape of a V.

    Raises SpecError unless there are at least two micro-batches a rank.
    """
    if microbatches < 2 * ranks:
        rule = f"DualPipeV needs at least 2 a pipeline rank = {2 * ranks}"
        raise SpecError("schedule", "micro-batches a pipeline", microbatches, rule)

    def chunks(rank: int) -> tuple[Chunk, ...]:
        held = (rank, 2 * ranks - 1 - rank)
        return _phases(rank, ranks, microbatches, lambda phase, count: Unit(held[phase], count))

    return Order(tuple(chunks(rank) for rank in range(ranks)))


class _Rank:
    """Collects the chunks of one rank; knows how many units each phase has had."""

    def __init__(self, unit: Callable[[int, int], Unit]) -> None:
        self.unit = unit
        self.chunks: list[Chunk] = []
        self.forwards, self.backwards = [0, 0], [0, 0]
        self.deferred: deque[Unit] = deque()

    def _next(self, counts: list[int], phase: int) -> Unit:
        counts[phase] += 1
        return self.unit(phase, counts[phase] - 1)

    def forward(self, phase: int) -> None:
        self.chunks.append(forward(self._next(self.forwards, phase)))

    def backward(self, phase: int, defer_weight: bool = False) -> None:
        unit = self._next(self.backwards, phase)
        if defer_weight:
            self.deferred.append(unit)
        self.chunks.append(input_backward(unit) if defer_weight else full_backward(unit))

    def weight(self) -> None:
        self.chunks.append(weight(self.deferred.popleft()))

    def overlapped(self, forward_phase: int, backward_phase: int) -> None:
        back = self._next(self.backwards, backward_phase)
        self.chunks.append(Chunk(self._next(self.forwards, forward_phase), back, back))


def _phases(depth: int, half: int, per_phase: int, unit: Callable[[int, int], Unit]) -> tuple[Chunk, ...]:
    rank, inner = _Rank(unit), half - depth - 1
    for _ in range(2 * inner):  # fill
        rank.forward(0)
    for _ in range(depth + 1):  # the first micro-batches of phase 1 arrive
        rank.forward(0)
        rank.forward(1)
    for _ in range(inner):  # first backwards, their weights put off to let them through
        rank.backward(1, defer_weight=True)
        rank.weight()
        rank.forward(1)
    for step in range(per_phase - 2 * half + depth + 1):  # steady state
        if step == 0 and inner == 0:  # the innermost rank feeds itself (or its twin) here: no overlap
            rank.forward(0)
            rank.backward(1)
        else:
            rank.overlapped(0, 1)
        rank.overlapped(1, 0)
    for _ in range(inner):
        rank.backward(1)
        rank.overlapped(1, 0)
    _drain(rank, depth, inner)
    return tuple(rank.chunks)


def _drain(rank: _Rank, depth: int, inner: int) -> None:
    """The last backwards; from the middle on, weights are put off to fill the end."""
    turn, defer = (depth + 1) // 2, False
    for step in range(depth + 1):
        defer |= step == turn and depth % 2 == 1
        rank.backward(1, defer)
        defer |= step == turn and depth % 2 == 0
        rank.backward(0, defer)
    for _ in range(inner):
        rank.weight()
        rank.backward(0, defer_weight=True)
    while rank.deferred:
        rank.weight()
