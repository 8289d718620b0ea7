"""What happens to a fluid network at an event: flows join and leave links, time moves, batches end.

The rates follow in `netsim.network.filling`, once per instant. A flow that is active holds one slot in the list of
each link it crosses; the slots of a flow form a ring, so that joining and leaving cost no search.
"""

import numpy as np
from numba import njit

from netsim.maxmin import heap_remove
from netsim.network.filling import solve, touch
from netsim.network.state import (
    END_HEAP,
    END_KEY,
    END_POS,
    LAST,
    N_DONE,
    N_END,
    N_EVENTS,
    N_FORCED,
    N_STACK,
    PENDING,
    QUIET,
    STACK,
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
def next_end(s):  # type: ignore[no-untyped-def]
    """Absolute time of the next end, inf when there is none."""
    if s.counts[N_DONE] > 0:
        return s.clock[LAST]
    solve(s)
    return s.keys[END_KEY, 0] if s.counts[N_END] > 0 else np.inf


@njit(cache=True, _nrt=False)
def move_clock(s, now):  # type: ignore[no-untyped-def]
    """Time passes to `now`; what is pending belongs to the instant before."""
    if now > s.clock[LAST]:
        solve(s)
        s.clock[LAST] = now
    s.counts[N_EVENTS] += 1


@njit(cache=True, _nrt=False, forceinline=True)
def finish_batch(s, b):  # type: ignore[no-untyped-def]
    """Batch b has ended; it may start again once that is reported."""
    s.batch[b].left = UNREPORTED
    s.done[s.counts[N_DONE]] = b
    s.counts[N_DONE] += 1


@njit(cache=True)
def take_done(s):  # type: ignore[no-untyped-def]
    """The batches that ended since the last call, ascending."""
    done = np.sort(s.done[: s.counts[N_DONE]]).astype(np.int64)
    for b in done:
        s.batch[b].left = 0
    s.counts[N_DONE] = 0
    return done


@njit(cache=True, _nrt=False, forceinline=True)
def leave(s, c, at):  # type: ignore[no-untyped-def]
    """Free a slot of link c: close the ring of its flow, and move the last slot of the list into the hole."""
    gone = s.ring[at]
    flow = s.flow[gone.flow]
    after = s.slot[at].next
    flow.slot = after if after != at else -1
    s.slot[gone.prev].next = after
    s.ring[after].prev = gone.prev
    link = s.link[c]
    link.active -= 1
    last = link.first + link.active
    if at == last:
        return
    s.slot[at] = s.slot[last]
    s.ring[at] = s.ring[last]
    if s.slot[at].next == last:
        s.slot[at].next = at
        s.ring[at].prev = at
    s.ring[s.slot[at].next].prev = at
    s.slot[s.ring[at].prev].next = at
    if s.flow[s.ring[at].flow].slot == last:
        s.flow[s.ring[at].flow].slot = at


@njit(cache=True, _nrt=False, forceinline=True)
def end_flow(s, own, bound_by, now):  # type: ignore[no-untyped-def]
    """The flow of slot `own`, bounded by that link, has all its bytes across; it leaves its links."""
    f = s.ring[own].flow
    flow = s.flow[f]
    batch = s.batch[flow.batch]
    volume = s.plan[f].size * batch.scale / flow.weight
    level = s.link[bound_by].level
    at, c = own, bound_by
    for _ in range(s.slot[own].hops):
        slot = s.slot[at]
        part, c_next = slot.part, slot.next_link
        link = s.link[c]
        link.used -= part * level
        s.tally[c].bytes += part * volume
        after = slot.next
        last = link.first + link.active - 1
        leave(s, c, at)
        if link.active == 0:
            link.used = 0.0
            s.tally[c].busy += now - s.tally[c].busy_since
        if link.level < np.inf:
            touch(s, c)
            s.counts[PENDING] = 1
        at, c = at if after == last else after, c_next
    flow.since = now
    batch.left -= 1
    batch.owner = bound_by
    if batch.left == 0:
        finish_batch(s, flow.batch)


@njit(cache=True, _nrt=False, forceinline=True)
def end_due(s, now):  # type: ignore[no-untyped-def]
    """End every flow that is due at the instant `now`."""
    limit = now + TIME_TOLERANCE * abs(now)
    heap, pos, keys = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    while s.counts[N_END] > 0 and keys[0] <= limit:
        c = heap[0]
        s.counts[N_END] = heap_remove(heap, pos, keys, s.counts[N_END], c)
        link = s.link[c]
        pace = s.pace[c]
        at = link.first
        while at < link.first + link.active:
            slot = s.slot[at]
            if slot.owner == c and pace.since + (slot.end - pace.mark) / link.level <= limit:
                end_flow(s, at, c, now)
            else:
                at += 1


@njit(cache=True, _nrt=False)
def advance(s, now):  # type: ignore[no-untyped-def]
    """End all that ends up to `now`, each at its own time; leaves the last solve pending. Returns how many
    batches wait to be reported."""
    while True:
        if now > s.clock[LAST]:
            solve(s)
        if s.counts[N_END] == 0:
            return s.counts[N_DONE]
        due = s.keys[END_KEY, 0]
        if due > now + TIME_TOLERANCE * abs(now):
            return s.counts[N_DONE]
        at = max(min(due, now), s.clock[LAST])
        move_clock(s, at)
        end_due(s, at)


@njit(cache=True, _nrt=False)
def overdue(s, now):  # type: ignore[no-untyped-def]
    """Whether a flow ends before `now`, so that time cannot pass to it in one move."""
    if now > s.clock[LAST]:
        solve(s)
    return s.counts[N_END] > 0 and s.keys[END_KEY, 0] < now - TIME_TOLERANCE * abs(now)


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


@njit(cache=True, _nrt=False, forceinline=True)
def start_flow(s, f, now, scale, cap_scale):  # type: ignore[no-untyped-def]
    """Flow f joins its links, open; one without bytes or links is over at once."""
    flow = s.flow[f]
    plan = s.plan[f]
    first, end = plan.first, s.plan[f + 1].first
    flow.since = now
    if plan.size * scale <= 0.0 or first == end:
        return
    s.batch[flow.batch].left += 1
    s.counts[PENDING] = 1
    if plan.cap < np.inf:  # its private link is its last hop, and nobody else's
        s.link[s.hop[end - 1].link].capacity = min(plan.cap * cap_scale, UNBOUNDED)
    before = -1
    for h in range(first, end):
        hop = s.hop[h]
        link = s.link[hop.link]
        at = link.first + link.active
        slot = s.slot[at]
        slot.part = hop.part
        slot.end = plan.size * scale / flow.weight
        slot.owner = -1
        slot.hops = end - first
        s.ring[at].flow = f
        if before < 0:
            flow.slot = at
        else:
            follow(s, before, at, hop)
        before = at
        if link.active == 0:
            s.tally[hop.link].busy_since = now
        link.active += 1
        link.open += 1
        link.open_weight += hop.part
        if link.state == QUIET:
            touch(s, hop.link)
    follow(s, before, flow.slot, s.hop[first])


@njit(cache=True, _nrt=False, forceinline=True)
def follow(s, before, at, hop):  # type: ignore[no-untyped-def]
    """Slot `at`, of `hop`, comes after slot `before` in the ring of their flow."""
    slot = s.slot[before]
    slot.next = at
    slot.next_link = hop.link
    slot.next_part = hop.part
    s.ring[at].prev = before


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
        s.counts[PENDING] = 1
        if link.state == QUIET and link.level < np.inf:
            touch(s, c)
        elif s.tally[c].forced == 0 and link.level == np.inf:
            touch(s, c)
            s.ranks[STACK, s.counts[N_STACK]] = c
            s.counts[N_STACK] += 1
        if s.tally[c].forced == 0:
            s.tally[c].forced = 1
            s.counts[N_FORCED] += 1
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


@njit(cache=True, _nrt=False)
def rate_per_weight(s, f):  # type: ignore[no-untyped-def]
    """The level of flow f after a solve, 0 when it is not active."""
    at = s.flow[f].slot
    return s.link[s.slot[at].owner].level if at >= 0 else 0.0


@njit(cache=True, _nrt=False)
def left_per_weight(s, f):  # type: ignore[no-untyped-def]
    """What is left of the active flow f at the clock after a solve, bytes / weight."""
    at = s.flow[f].slot
    owner = s.slot[at].owner
    pace = s.pace[owner]
    end = s.slot[at].end
    for _ in range(s.slot[at].hops):
        here = s.slot[at].next
        if s.slot[at].next_link == owner:
            end = s.slot[here].end
        at = here
    done = pace.mark + s.link[owner].level * (s.clock[LAST] - pace.since)
    return max(end - done, 0.0)


@njit(cache=True, _nrt=False)
def add_progress(s, total, rates):  # type: ignore[no-untyped-def]
    """Add what active flows have carried so far to `total` (n_links,), and put rates into `rates` (n_flows,)."""
    for f in range(s.flow.size):
        rates[f] = rate_per_weight(s, f) * s.flow[f].weight
        if s.flow[f].slot < 0:
            continue
        sent = s.plan[f].size * s.batch[s.flow[f].batch].scale / s.flow[f].weight - left_per_weight(s, f)
        for h in range(s.plan[f].first, s.plan[f + 1].first):
            if s.hop[h].link < total.size:
                total[s.hop[h].link] += s.hop[h].part * sent
