"""What happens to the arrays of a fluid network at an event, incrementally and exactly.

An event (starts, ends, changed capacities at one instant) re-solves only what it can reach. The solve under way splits
the flows into *open* ones, which rise together as in progressive filling, and the rest, which keep their rates:

1. Open are the new flows and every flow bounded by a link that lost a flow or changed its capacity. Opening a flow
   opens all flows bounded by any link on its path.
2. Links with open flows fill in order. When link l would fill at level k, but carries a flow that kept a level
   above k, that flow is opened (and what follows from it by rule 1), and the filling goes on: so far its level is
   below what the flow already had, so opening it then equals having had it open from the start.
3. A link that fills stops its open flows at k and bounds them.

At the end every flow has a bottleneck: an opened flow by rule 3 (no flow on that link is above k, by rule 2), another
one because its bounding link was not touched (touching it would have opened the flow, rule 1). The max-min allocation
is unique, so this is it. Flows below the first changed level are never visited, and links that do not bind are never
scanned.

Each link keeps the earliest end among the flows it bounds, in an indexed heap of links: no heap operation per flow.

Source: the uniqueness argument is Bertsekas and Gallager 1992, section 6.5.2; bounding links ordered by level are the
bottleneck structure of Ros-Giralt et al., SIGMETRICS 2020.
"""

import numpy as np
from numba import njit

from netsim.maxmin import LEVEL_TOLERANCE, heap_remove, heap_set
from netsim.network.state import (
    ABSENT,
    ACTIVE,
    END_HEAP,
    END_KEY,
    END_POS,
    FILL_HEAP,
    FILL_KEY,
    FILL_POS,
    FULL,
    LAST,
    N_DONE,
    N_END,
    N_EVENTS,
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
    UNBOUNDED,
)

#: Ends closer than this times the clock are one instant (64 ulp): rounding of `left / rate` must not split ties.
TIME_TOLERANCE = 2.0**-46
#: `left` of a batch that has ended but was not reported yet
UNREPORTED = -1
#: answer of `start` and `set_capacity`: an end before that time was not taken
LATE = -2
#: answer of `start`: no such batch
UNKNOWN = -3


@njit(cache=True, _nrt=False)
def touch(s, c):  # type: ignore[no-untyped-def]
    """Link c takes part in the solve under way; if it bounds flows they will be opened."""
    link = s.link[c]
    if link.state == QUIET:
        link.state = TOUCHED
        s.ranks[TOUCHED_LIST, s.count[N_TOUCHED]] = c
        s.count[N_TOUCHED] += 1
        if link.level < np.inf:
            s.ranks[STACK, s.count[N_STACK]] = c
            s.count[N_STACK] += 1


@njit(cache=True, _nrt=False)
def open_flow(s, f):  # type: ignore[no-untyped-def]
    """Flow f, active with a rate, rises again with the solve under way."""
    flow = s.flow[f]
    s.opened[s.count[N_OPENED]] = f
    s.count[N_OPENED] += 1
    level = flow.level
    for h in range(flow.first, s.flow[f + 1].first):
        hop = s.hop[h]
        s.slot[hop.slot].level = OPEN
        link = s.link[hop.link]
        link.used -= hop.part * level
        link.open_weight += hop.part
        link.open += 1
        if link.state == QUIET:
            touch(s, hop.link)


@njit(cache=True, _nrt=False)
def recount(s, c):  # type: ignore[no-untyped-def]
    """Sums of link c afresh (no drift), and the highest level that a flow on it kept."""
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
    s.count[N_FILL] = heap_set(
        s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY], s.count[N_FILL], c, key
    )


@njit(cache=True, _nrt=False)
def unrank(s, c):  # type: ignore[no-untyped-def]
    s.count[N_FILL] = heap_remove(s.ranks[FILL_HEAP], s.ranks[FILL_POS], s.keys[FILL_KEY], s.count[N_FILL], c)


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
        f = s.opened[i]
        for h in range(s.flow[f].first, s.flow[f + 1].first):
            other = s.hop[h].link
            if s.link[other].state != FULL:
                rank(s, other, fill_level(s, other, floor))


@njit(cache=True, _nrt=False)
def stop_open(s, c, level, now):  # type: ignore[no-untyped-def]
    """Rule 3: link c is full; its open flows stay at `level`."""
    full = s.link[c]
    full.state = FULL
    full.level = level
    for at in range(full.first, full.first + full.active):
        slot = s.slot[at]
        if slot.level >= 0.0:
            continue
        f = slot.flow
        flow = s.flow[f]
        flow.owner = c
        if flow.level != level:
            flow.left = max(flow.left - flow.level * flow.weight * (now - flow.since), 0.0)
            flow.since = now
            flow.level = level
        for h in range(flow.first, s.flow[f + 1].first):
            hop = s.hop[h]
            s.slot[hop.slot].level = level
            link = s.link[hop.link]
            link.used += hop.part * level
            link.open_weight -= hop.part
            link.open -= 1


