"""Whether netsim puts measured plans into the order in which they were measured.

A pair of rows counts when one cluster ran the same model, batch and sequence length on as many GPUs under two plans,
and the measured steps differ by more than 5 %. It is right when the simulated steps lie in the same order; equal
simulated steps are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

#: difference of two measured steps from which their order counts
LEAST_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Ranked:
    """A row as the ranking sees it: what must be shared, the plan that differs, and both times."""

    id: str
    group: tuple[str, ...]
    plan: tuple[str, ...]
    published_s: float
    simulated_s: float


@dataclass(frozen=True)
class Pair:
    """Two plans, the faster one first, and whether netsim agrees."""

    faster: str
    slower: str
    published_ratio: float
    simulated_ratio: float

    @property
    def right(self) -> bool:
        """Whether the slower plan is slower in netsim too."""
        return self.simulated_ratio > 1.0


def pairs(rows: Iterable[Ranked]) -> list[Pair]:
    """All pairs that count.

    >>> rows = [Ranked("a", ("m",), ("tp1",), 1.0, 1.1), Ranked("b", ("m",), ("tp2",), 1.2, 1.0)]
    >>> [pair.right for pair in pairs(rows)]
    [False]
    """
    groups: dict[tuple[str, ...], list[Ranked]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return [pair for members in groups.values() for pair in _of(members)]


def _of(members: Sequence[Ranked]) -> list[Pair]:
    found = []
    for one, other in combinations(members, 2):
        fast, slow = sorted((one, other), key=lambda row: row.published_s)
        ratio = slow.published_s / fast.published_s
        if fast.plan != slow.plan and ratio > 1.0 + LEAST_DIFFERENCE:
            found.append(Pair(fast.id, slow.id, ratio, slow.simulated_s / fast.simulated_s))
    return found
