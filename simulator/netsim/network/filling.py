"""The solve after an event: incremental, and exactly the max-min rates.

A solve splits the active flows into *open* ones, which rise together as in progressive filling, and the rest, which
keep their rates:

1. Open are the new flows and every flow bounded by a link that lost a flow or changed its capacity. Opening a flow
   opens all flows bounded by any link on its path.
2. Links with open flows fill in order. When link l would fill at level k, but carries a flow that kept a level above
   k, that flow is opened (and what follows from it by rule 1), and the filling goes on: the filling has not yet
   reached the level of that flow, so opening it now equals having had it open from the start.
3. A link that fills stops its open flows at k and bounds them.

At the end every flow has a bottleneck: an opened flow by rule 3 (no flow on that link is above k, by rule 2), another
one because its bounding link was not touched (touching it would have opened the flow, by rule 1). The max-min
allocation is unique, so this is it. Flows below the first changed level are not visited, and links that do not bind
are not scanned.

All flows that a link bounds have its level, so the level is kept per link, and so is their progress: an event that
only changes levels writes nothing per flow. A flow is written to when another link comes to bound it. Each link knows
the first end among the flows it bounds, and an indexed heap of links the first of all.

Source: uniqueness from Bertsekas and Gallager 1992, section 6.5.2; links that bound flows, ordered by level, are the
bottleneck structure of Ros-Giralt et al., SIGMETRICS 2020.
"""

import numpy as np
from numba import njit

from netsim.maxmin import LEVEL_TOLERANCE, heap_remove, heap_set
from netsim.network.state import (
    END_HEAP,
    END_KEY,
    END_POS,
    FILL_HEAP,
    FILL_KEY,
    FILL_POS,
    FULL,
    LAST,
    N_END,
    N_FILL,
    N_FORCED,
    N_REOPENED,
    N_SOLVES,
    N_STACK,
    N_TOUCHED,
    N_VISITS,
    PENDING,
    QUIET,
    REOPENED,
    REOPENED_LIST,
    STACK,
    TOUCHED,
    TOUCHED_LIST,
)

# Without reference counts (the kernels allocate nothing): counting them atomically would double the time.


@njit(cache=True, _nrt=False, forceinline=True)
def touch(s, c):  # type: ignore[no-untyped-def]
    """Link c takes part in the next solve; if it bounds flows they will be opened."""
    link = s.link[c]
    if link.state == QUIET:
        link.state = TOUCHED
        s.ranks[TOUCHED_LIST, s.counts[N_TOUCHED]] = c
        s.counts[N_TOUCHED] += 1
        if link.level < np.inf:
            s.ranks[STACK, s.counts[N_STACK]] = c
            s.counts[N_STACK] += 1


@njit(cache=True, _nrt=False, forceinline=True)
def recount(s, c):  # type: ignore[no-untyped-def]
    """Sums of link c afresh (no drift); returns the highest level that a flow on it has."""
    link = s.link[c]
    used = 0.0
    open_weight = 0.0
    top = -1.0
    for at in range(link.first, link.first + link.active):
        slot = s.slot[at]
        if slot.owner < 0 or s.link[slot.owner].state == REOPENED:
            open_weight += slot.part
        else:
            level = s.link[slot.owner].level
            used += slot.part * level
            top = max(top, level)
    link.used = used
    link.open_weight = open_weight
    return top


@njit(cache=True, _nrt=False, forceinline=True)
def force(s, c):  # type: ignore[no-untyped-def]
    """The capacity of link c has changed: open every flow on it, by way of the links that bound them."""
    link = s.link[c]
    recount(s, c)  # sums over an unbounded link are no base for a bounded one
    for at in range(link.first, link.first + link.active):
        owner = s.slot[at].owner
        if owner >= 0 and owner != c:
            touch(s, owner)
    s.tally[c].forced = 0
    s.counts[N_FORCED] -= 1


