"""The solve after an event: link by link, incremental, and exactly the max-min rates.

Every active flow is owned by one link, which bounds it, and has the level of that link; a link that owns no flow has
level infinity. Let ``m_f`` be the least level of the other links that flow f crosses. The levels are right when every
link l that owns flows satisfies::

    sum_f part_lf * min(level_l, m_f) = capacity_l

every other link carries no more than its capacity, and every flow is owned by the link of least level on its path.
Then every owner is full and none of its flows is above its level, so every flow has a bottleneck: these are *the*
max-min rates, which are unique (`netsim.network.maxmin`).

Links for which this may fail stand in a queue. The solve takes the one of least level, finds its level given those of
all others (the left side is concave and piecewise linear in the level, so Newton's method ends after a few steps, most
often the first), takes the flows that others keep above that level, gives away those that another link keeps below,
tells the links its flows cross what has changed, and queues those that own flows or are over capacity. It ends when
the queue is empty, so whatever the order was, the answer is the right one. From nothing the order makes it progressive
filling: the level of a link taken never falls below that of the one before, and each is taken once. After a small
change almost every flow keeps its owner, each link whose level changes is taken about once, in the order of levels,
and the others are not looked at.

*It ends.* Let all links below some level have their final levels. The level found for any other link is at least what
it would be if all the rest were unbounded, so the least of these bounds is final for its link as soon as that link and
those that stood below it have been taken again. Least level first cannot promise that it comes to that, so after
`PATIENCE` looks per link the queue becomes first in, first out, and each round makes one more level final. Differences
of rounding (relative `SAME`, levels; `LEVEL_TOLERANCE`, owners) do not count as changes.

All flows that a link owns have its level, so their progress is kept per link too: an event that only changes levels
writes nothing per flow. A flow is written to when its owner changes. Each link knows the first end among its flows,
and an indexed heap of links the first of all.

Source: uniqueness from Bertsekas and Gallager 1992, section 6.5.2; links that find their level from those of the
others and settle from the lowest up: Charny, Clark and Jain, Congestion control with explicit rate indication, ICC
1995; links that own flows, ordered by level, are the bottleneck structure of Ros-Giralt et al., SIGMETRICS 2020.
"""

import numpy as np

from netsim.kernels import njit
from netsim.network.maxmin import LEVEL_TOLERANCE
from netsim.network.owners import keep_pace, lowest_other, pass_on
from netsim.network.state import (
    LAST,
    LONG,
    N_LOOKS,
    N_QUEUE,
    N_SOLVES,
    N_TOUCHED,
    N_VISITS,
    QUEUE_HEAP,
    QUEUE_KEY,
    TURN,
)
from netsim.network.worklist import (
    NEARLY_FULL,
    dequeue,
    enqueue,
    enqueue_by_level,
    estimate,
    put_in_order,
    settle,
    take_turns,
    tell,
)

#: Levels this close (relative, 4 ulp) are unchanged.
SAME = 2.0**-50
#: looks per link before the queue turns first in, first out
PATIENCE = 8

# Without reference counts (the kernels allocate nothing): counting them atomically would double the time.


@njit(cache=True, _nrt=False, forceinline=True)
def find_level(s, c, level, above):  # type: ignore[no-untyped-def]
    """The level of link c given all others, and the limit: flows that others keep above it become its own.

    Newton's method from `level`; also returns the use of the flows of others, the weight of its own, and how many of
    these it has to take.
    """
    link = s.link[c]
    others, end = link.first + link.own, link.first + link.active
    own = 0.0
    for at in range(link.first, others):
        own += s.slot_part[at]
    while True:
        limit = level * above
        used = 0.0
        weight = own
        taken = 0
        lowest = np.inf  # of the flows to be taken
        highest = -1.0  # of those that stay with others
        for at in range(others, end):
            theirs = s.level[s.slot_owner[at]]
            part = s.slot_part[at]
            if theirs > limit:
                weight += part
                taken += 1
                lowest = min(lowest, theirs)
            else:
                used += part * theirs
                highest = max(highest, theirs)
        if weight == 0.0:
            if used <= link.capacity * above or 0.0 < level < np.inf:
                return np.inf, limit, used, weight, taken
            level = 0.0  # it owns nothing and is over capacity: from below
            continue
        found = max((link.capacity - used) / weight, 0.0)
        ties = lowest * above >= found and highest <= found * above  # a tie may stay with either link
        if ties or abs(found - level) <= LEVEL_TOLERANCE * found:
            if abs(found - highest) <= LEVEL_TOLERANCE * found:
                found = highest  # rounding must not split what symmetry makes equal
            return found, limit, used, weight, taken
        level = found


