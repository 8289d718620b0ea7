"""The transmitter of a link: what it sends next, for how long it is busy, and when the packet arrives.

    busy      size / rate
    arrives   store and forward: when the last bit has left, and the pipe's delay later
              cut-through: when the header has left, and the delay later; the next port then sends no faster than the
              last bit comes, finish = max(start + size / rate, last bit in)

Control goes first, then the higher class of data, then the lower. At a NIC, packets that wait (forwarded ones) and the
ring of flows take turns. Hosts take every packet from its last bit on.

Telemetry (for HPCC): u = queue / (rate T) + bytes sent in the last whole window of T / (rate T), the largest on the
way. Source: Li et al., HPCC, SIGCOMM 2019, equation 2; switches keep the window as in PINT (Ben Basat, SIGCOMM 2020).
"""

from __future__ import annotations

from netsim.congestion.heap import put
from netsim.congestion.jit import part
from netsim.congestion.queues import into_pipe, join, leave
from netsim.congestion.senders import emit, from_ring
from netsim.congestion.state import CLASSES, DATA, PAUSE, RESUME
from netsim.congestion.switch import admit, drop, release


@part
def _stamp(s, p, k, now):  # type: ignore[no-untyped-def]
    port, pk, window = s.ports[p], s.packets[k], s.rules[0].telemetry
    if now - port.seen_at >= window:
        port.utilisation = port.seen_bytes * port.ps_per_byte / (now - port.seen_at)
        port.seen_at, port.seen_bytes = now, 0
    port.seen_bytes += pk.size
    u = port.queued * port.ps_per_byte / window + port.utilisation
    if u > pk.utilisation:
        pk.utilisation = u


@part
def _transmit(s, p, k, now):  # type: ignore[no-untyped-def]
    port, pk, t = s.ports[p], s.packets[k], s.totals[0]
    done = now + int(pk.size * port.ps_per_byte + 0.5)
    if pk.whole > done:
        done = pk.whole
    if pk.kind != PAUSE and pk.kind != RESUME:
        t.hops += 1
        if pk.kind == DATA:
            t.data_hops += 1
            if s.rules[0].telemetry > 0:
                _stamp(s, p, k, now)
    port.busy_until = done
    port.packets += 1
    port.bytes += pk.size
    pk.due = done + port.delay
    pk.whole = 0
    if s.rules[0].cut_through and port.target >= 0 and pk.size > s.rules[0].header:
        pk.whole = pk.due
        pk.due = now + int(s.rules[0].header * port.ps_per_byte + 0.5) + port.delay
    into_pipe(s, p, k)


@part
def _class_to_send(s, p):  # type: ignore[no-untyped-def]
    """First class of link p with a packet that may go; -1 for none."""
    for c in range(CLASSES):
        q = s.queues[p * CLASSES + c]
        if q.head >= 0 and q.stopped == 0:
            return c
    return -1


@part
def try_send(s, p, now):  # type: ignore[no-untyped-def]
    """Link p sends its next packet, if it is free and has one."""
    port = s.ports[p]
    if port.busy_until > now or port.up == 0:
        return
    c = _class_to_send(s, p) if port.waiting > 0 else -1
    k = -1
    if port.ring >= 0 and c != 0 and (c < 0 or port.turn == 0):
        i = from_ring(s, p, now)
        if i >= 0:
            k = emit(s, i, p, now)
            port.turn = 1
    if k < 0:
        if c < 0:
            return
        port.turn = 0
        k = leave(s, p, c, now)
        if port.source >= 0:
            release(s, p, k, now)
    _transmit(s, p, k, now)
    more = port.waiting > 0 or (port.ring >= 0 and s.rings[port.ring].head >= 0)
    if more:
        s.totals[0].events = put(s.events, s.totals[0].events, p, port.busy_until)


@part
def nudge(s, p, now):  # type: ignore[no-untyped-def]
    """Link p has something new to send: now, or when it is free."""
    port = s.ports[p]
    if port.busy_until <= now:
        try_send(s, p, now)
    elif s.events[p, 2] < 0:
        s.totals[0].events = put(s.events, s.totals[0].events, p, port.busy_until)


@part
def enqueue(s, p, k, now):  # type: ignore[no-untyped-def]
    """Packet k joins the queue of link p, or not."""
    port = s.ports[p]
    if port.up == 0:
        drop(s, p, k)
        return
    if port.source >= 0 and not admit(s, p, k, now):
        return
    join(s, p, k, now, 0)
    nudge(s, p, now)


@part
def wake(s, i, now):  # type: ignore[no-untyped-def]
    """A flow has joined a ring: its ports look for something to send."""
    ring = s.rings[s.flows[i].ring]
    for n in range(ring.ports):
        nudge(s, ring.first + n, now)


@part
def stop_class(s, p, c, stopped, now):  # type: ignore[no-untyped-def]
    """A pause or resume frame has reached the sender of link p."""
    q, port = s.queues[p * CLASSES + c], s.ports[p]
    if stopped == 1 and q.stopped == 0:
        port.paused_since = now
    elif stopped == 0 and q.stopped == 1:
        port.paused += now - port.paused_since
    q.stopped = stopped
    if stopped == 0:
        nudge(s, p, now)