@njit(cache=True, _nrt=False)
def fill(s, now):  # type: ignore[no-untyped-def]
    """Progressive filling of the open flows."""
    level = 0.0
    for i in range(s.count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        if s.link[c].open > 0:
            rank(s, c, fill_level(s, c, 0.0))
    while s.count[N_FILL] > 0:
        c = s.ranks[FILL_HEAP, 0]
        if s.link[c].open == 0:
            unrank(s, c)
            continue
        stale = s.keys[FILL_KEY, c] * (1.0 + LEVEL_TOLERANCE)
        key = fill_level(s, c, level)
        if key > stale and key > level * (1.0 + LEVEL_TOLERANCE):
            rank(s, c, key)
            continue
        top = recount(s, c)
        key = fill_level(s, c, level)
        if top > key * (1.0 + LEVEL_TOLERANCE):
            open_above(s, c, key, level)
            continue
        if key > stale and key > level * (1.0 + LEVEL_TOLERANCE):
            rank(s, c, key)
            continue
        if key > level * (1.0 + LEVEL_TOLERANCE):
            level = key
        unrank(s, c)
        stop_open(s, c, level, now)


@njit(cache=True, _nrt=False)
def predict(s):  # type: ignore[no-untyped-def]
    """After a solve: the earliest end per touched link, and all marks cleared."""
    count = s.count
    for i in range(count[N_TOUCHED]):
        s.link[s.ranks[TOUCHED_LIST, i]].earliest = np.inf
    for i in range(count[N_OPENED]):
        flow = s.flow[s.opened[i]]
        rate = flow.level * flow.weight
        if rate > 0.0:
            link = s.link[flow.owner]
            link.earliest = min(link.earliest, flow.since + flow.left / rate)
    heap, pos, key = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    for i in range(count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        link = s.link[c]
        link.state = QUIET
        link.open_weight = 0.0
        if link.earliest < np.inf:
            count[N_END] = heap_set(heap, pos, key, count[N_END], c, link.earliest)
        else:
            count[N_END] = heap_remove(heap, pos, key, count[N_END], c)
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
    predict(s)


@njit(cache=True, _nrt=False)
def next_end(s):  # type: ignore[no-untyped-def]
    """Absolute time of the next end, inf when there is none."""
    if s.count[N_DONE] > 0:
        return s.clock[LAST]
    solve(s)
    if s.count[N_END] == 0:
        return np.inf
    return s.keys[END_KEY, s.ranks[END_HEAP, 0]]


@njit(cache=True, _nrt=False)
def move_clock(s, now):  # type: ignore[no-untyped-def]
    """Time passes to `now`; what is pending belongs to the instant before."""
    if now > s.clock[LAST]:
        solve(s)
        s.clock[LAST] = now
    s.count[N_EVENTS] += 1


@njit(cache=True, _nrt=False)
def finish_batch(s, b):  # type: ignore[no-untyped-def]
    """Batch b has ended; it may start again once that is reported."""
    s.batch[b].left = UNREPORTED
    s.done[s.count[N_DONE]] = b
    s.count[N_DONE] += 1


@njit(cache=True)
def take_done(s):  # type: ignore[no-untyped-def]
    """The batches that ended since the last call, ascending."""
    done = np.sort(s.done[: s.count[N_DONE]]).astype(np.int64)
    for b in done:
        s.batch[b].left = 0
    s.count[N_DONE] = 0
    return done


@njit(cache=True, _nrt=False)
def end_flow(s, f, now):  # type: ignore[no-untyped-def]
    """Flow f has all its bytes across; it leaves its links."""
    flow = s.flow[f]
    batch = s.batch[flow.batch]
    volume = flow.size * batch.scale / flow.weight
    for h in range(flow.first, s.flow[f + 1].first):
        hop = s.hop[h]
        link = s.link[hop.link]
        link.active -= 1
        last = link.first + link.active
        at = hop.slot
        if at != last:
            s.slot[at] = s.slot[last]
            s.hop[s.slot[at].hop].slot = at
        link.used -= hop.part * flow.level
        link.bytes += hop.part * volume
        if link.active == 0:
            link.used = 0.0
            link.busy += now - link.busy_since
        if link.level < np.inf:
            touch(s, hop.link)
            s.count[PENDING] = 1
    flow.state = ABSENT
    flow.since = now
    flow.left = 0.0
    flow.level = 0.0
    batch.left -= 1
    batch.owner = flow.owner
    if batch.left == 0:
        finish_batch(s, flow.batch)


@njit(cache=True, _nrt=False)
def end_due(s, now):  # type: ignore[no-untyped-def]
    """End every flow that is due at the instant `now`."""
    limit = now + TIME_TOLERANCE * abs(now)
    heap, pos, key = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    while s.count[N_END] > 0 and key[heap[0]] <= limit:
        c = heap[0]
        s.count[N_END] = heap_remove(heap, pos, key, s.count[N_END], c)
        link = s.link[c]
        at = link.first
        while at < link.first + link.active:
            f = s.slot[at].flow
            flow = s.flow[f]
            if flow.owner == c and flow.since + flow.left / (flow.level * flow.weight) <= limit:
                end_flow(s, f, now)
            else:
                at += 1


@njit(cache=True, _nrt=False)
def advance(s, now):  # type: ignore[no-untyped-def]
    """End all that ends up to `now`, each at its own time; leaves the last solve pending. Returns how many
    batches wait to be reported."""
    while True:
        if now > s.clock[LAST]:
            solve(s)
        if s.count[N_END] == 0:
            return s.count[N_DONE]
        due = s.keys[END_KEY, s.ranks[END_HEAP, 0]]
        if due > now + TIME_TOLERANCE * abs(now):
            return s.count[N_DONE]
        at = max(min(due, now), s.clock[LAST])
        move_clock(s, at)
        end_due(s, at)


@njit(cache=True, _nrt=False)
def overdue(s, now):  # type: ignore[no-untyped-def]
    """Whether a flow ends before `now`, so that time cannot pass to it in one move."""
    if now > s.clock[LAST]:
        solve(s)
    return s.count[N_END] > 0 and s.keys[END_KEY, s.ranks[END_HEAP, 0]] < now - TIME_TOLERANCE * abs(now)


@njit(cache=True, _nrt=False)
def start(s, now, batches, scale, cap_scale):  # type: ignore[no-untyped-def]
    """Begin batches at `now`; returns -1, or the batch that may not start, or LATE, or UNKNOWN."""
    for i in range(batches.size):
        if batches[i] < 0 or batches[i] >= s.batch.size - 1:
            return UNKNOWN
    if overdue(s, now):
        return LATE
    for i in range(batches.size):
        if s.batch[batches[i]].left != 0:
            for j in range(i):
                s.batch[batches[j]].left = 0
            return batches[i]
        s.batch[batches[i]].left = UNREPORTED
    move_clock(s, now)
    for i in range(batches.size):
        s.batch[batches[i]].left = 0
    for i in range(batches.size):
        b = batches[i]
        batch = s.batch[b]
        batch.scale = scale
        batch.owner = -1
        for f in range(batch.first, s.batch[b + 1].first):
            start_flow(s, f, now, scale, cap_scale)
        if batch.left == 0:
            finish_batch(s, b)
    return -1


@njit(cache=True, _nrt=False)
def start_flow(s, f, now, scale, cap_scale):  # type: ignore[no-untyped-def]
    """Flow f joins its links, open; one without bytes or links is over at once."""
    flow = s.flow[f]
    end = s.flow[f + 1].first
    flow.since = now
    flow.owner = -1
    flow.level = 0.0
    flow.left = flow.size * scale
    if flow.left <= 0.0 or flow.first == end:
        flow.left = 0.0
        return
    s.batch[flow.batch].left += 1
    if flow.cap < np.inf:  # its private link is its last hop, and nobody else's
        s.link[s.hop[end - 1].link].capacity = min(flow.cap * cap_scale, UNBOUNDED)
    flow.state = ACTIVE
    s.opened[s.count[N_OPENED]] = f
    s.count[N_OPENED] += 1
    s.count[PENDING] = 1
    for h in range(flow.first, end):
        hop = s.hop[h]
        link = s.link[hop.link]
        at = link.first + link.active
        hop.slot = at
        slot = s.slot[at]
        slot.flow = f
        slot.hop = h
        slot.part = hop.part
        slot.level = OPEN
        if link.active == 0:
            link.busy_since = now
        link.active += 1
        link.open += 1
        link.open_weight += hop.part
        touch(s, hop.link)


@njit(cache=True, _nrt=False)
def set_capacity(s, now, links, capacity):  # type: ignore[no-untyped-def]
    """Links change their capacity at `now`; every flow on them is solved again. Returns -1 or LATE."""
    if overdue(s, now):
        return LATE
    move_clock(s, now)
    for i in range(links.size):
        c = links[i]
        link = s.link[c]
        link.capacity = capacity[i]
        s.count[PENDING] = 1
        if link.state == QUIET and link.level < np.inf:
            touch(s, c)
        elif link.forced == 0 and link.level == np.inf:
            touch(s, c)
            s.ranks[STACK, s.count[N_STACK]] = c
            s.count[N_STACK] += 1
        link.forced = 1
    return -1


@njit(cache=True)
def run_to_end(s, order, start_s):  # type: ignore[no-untyped-def]
    """Start every batch at its time (`order` sorts them) and run until nothing moves."""
    one = np.empty(1, np.int64)
    i = 0
    while True:
        due = next_end(s)
        take_done(s)
        begin = start_s[order[i]] if i < order.size else np.inf
        now = min(due, begin)
        if now == np.inf:
            return
        if due <= now + TIME_TOLERANCE * abs(now):
            advance(s, now)
        while i < order.size and start_s[order[i]] <= now:
            one[0] = order[i]
            start(s, now, one, 1.0, 1.0)
            i += 1
