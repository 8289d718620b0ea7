"""What a solve has still to do: links to look at, by the levels they seem to have, and first ends to find again.

The queue of links is an indexed heap, the least level first. The level of a link if owners stayed is known from its
sums, without looking at its flows. When patience ends the queue becomes first in, first out (`take_turns`).
"""

import numpy as np

from netsim.kernels import njit
from netsim.network.maxmin import heap_remove, heap_set
from netsim.network.state import (
    END_HEAP,
    END_KEY,
    END_POS,
    N_END,
    N_QUEUE,
    N_TOUCHED,
    QUEUE_HEAP,
    QUEUE_KEY,
    QUEUE_POS,
    TOUCHED_LIST,
    TURN,
)

#: A link that owns nothing is looked at from this part of its capacity on; its sum may have drifted by less.
NEARLY_FULL = 1.0 - 1e-9

# Without reference counts (the kernels allocate nothing): counting them atomically would double the time.


@njit(cache=True, _nrt=False, forceinline=True)
def enqueue(s, c, key):  # type: ignore[no-untyped-def]
    """Link c is looked at by the next solve (or this one), at `key`."""
    heap, pos, keys = s.ranks[QUEUE_HEAP], s.ranks[QUEUE_POS], s.keys[QUEUE_KEY]
    s.link[c].queued = 1
    s.counts[N_QUEUE] = heap_set(heap, pos, keys, s.counts[N_QUEUE], c, key)


@njit(cache=True, _nrt=False, forceinline=True)
def dequeue(s, c):  # type: ignore[no-untyped-def]
    heap, pos, keys = s.ranks[QUEUE_HEAP], s.ranks[QUEUE_POS], s.keys[QUEUE_KEY]
    s.link[c].queued = 0
    s.counts[N_QUEUE] = heap_remove(heap, pos, keys, s.counts[N_QUEUE], c)


@njit(cache=True, _nrt=False, forceinline=True)
def touch(s, c):  # type: ignore[no-untyped-def]
    """The first end on link c is to be found again."""
    if s.link[c].touched == 0:
        s.link[c].touched = 1
        s.ranks[TOUCHED_LIST, s.counts[N_TOUCHED]] = c
        s.counts[N_TOUCHED] += 1


@njit(cache=True, _nrt=False, forceinline=True)
def estimate(link):  # type: ignore[no-untyped-def]
    """The level of a link if owners stay; 0 when that is not known."""
    if link.own + link.new == 0 or link.weight <= 0.0:
        return 0.0
    return max((link.capacity - link.used) / link.weight, 0.0)


@njit(cache=True, _nrt=False, forceinline=True)
def enqueue_by_level(s, c):  # type: ignore[no-untyped-def]
    """Link c at the level it seems to have; at the end of the queue when that is first in, first out."""
    if s.counts[TURN] > 0:
        s.counts[TURN] += 1
        enqueue(s, c, float(s.counts[TURN]))
    else:
        enqueue(s, c, estimate(s.link[c]))


@njit(cache=True, _nrt=False, forceinline=True)
def tell(s, q):  # type: ignore[no-untyped-def]
    """The sums of link q have changed."""
    link = s.link[q]
    if link.queued == 0 and (link.own + link.new > 0 or link.used > link.capacity * NEARLY_FULL):
        enqueue_by_level(s, q)


@njit(cache=True, _nrt=False, forceinline=True)
def put_in_order(s):  # type: ignore[no-untyped-def]
    """The links queued by events, by the levels they seem to have now that all has happened."""
    heap, pos, keys = s.ranks[QUEUE_HEAP], s.ranks[QUEUE_POS], s.keys[QUEUE_KEY]
    for size in range(s.counts[N_QUEUE]):
        c = heap[size]
        pos[c] = -1
        heap_set(heap, pos, keys, size, c, estimate(s.link[c]))


@njit(cache=True, _nrt=False)
def take_turns(s):  # type: ignore[no-untyped-def]
    """The queue becomes first in, first out: whoever stands in it gets a number in place of a level."""
    s.counts[TURN] = s.counts[N_QUEUE]
    for i in range(s.counts[N_QUEUE]):
        s.keys[QUEUE_KEY, i] = i


@njit(cache=True, _nrt=False, forceinline=True)
def settle(s):  # type: ignore[no-untyped-def]
    """After a solve: the touched links into the heap of ends."""
    count = s.counts
    heap, pos, keys = s.ranks[END_HEAP], s.ranks[END_POS], s.keys[END_KEY]
    for i in range(count[N_TOUCHED]):
        c = s.ranks[TOUCHED_LIST, i]
        link = s.link[c]
        pace = s.pace[c]
        link.touched = 0
        if link.own == 0 or s.level[c] == 0.0:
            count[N_END] = heap_remove(heap, pos, keys, count[N_END], c)
            continue
        if pace.stale:
            pace.stale = 0
            pace.first_end = np.inf
            for at in range(link.first, link.first + link.own):
                pace.first_end = min(pace.first_end, s.flow[s.slot_path[at].flow].end)
        due = pace.since + (pace.first_end - pace.mark) / s.level[c]
        count[N_END] = heap_set(heap, pos, keys, count[N_END], c, due)
    count[N_TOUCHED] = 0
