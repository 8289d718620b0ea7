"""Chains of packets: the free list, the queues at the tail of a link, and the pipe behind it.

A queue is a rate and a pipe is a delay; the two compose every network. Each is a chain through `next`, first in, first
out; a pause frame alone is put at the front. What a queue saw is kept as it changes: the area under its length, and the
sum of the waits, counted apart, so that Little's law (area = sum of waits, once the queue is empty) can fail.

Source: queue and pipe as in htsim (Raiciu et al., SIGCOMM 2011).
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.heap import put
from netsim.congestion.jit import part
from netsim.congestion.state import CLASSES


@part
def new_packet(s):  # type: ignore[no-untyped-def]
    """A packet from the free list, which the loop keeps from running dry."""
    t = s.totals[0]
    k = np.int64(t.free)
    t.free = s.packets[k].next
    t.in_network += 1
    return k


@part
def free_packet(s, k):  # type: ignore[no-untyped-def]
    """Give a packet back."""
    t = s.totals[0]
    s.packets[k].next = t.free
    t.free = k
    t.in_network -= 1


@part
def join(s, p, k, now, front):  # type: ignore[no-untyped-def]
    """Packet k waits at the tail of link p."""
    port, pk = s.ports[p], s.packets[k]
    q = s.queues[p * CLASSES + pk.cls]
    pk.since = now
    if front != 0 or q.head < 0:
        pk.next = q.head if front != 0 else -1
        if q.head < 0:
            q.tail = k
        q.head = k
    else:
        pk.next = -1
        s.packets[q.tail].next = k
        q.tail = k
    q.bytes += pk.size
    port.queued += pk.size
    if port.queued > port.most:
        port.most = port.queued
    port.area += float(port.waiting) * (now - port.since)
    port.since = now
    port.waiting += 1


@part
def leave(s, p, c, now):  # type: ignore[no-untyped-def]
    """The first packet of class c of link p, taken out."""
    port, q = s.ports[p], s.queues[p * CLASSES + c]
    k = np.int64(q.head)
    pk = s.packets[k]
    q.head = pk.next
    if q.head < 0:
        q.tail = -1
    q.bytes -= pk.size
    port.queued -= pk.size
    port.area += float(port.waiting) * (now - port.since)
    port.since = now
    port.waiting -= 1
    port.wait += now - pk.since
    return k


@part
def into_pipe(s, p, k):  # type: ignore[no-untyped-def]
    """Packet k is on its way; its `due` says until when."""
    port = s.ports[p]
    s.packets[k].next = -1
    if port.pipe_head < 0:
        port.pipe_head = k
        s.totals[0].events = put(s.events, s.totals[0].events, s.ports.size + p, s.packets[k].due)
    else:
        s.packets[port.pipe_tail].next = k
    port.pipe_tail = k
