"""The queue of events: an indexed binary heap in one array.

Row i of the (n, 3) array is (item in place i, its time, place of item i or -1). An item is in the heap at most once, so
the heap is as large as the fabric and never as the traffic: a port has one event (it is free) and a pipe one (its first
packet arrives). Equal times keep the order that the sifts leave, which is the same in every run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.congestion.jit import part


def new_heap(items: int) -> NDArray[np.int64]:
    """An empty heap of so many items."""
    heap = np.zeros((max(items, 1), 3), np.int64)
    heap[:, 2] = -1
    return heap


@part
def put(heap, size, item, time):  # type: ignore[no-untyped-def]
    """Insert `item` at `time`, or move it there; returns the new size."""
    i = heap[item, 2]
    if i < 0:
        i = size
        size += 1
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent, 1] <= time:
            break
        moved = heap[parent, 0]
        heap[i, 0] = moved
        heap[i, 1] = heap[parent, 1]
        heap[moved, 2] = i
        i = parent
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1, 1] < heap[child, 1]:
            child += 1
        if heap[child, 1] >= time:
            break
        moved = heap[child, 0]
        heap[i, 0] = moved
        heap[i, 1] = heap[child, 1]
        heap[moved, 2] = i
        i = child
    heap[i, 0] = item
    heap[i, 1] = time
    heap[item, 2] = i
    return size


@part
def take(heap, size, item):  # type: ignore[no-untyped-def]
    """Take `item` out, if it is in; returns the new size."""
    i = heap[item, 2]
    if i < 0:
        return size
    heap[item, 2] = -1
    size -= 1
    last = heap[size, 0]
    if last != item:
        time = heap[size, 1]
        heap[i, 0] = last
        heap[i, 1] = time
        heap[last, 2] = i
        put(heap, size, last, time)
    return size
