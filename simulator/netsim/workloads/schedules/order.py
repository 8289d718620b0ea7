"""What a pipeline schedule says: for every rank, the order of its chunks.

A *unit* is one micro-batch on one stage. A *chunk* is what a rank runs without looking left or right: a forward (F),
an input-gradient backward (B), a weight gradient (W), a full backward (B with its W), or a forward overlapped with a
full backward of another unit. Schedules know neither time nor network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class Unit(NamedTuple):
    """One micro-batch on one stage."""

    stage: int
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


def forward(unit: Unit) -> Chunk:
    """A forward on its own."""
    return Chunk(forward=unit)


def full_backward(unit: Unit) -> Chunk:
    """An input gradient and its weight gradient."""
    return Chunk(backward=unit, weight=unit)


def input_backward(unit: Unit) -> Chunk:
    """An input gradient whose weight gradient comes later."""
    return Chunk(backward=unit)


def weight(unit: Unit) -> Chunk:
    """A weight gradient that was put off."""
    return Chunk(weight=unit)


@dataclass(frozen=True)
class Order:
    """The chunks of every rank, in order; every unit is run by exactly one rank."""

    ranks: tuple[tuple[Chunk, ...], ...]

    @cached_property
    def rank_of(self) -> dict[Unit, int]:
        """The rank that runs each unit."""
        return {
            chunk.forward: rank for rank, chunks in enumerate(self.ranks) for chunk in chunks if chunk.forward
        }

    @cached_property
    def stages(self) -> int:
        """Number of stages."""
        return 1 + max(unit.stage for unit in self.rank_of)

    @cached_property
    def holders(self) -> tuple[tuple[int, ...], ...]:
        """The ranks that hold each stage: more than one when both directions of a pipeline share it."""
        held: list[set[int]] = [set() for _ in range(self.stages)]
        for unit, rank in self.rank_of.items():
            held[unit.stage].add(rank)
        return tuple(tuple(sorted(ranks)) for ranks in held)

    def stages_of(self, rank: int) -> tuple[int, ...]:
        """The stages that a rank holds."""
        return tuple(stage for stage, ranks in enumerate(self.holders) if rank in ranks)
