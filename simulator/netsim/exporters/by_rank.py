"""Operations seen from each rank: what it computes, sends and receives, and which of its own operations come before.

GOAL and Chakra keep a program a rank, where an item may only wait for items of the same rank. An operation of a rank
waits for the operations before it that the rank takes part in; one in which it does not is replaced by those that it
waited for. Copies of a GPU to itself are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from netsim.exporters.traffic import Exchange, whole_bytes


@dataclass
class RankOp:
    """An operation on one rank. `sends`, `receives` : (other rank, bytes, tag); `after` : its own operations before"""

    number: int
    name: str
    delay_s: float
    seconds: float
    after: tuple[int, ...] = ()
    sends: list[tuple[int, int, int]] = field(default_factory=list)
    receives: list[tuple[int, int, int]] = field(default_factory=list)


def by_rank(exchange: Exchange) -> Iterator[tuple[int, list[RankOp]]]:
    """Every rank with its operations in order."""
    programs: dict[int, list[RankOp]] = defaultdict(list)
    #: rank -> operation -> the rank's own operations that stand for it
    stand: dict[int, dict[int, tuple[int, ...]]] = defaultdict(dict)
    for number, op in enumerate(exchange.ops):
        mine: dict[int, RankOp] = {
            gpu: RankOp(number, op.name, op.delay_s, op.seconds) for gpu in op.gpus.tolist()
        }
        sizes = whole_bytes(op.size_bytes).tolist()
        for flow, (source, target) in enumerate(zip(op.source.tolist(), op.target.tolist(), strict=True)):
            if source != target:
                mine[source].sends.append((target, sizes[flow], number))
                mine[target].receives.append((source, sizes[flow], number))
        for gpu, each in mine.items():
            each.after = tuple(sorted({one for b in op.after for one in _stands(exchange, stand[gpu], b)}))
            stand[gpu][number] = (number,)
            programs[gpu].append(each)
    for gpu in range(exchange.topology.gpus):
        yield gpu, programs[gpu]


def _stands(exchange: Exchange, known: dict[int, tuple[int, ...]], number: int) -> tuple[int, ...]:
    """The rank's own operations that an operation stands behind, nearest first; found without recursion."""
    if number not in known:
        open_, order = [number], []
        while open_:
            one = open_.pop()
            if one not in known and one not in order:
                order.append(one)
                open_ += exchange.ops[one].after
        for one in sorted(order):
            known[one] = tuple(sorted({b for before in exchange.ops[one].after for b in known[before]}))
    return known[number]
