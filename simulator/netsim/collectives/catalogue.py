"""Which algorithms each collective has, by name; a new one is tested by being listed.

`bus_factor` turns algbw (size over time) into busbw, what the busiest link would show if the collective used it
perfectly. Source: nccl-tests, doc/PERFORMANCE.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from netsim.collectives import direct, ring, trees
from netsim.collectives.plan import Group, Plan

Algorithm = Callable[[Group], Plan]


@dataclass(frozen=True)
class Collective:
    """A kind of collective: its algorithms by name, and busbw over algbw for a number of ranks."""

    algorithms: Mapping[str, Algorithm]
    bus_factor: Callable[[int], float]


def _twice_around(ranks: int) -> float:
    return 2.0 * (ranks - 1) / ranks


def _once_around(ranks: int) -> float:
    return (ranks - 1) / ranks


def _as_is(ranks: int) -> float:
    return 1.0


_SCATTER: dict[str, Algorithm] = {
    "ring": ring.scatter,
    "hierarchical": direct.hierarchical_scatter,
    "one_host": direct.one_host_scatter,
}

#: kind -> collective
COLLECTIVES: dict[str, Collective] = {
    "all_to_all": Collective(
        {"pxn": direct.all_to_all_pxn, "direct": direct.all_to_all_direct}, _once_around
    ),
    "all_reduce": Collective(
        {
            "ring": ring.all_reduce,
            "tree": trees.all_reduce,
            "hierarchical": direct.hierarchical_all_reduce,
            "one_host": direct.one_host_all_reduce,
            "nvls": direct.nvls_all_reduce,
        },
        _twice_around,
    ),
    "reduce_scatter": Collective(_SCATTER, _once_around),
    "all_gather": Collective(_SCATTER, _once_around),
    "broadcast": Collective({"ring": ring.broadcast, "tree": trees.broadcast}, _as_is),
    "send_recv": Collective({"next": direct.to_next, "opposite": direct.to_opposite}, _as_is),
}

Table = Literal["ring", "tree", "nvls", "message"]


def latency_table(kind: str, algorithm: str) -> Table:
    """Whose latencies an algorithm pays."""
    if kind in ("all_to_all", "send_recv"):
        return "message"
    return "tree" if algorithm == "tree" else "nvls" if algorithm == "nvls" else "ring"


#: what `auto` may choose from: NCCL's own, the quickest at each size; the others must be asked for
AUTOMATIC: dict[str, tuple[str, ...]] = {
    "all_to_all": ("pxn",),
    "all_reduce": ("ring", "tree", "nvls"),
    "reduce_scatter": ("ring",),
    "all_gather": ("ring",),
    "broadcast": ("ring",),
    "send_recv": ("next",),
}
