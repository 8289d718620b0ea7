"""What happens to a fluid network at an event: flows join and leave links, time moves, batches end.

The rates follow in `netsim.network.filling`, once per instant. A flow that is active holds one slot in the list of
each link it crosses, and its hops know where, so that joining and leaving cost no search.
"""

import numpy as np

from netsim.kernels import njit
from netsim.network.filling import solve
from netsim.network.maxmin import heap_remove
from netsim.network.owners import swap
from netsim.network.state import (
    END_HEAP,
    END_KEY,
    END_POS,
    LAST,
    LONG,
    N_DONE,
    N_END,
    N_EVENTS,
    UNBOUNDED,
)
from netsim.network.worklist import enqueue, touch

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
def end_flow(s, f, owner, now):  # type: ignore[no-untyped-def]
    """Flow f of link `owner` has all its bytes across; it leaves its links."""
    flow = s.flow[f]
    batch = s.batch[flow.batch]
    volume = s.plan[f].size * batch.unit_bytes / flow.weight
    level = s.level[owner]
    live = s.plan[f].live
    for h in range(s.plan[f].first, s.plan[f + 1].first):
        c = s.hop_link[h]
        part = s.hop_part[h]
        link = s.link[c]
        if c == owner:
            link.own -= 1
            link.weight -= part
            swap(s, s.hop_at[h], link.first + link.own)
        elif h < live:
            link.used -= part * level
        link.active -= 1
        if h < live:
            swap(s, s.hop_at[h], link.first + link.active)
        s.tally[c].bytes += part * volume
        if link.active == 0:
            link.used = 0.0
            link.weight = 0.0
            s.tally[c].busy += now - s.tally[c].busy_since
        if link.queued == 0 and s.level[c] < np.inf:
            enqueue(s, c, 0.0)
    touch(s, owner)
    s.pace[owner].stale = 1
    flow.since = now
    flow.active = 0
    batch.left -= 1
    batch.owner = owner
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
        while at < link.first + link.own:
            f = s.slot_path[at].flow
            if pace.since + (s.flow[f].end - pace.mark) / s.level[c] <= limit:
                end_flow(s, f, c, now)
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
def start(s, now, batches, unit_bytes, kernel_bytes_per_s):  # type: ignore[no-untyped-def]
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
        batch.unit_bytes = unit_bytes
        batch.owner = -1
        for f in range(batch.first, s.batch[b + 1].first):
            start_flow(s, f, now, unit_bytes, kernel_bytes_per_s)
        if batch.left == 0:
            finish_batch(s, b)
    return -1


@njit(cache=True, _nrt=False, forceinline=True)
def start_flow(s, f, now, unit_bytes, kernel_bytes_per_s):  # type: ignore[no-untyped-def]
    """Flow f joins its links, open; one without bytes or links is over at once."""
    flow = s.flow[f]
    plan = s.plan[f]
    first, end = plan.first, s.plan[f + 1].first
    flow.since = now
    if plan.size * unit_bytes <= 0.0 or first == end:
        return
    s.batch[flow.batch].left += 1
    if plan.cap < np.inf:  # its private link is its last live hop, and nobody else's
        s.link[s.hop_link[plan.live - 1]].capacity = min(plan.cap * kernel_bytes_per_s, UNBOUNDED)
    flow.end = plan.size * unit_bytes / flow.weight
    join_links(s, f, now)


@njit(cache=True, _nrt=False, forceinline=True)
def join_links(s, f, now):  # type: ignore[no-untyped-def]
    """Flow f is active from `now` on, with `end` bytes left; no link owns it yet."""
    first, live = s.plan[f].first, s.plan[f].live
    short = live - first <= 3
    for h in range(first, live):
        short = short and s.hop_part[h] == s.hop_part[first]
    s.flow[f].active = 1
    for h in range(first, s.plan[f + 1].first):
        c = s.hop_link[h]
        link = s.link[c]
        if link.active == 0:
            s.tally[c].busy_since = now
        if h >= live:
            link.active += 1
            continue
        at = link.first + link.active
        s.hop_at[h] = at
        s.slot_owner[at] = s.link.size
        s.slot_part[at] = s.hop_part[h]
        path = s.slot_path[at]
        path.flow, path.first, path.hops, path.hop = f, first, live - first, h
        path.one, path.two = LONG if not short else -1, -1
        for k in range(first, live if short else first):
            if k != h and path.one < 0:
                path.one = s.hop_link[k]
            elif k != h:
                path.two = s.hop_link[k]
        link.active += 1
        link.new += 1
        link.weight += s.hop_part[h]
        if link.queued == 0:
            enqueue(s, c, 0.0)


@njit(cache=True, _nrt=False)
def set_capacity(s, now, links, capacity):  # type: ignore[no-untyped-def]
    """Links change their capacity at `now`; what they carry is counted afresh. Returns -1 or LATE.

    Whoever was dominated still is: that is the caller's to see to.
    """
    if overdue(s, now):
        return LATE
    move_clock(s, now)
    for i in range(links.size):
        link = s.link[links[i]]
        link.capacity = capacity[i]
        if s.dominator[links[i]] >= 0:
            continue
        link.used = 0.0  # sums over an unbounded link are no base for a bounded one
        for at in range(link.first + link.own, link.first + link.active):
            owner = s.slot_owner[at]
            if owner < s.link.size:
                link.used += s.slot_part[at] * s.level[owner]
        enqueue(s, links[i], 0.0)
    return -1