@njit(cache=True, _nrt=False, forceinline=True)
def reopen(s, c, now):  # type: ignore[no-untyped-def]
    """The flows that link c bounds rise again; all links on their paths take part."""
    link = s.link[c]
    pace = s.pace[c]
    level = link.level
    pace.old_level, pace.old_mark, pace.old_since = level, pace.mark, pace.since
    pace.mark += level * (now - pace.since)
    pace.since = now
    link.level = np.inf
    link.state = REOPENED
    s.ranks[REOPENED_LIST, s.counts[N_REOPENED]] = c
    s.counts[N_REOPENED] += 1
    weight = 0.0
    for own in range(link.first, link.first + link.active):
        slot = s.slot[own]
        if slot.owner != c:
            continue
        weight += slot.part
        link.open += 1
        at = own
        for _ in range(slot.hops - 1):
            step = s.slot[at]
            other = s.link[step.next_link]
            other.used -= step.next_part * level
            other.open_weight += step.next_part
            other.open += 1
            if other.state == QUIET:
                touch(s, step.next_link)
            if slot.hops > 2:
                at = step.next
    link.used -= weight * level
    link.open_weight += weight


@njit(cache=True, _nrt=False, forceinline=True)
def open_bounded(s, now):  # type: ignore[no-untyped-def]
    """Rule 1, until nothing follows."""
    while s.counts[N_STACK] > 0:
        s.counts[N_STACK] -= 1
        c = s.ranks[STACK, s.counts[N_STACK]]
        if s.counts[N_FORCED] > 0 and s.tally[c].forced:
            force(s, c)
        if s.link[c].level < np.inf:
            reopen(s, c, now)


@njit(cache=True, _nrt=False, forceinline=True)
def rank(s, c, key):  # type: ignore[no-untyped-def]
    heap, pos, keys = s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY]
    s.counts[N_FILL] = heap_set(heap, pos, keys, s.counts[N_FILL], c, key)


@njit(cache=True, _nrt=False, forceinline=True)
def unrank(s, c):  # type: ignore[no-untyped-def]
    heap, pos, keys = s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY]
    s.counts[N_FILL] = heap_remove(heap, pos, keys, s.counts[N_FILL], c)


@njit(cache=True, _nrt=False, forceinline=True)
def fill_level(s, c, floor):  # type: ignore[no-untyped-def]
    """The level at which link c fills if nothing else stops its open flows; never below `floor`."""
    link = s.link[c]
    if link.open_weight <= 0.0:
        return floor
    return max((link.capacity - link.used) / link.open_weight, floor)


@njit(cache=True, _nrt=False, forceinline=True)
def rerank(s, c, floor):  # type: ignore[no-untyped-def]
    if s.link[c].state != FULL:
        rank(s, c, fill_level(s, c, floor))


@njit(cache=True, _nrt=False, forceinline=True)
def open_above(s, c, level, floor, now):  # type: ignore[no-untyped-def]
    """Rule 2 for link c: open what kept more than `level`, and rank the links that this concerns again."""
    link = s.link[c]
    known = s.counts[N_REOPENED]
    for at in range(link.first, link.first + link.active):
        owner = s.slot[at].owner
        if (
            owner >= 0
            and s.link[owner].state == QUIET
            and s.link[owner].level > level * (1.0 + LEVEL_TOLERANCE)
        ):
            touch(s, owner)
    open_bounded(s, now)
    for i in range(known, s.counts[N_REOPENED]):
        owner = s.ranks[REOPENED_LIST, i]
        rerank(s, owner, floor)
        for own in range(s.link[owner].first, s.link[owner].first + s.link[owner].active):
            slot = s.slot[own]
            if slot.owner != owner:
                continue
            at = own
            for _ in range(slot.hops - 1):
                rerank(s, s.slot[at].next_link, floor)
                at = s.slot[at].next


