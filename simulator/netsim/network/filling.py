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

Each link keeps the earliest end among the flows it bounds, in an indexed heap of links: no heap operation per flow.

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
    N_OPENED,
    N_SOLVES,
    N_STACK,
    N_TOUCHED,
    N_VISITS,
    OPEN,
    PENDING,
    QUIET,
    STACK,
    TOUCHED,
    TOUCHED_LIST,
)

# Without reference counts (the kernels allocate nothing): counting them atomically would double the time.


@njit(cache=True, _nrt=False)
def touch(s, c):  # type: ignore[no-untyped-def]
    """Link c takes part in the next solve; if it bounds flows they will be opened."""
    link = s.link[c]
    if link.state == QUIET:
        link.state = TOUCHED
        link.earliest = np.inf
        s.ranks[TOUCHED_LIST, s.count[N_TOUCHED]] = c
        s.count[N_TOUCHED] += 1
        if link.level < np.inf:
            s.ranks[STACK, s.count[N_STACK]] = c
            s.count[N_STACK] += 1


@njit(cache=True, _nrt=False)
def open_flow(s, f):  # type: ignore[no-untyped-def]
    """Flow f, active with a rate, rises again."""
    flow = s.flow[f]
    s.opened[s.count[N_OPENED]] = f
    s.count[N_OPENED] += 1
    level = flow.level
    at = flow.slot
    while True:
        slot = s.slot[at]
        slot.level = OPEN
        link = s.link[slot.link]
        link.used -= slot.part * level
        link.open_weight += slot.part
        link.open += 1
        if link.state == QUIET:
            touch(s, slot.link)
        at = slot.next
        if at == flow.slot:
            break


@njit(cache=True, _nrt=False)
def recount(s, c):  # type: ignore[no-untyped-def]
    """Sums of link c afresh (no drift); returns the highest level that a flow on it has."""
    link = s.link[c]
    used = 0.0
    open_weight = 0.0
    top = OPEN
    for at in range(link.first, link.first + link.active):
        slot = s.slot[at]
        if slot.level < 0.0:
            open_weight += slot.part
        else:
            used += slot.part * slot.level
            top = max(top, slot.level)
    link.used = used
    link.open_weight = open_weight
    return top


@njit(cache=True, _nrt=False)
def open_bounded(s):  # type: ignore[no-untyped-def]
    """Rule 1, until nothing follows."""
    while s.count[N_STACK] > 0:
        s.count[N_STACK] -= 1
        c = s.ranks[STACK, s.count[N_STACK]]
        link = s.link[c]
        level = link.level
        link.level = np.inf
        if link.forced:
            recount(s, c)  # sums over an unbounded link are no base for a bounded one
        for at in range(link.first, link.first + link.active):
            slot = s.slot[at]
            if (slot.level == level and s.flow[slot.flow].owner == c) or (link.forced and slot.level >= 0.0):
                open_flow(s, slot.flow)
        link.forced = 0


@njit(cache=True, _nrt=False)
def rank(s, c, key):  # type: ignore[no-untyped-def]
    heap, pos, keys = s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY]
    s.count[N_FILL] = heap_set(heap, pos, keys, s.count[N_FILL], c, key)


@njit(cache=True, _nrt=False)
def unrank(s, c):  # type: ignore[no-untyped-def]
    heap, pos, keys = s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY]
    s.count[N_FILL] = heap_remove(heap, pos, keys, s.count[N_FILL], c)


@njit(cache=True, _nrt=False)
def fill_level(s, c, floor):  # type: ignore[no-untyped-def]
    """The level at which link c fills if nothing else stops its open flows; never below `floor`."""
    link = s.link[c]
    if link.open_weight <= 0.0:
        return floor
    return max((link.capacity - link.used) / link.open_weight, floor)


@njit(cache=True, _nrt=False)
def open_above(s, c, level, floor):  # type: ignore[no-untyped-def]
    """Rule 2 for link c: open what kept more than `level`, and rank the links that this concerns again."""
    link = s.link[c]
    known = s.count[N_OPENED]
    for at in range(link.first, link.first + link.active):
        slot = s.slot[at]
        if slot.level > level * (1.0 + LEVEL_TOLERANCE):
            open_flow(s, slot.flow)
    open_bounded(s)
    for i in range(known, s.count[N_OPENED]):
        at = s.flow[s.opened[i]].slot
        while True:
            slot = s.slot[at]
            if s.link[slot.link].state != FULL:
                rank(s, slot.link, fill_level(s, slot.link, floor))
            at = slot.next
            if at == s.flow[s.opened[i]].slot:
                break


@njit(cache=True, _nrt=False)
def stop_open(s, c, level, now):  # type: ignore[no-untyped-def]
    """Rule 3: link c is full; its open flows stay at `level`, and one of them ends first."""
    full = s.link[c]
    full.state = FULL
    full.level = level
    earliest = np.inf
    for own in range(full.first, full.first + full.active):
        slot = s.slot[own]
        if slot.level >= 0.0:
            continue
        flow = s.flow[slot.flow]
        flow.owner = c
        if flow.level != level:
            flow.left = max(flow.left - flow.level * flow.weight * (now - flow.since), 0.0)
            flow.since = now
            flow.level = level
        if level > 0.0:
            earliest = min(earliest, flow.since + flow.left / (level * flow.weight))
        at = own
        while True:
            slot = s.slot[at]
            slot.level = level
            link = s.link[slot.link]
            link.used += slot.part * level
            link.open_weight -= slot.part
            link.open -= 1
            at = slot.next
            if at == own:
                break
        if full.open == 0:
            break
    full.earliest = earliest


@njit(cache=True, _nrt=False)
def fill(s, now):  # type: ignore[no-untyped-def]
    """Progressive filling of the open flows."""
    level = 0.0
    above = 1.0 + LEVEL_TOLERANCE
    for i in range(s.count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        if s.link[c].open > 0:
            rank(s, c, fill_level(s, c, 0.0))
    while s.count[N_FILL] > 0:
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
                open_above(s, c, key, level)
                continue
        if key > known:  # it stood too early in the order: flows stopped elsewhere since
            rank(s, c, key)
            continue
        if key > level * above:
            level = key
        unrank(s, c)
        stop_open(s, c, level, now)


@njit(cache=True, _nrt=False)
def settle(s):  # type: ignore[no-untyped-def]
    """After a solve: the touched links into the heap of ends, and all marks cleared."""
    count = s.count
    heap, pos, keys = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    for i in range(count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        link = s.link[c]
        link.state = QUIET
        link.open_weight = 0.0
        if link.earliest < np.inf:
            count[N_END] = heap_set(heap, pos, keys, count[N_END], c, link.earliest)
        else:
            count[N_END] = heap_remove(heap, pos, keys, count[N_END], c)
    count[N_VISITS] += count[N_OPENED]
    count[N_TOUCHED] = 0
    count[N_OPENED] = 0


@njit(cache=True, _nrt=False)
def solve(s):  # type: ignore[no-untyped-def]
    """Bring all rates up to date with what happened at the clock."""
    if s.count[PENDING] == 0:
        return
    s.count[PENDING] = 0
    s.count[N_SOLVES] += 1
    open_bounded(s)
    fill(s, s.clock[LAST])
    settle(s)