@njit(cache=True, _nrt=False, forceinline=True)
def hold(s, c, level, limit, above, now):  # type: ignore[no-untyped-def]
    """Link c has `level` from now on: take, give away or keep its flows, and tell the links they cross."""
    link = s.link[c]
    old = s.level[c]
    keep_pace(s, c, now)
    s.level[c] = level
    used, weight = link.used, link.weight  # with all the flows to be taken
    given = False
    bound = level / above
    change = level - old
    kept = link.first + link.own
    s.counts[N_VISITS] += link.own
    at = link.first
    while at < kept:
        path = s.slot_path[at]
        new = lowest_other(s, path, c, bound) if change > 0.0 else c
        if new != c:
            given = True
            used += s.slot_part[at] * s.level[new]
            weight -= s.slot_part[at]
            pass_on(s, path, c, c, old, new, now)  # swaps the last of its own to this slot
            kept -= 1
            continue
        if path.one > LONG:
            more = s.slot_part[at] * change
            if path.one >= 0:
                s.link[path.one].used += more
                tell(s, path.one)
            if path.two >= 0:
                s.link[path.two].used += more
                tell(s, path.two)
            at += 1
            continue
        for h in range(path.first, path.first + path.hops):
            q = s.hop_link[h]
            if q != c:
                s.link[q].used += s.hop_part[h] * change
                tell(s, q)
        at += 1
    for at in range(kept, link.first + link.active):
        owner = s.slot_owner[at]
        before = s.level[owner]
        if before <= limit or owner == c:
            continue
        s.counts[N_VISITS] += 1
        path = s.slot_path[at]
        new = lowest_other(s, path, c, bound)
        if new != c:
            given = True
            used += s.slot_part[at] * s.level[new]
            weight -= s.slot_part[at]
        pass_on(s, path, c, owner, before, new, now)
    link.used = used
    link.weight = weight
    if given and link.queued == 0:
        enqueue_by_level(s, c)


@njit(cache=True, _nrt=False, forceinline=True)
def let_go(s, c, now):  # type: ignore[no-untyped-def]
    """Link c owns no flow."""
    if s.level[c] < np.inf:
        keep_pace(s, c, now)
        s.level[c] = np.inf


@njit(cache=True, _nrt=False, forceinline=True)
def look(s, c, now):  # type: ignore[no-untyped-def]
    """Make the first link of the queue right, or put it back where it belongs."""
    above = 1.0 + LEVEL_TOLERANCE
    link = s.link[c]
    s.counts[N_LOOKS] += 1
    level, limit, used, weight, taken = np.inf, 0.0, 0.0, 0.0, 0
    if link.own + link.new == 0 and link.used <= link.capacity * NEARLY_FULL:
        dequeue(s, c)
        let_go(s, c, now)
        return
    known = s.keys[QUEUE_KEY, 0] * above if s.counts[TURN] == 0 else np.inf
    key = estimate(link)
    if key <= known:
        level, limit, used, weight, taken = find_level(
            s, c, key if link.own + link.new > 0 else np.inf, above
        )
        key = level if level < np.inf else 0.0
    if key > known:  # it stood too early
        enqueue(s, c, key)
        return
    dequeue(s, c)
    link.used = used
    link.weight = weight
    if level == np.inf:
        let_go(s, c, now)
    elif taken > 0 or abs(level - s.level[c]) > SAME * level:
        hold(s, c, level, limit, above, now)


@njit(cache=True, _nrt=False)
def solve(s):  # type: ignore[no-untyped-def]
    """Bring all rates up to date with what happened at the clock."""
    if s.counts[N_QUEUE] == 0 and s.counts[N_TOUCHED] == 0:
        return
    s.counts[N_SOLVES] += 1
    s.counts[TURN] = 0
    put_in_order(s)
    patience = s.counts[N_LOOKS] + PATIENCE * s.link.size
    while s.counts[N_QUEUE] > 0:
        look(s, s.ranks[QUEUE_HEAP, 0], s.clock[LAST])
        if s.counts[TURN] == 0 and s.counts[N_LOOKS] > patience:
            take_turns(s)
    settle(s)