@njit(cache=True, _nrt=False, forceinline=True)
def take_over(s, own, c):  # type: ignore[no-untyped-def]
    """Link c bounds the flow of its slot `own` from here on: carry over what is left of it."""
    mine = s.slot[own]
    before = mine.owner
    left = mine.end
    at = own
    for _ in range(mine.hops - 1):
        link = s.slot[at].next_link
        at = s.slot[at].next
        slot = s.slot[at]
        if link == before:
            left = slot.end - s.pace[before].mark
        slot.owner = c
    mine.owner = c
    mine.end = s.pace[c].mark + max(left, 0.0)


@njit(cache=True, _nrt=False, forceinline=True)
def stop_open(s, c, level, now):  # type: ignore[no-untyped-def]
    """Rule 3: link c is full; its open flows stay at `level`, and one of them ends first."""
    link = s.link[c]
    pace = s.pace[c]
    if link.state != REOPENED:
        pace.mark, pace.since, pace.old_level = 0.0, now, -1.0
    link.level = level
    first_end = np.inf
    for own in range(link.first, link.first + link.active):
        slot = s.slot[own]
        owner = slot.owner
        if owner != c:
            if owner >= 0 and s.link[owner].state != REOPENED:
                continue
            take_over(s, own, c)
        first_end = min(first_end, slot.end)
        at = own
        for _ in range(slot.hops - 1):
            step = s.slot[at]
            other = s.link[step.next_link]
            other.used += step.next_part * level
            other.open_weight -= step.next_part
            other.open -= 1
            if slot.hops > 2:
                at = step.next
    s.counts[N_VISITS] += link.open
    link.state = FULL
    link.used += link.open_weight * level
    link.open_weight = 0.0
    link.open = 0
    pace.first_end = first_end
    if level == pace.old_level:  # nothing has changed for it: no rounding either
        pace.mark, pace.since = pace.old_mark, pace.old_since


@njit(cache=True, _nrt=False, forceinline=True)
def fill(s, now):  # type: ignore[no-untyped-def]
    """Progressive filling of the open flows."""
    level = 0.0
    above = 1.0 + LEVEL_TOLERANCE
    for i in range(s.counts[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        if s.link[c].open > 0:
            rank(s, c, fill_level(s, c, 0.0))
    while s.counts[N_FILL] > 0:
        c = s.ranks[FILL_HEAP, 0]
        link = s.link[c]
        if link.open == 0:
            unrank(s, c)
            continue
        known = max(s.keys[FILL_KEY, 0], level) * above
        key = fill_level(s, c, level)
        if key <= known:
            top = recount(s, c)
            key = fill_level(s, c, level)
            if top > key * above:
                open_above(s, c, key, level, now)
                continue
        if key > known:  # it stood too early in the order: flows stopped elsewhere since
            rank(s, c, key)
            continue
        if key > level * above:
            level = key
        unrank(s, c)
        stop_open(s, c, level, now)


@njit(cache=True, _nrt=False, forceinline=True)
def settle(s):  # type: ignore[no-untyped-def]
    """After a solve: the touched links into the heap of ends, and all marks cleared."""
    count = s.counts
    heap, pos, keys = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    for i in range(count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        link = s.link[c]
        if link.state == FULL and link.level > 0.0:
            pace = s.pace[c]
            due = pace.since + (pace.first_end - pace.mark) / link.level
            count[N_END] = heap_set(heap, pos, keys, count[N_END], c, due)
        else:
            count[N_END] = heap_remove(heap, pos, keys, count[N_END], c)
        link.state = QUIET
        link.open_weight = 0.0
    count[N_TOUCHED] = 0
    count[N_REOPENED] = 0


@njit(cache=True, _nrt=False)
def solve(s):  # type: ignore[no-untyped-def]
    """Bring all rates up to date with what happened at the clock."""
    if s.counts[PENDING] == 0:
        return
    s.counts[PENDING] = 0
    s.counts[N_SOLVES] += 1
    open_bounded(s, s.clock[LAST])
    fill(s, s.clock[LAST])
    settle(s)
