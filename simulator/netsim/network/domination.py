"""Links that can never bind, found before time begins.

Link a is *dominated* by link b when every flow over a crosses b too, with no smaller part, and a has no less capacity:
``sum_a part_a rate <= sum_b part_b rate <= capacity_b <= capacity_a`` for any rates, so the constraint of a follows
from that of b, the feasible rates are the same without it, and so are the max-min rates. A spine port that leads to
one host behind its leaf is such a link, or one of two links that carry the same flows.

Of links that dominate each other the one of smaller number stays, so the relation is a strict order, and every
dominated link has one above it that stays. The links that hold for it are found among the first and the last hops of
its first flow (`CANDIDATES` in all), which is where ports of endpoints are; others are not looked for.

Left out: links dominated by several together; links whose flows are started at other times (the relation is of all
registered flows, whoever runs).
"""

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit

CANDIDATES = 8


@njit(cache=True)
def find_dominators(plan, hop_link, hop_part, capacity) -> NDArray[np.int32]:  # type: ignore[no-untyped-def]
    """(n_links,) a link that dominates each, or -1. `capacity` (n_links,) leaves out the private links of caps."""
    n = capacity.size
    candidate = np.empty((n, CANDIDATES), np.int32)
    count = np.full(n, -1, np.int8)  # candidates left; -1: not met yet
    flows = np.zeros(n, np.int32)
    for f in range(plan.size - 1):
        first, end = plan[f].first, plan[f + 1].first
        for h in range(first, end):
            a = hop_link[h]
            if a >= n:
                continue
            flows[a] += 1
            if count[a] < 0:
                count[a] = 0
                for k in range(first, end):
                    b = hop_link[k]
                    outer = k - first < CANDIDATES // 2 or end - k <= CANDIDATES // 2
                    if (
                        outer
                        and k != h
                        and b < n
                        and capacity[b] <= capacity[a]
                        and hop_part[k] >= hop_part[h]
                    ):
                        candidate[a, count[a]] = b
                        count[a] += 1
                continue
            i = 0
            while i < count[a]:
                crosses = False
                for k in range(first, end):
                    if hop_link[k] == candidate[a, i]:
                        crosses = hop_part[k] >= hop_part[h]
                        break
                if crosses:
                    i += 1
                else:
                    count[a] -= 1
                    candidate[a, i] = candidate[a, count[a]]
    found = np.full(n, -1, np.int32)
    for a in range(n):
        for i in range(count[a]):
            b = candidate[a, i]
            same = capacity[a] == capacity[b] and flows[a] == flows[b]
            if (not same or b < a) and (found[a] < 0 or b < found[a]):
                found[a] = b
    return found


@njit(cache=True)
def dominated_last(plan, hop_link, hop_part, dominator) -> None:  # type: ignore[no-untyped-def]
    """Put the hops over dominated links behind the others of each flow, which keep their order; sets `plan.live`."""
    link, part = np.empty(0, np.int32), np.empty(0, np.float64)
    for f in range(plan.size - 1):
        first, end = plan[f].first, plan[f + 1].first
        if end - first > link.size:
            link, part = np.empty(2 * (end - first), np.int32), np.empty(2 * (end - first), np.float64)
        at, behind = first, 0
        for h in range(first, end):
            c = hop_link[h]
            if c < dominator.size and dominator[c] >= 0:
                link[behind], part[behind] = c, hop_part[h]
                behind += 1
            else:
                hop_link[at], hop_part[at] = c, hop_part[h]
                at += 1
        plan[f].live = at
        for i in range(behind):
            hop_link[at + i], hop_part[at + i] = link[i], part[i]
