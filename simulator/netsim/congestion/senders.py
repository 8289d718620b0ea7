"""Flows at their sender: which may send, in which order a NIC serves them, and the packet that one sends.

A NIC keeps the flows that may send in a ring and serves them packet by packet in turn, so no queue builds up before its
port (the queue pairs of an RDMA NIC). A flow may send when something is left, its window or credit allows another
packet, and its pacing time has come. Packets that are to be sent again go first. A NIC with several ports has one ring
for all of them when packets are sprayed, so a free port takes the next packet of any flow: an ideal multi-port NIC.

Left out: the time of the host and of PCIe transactions, limits on queue pairs, and priorities within the ring.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.heap import put
from netsim.congestion.jit import part
from netsim.congestion.queues import new_packet
from netsim.congestion.state import AGAIN, CLASSES, CREDITS, DATA, ENTROPY, FLOWLET, LOST, STILL


@part
def wire_bytes(s, f, seq):  # type: ignore[no-untyped-def]
    """Size of a packet of a flow, header included."""
    rules = s.rules[0]
    return min(rules.payload, f.size - seq * rules.payload) + rules.header


@part
def in_flight(f):  # type: ignore[no-untyped-def]
    """Bytes that the sender takes to be under way."""
    under_way = f.sent_bytes - f.known_bytes - f.gone
    if under_way < 0:  # what was taken for lost has come after all
        f.gone += under_way
        return 0
    return under_way


@part
def ready(s, i, now):  # type: ignore[no-untyped-def]
    """Whether flow i may send a packet now."""
    f = s.flows[i]
    if f.started == 0 or (f.lost == 0 and f.next_seq >= f.packets):
        return False
    if f.rate > 0.0 and f.next_send > now:
        return False
    if f.law == CREDITS:
        return f.used < f.known_grant + f.unasked
    return f.window <= 0.0 or f.sent_bytes - f.known_bytes - f.gone + s.rules[0].header < f.window


@part
def add_to_ring(s, i):  # type: ignore[no-untyped-def]
    """Flow i waits for its turn."""
    f = s.flows[i]
    ring = s.rings[f.ring]
    f.in_ring, f.ring_next = 1, -1
    if ring.head < 0:
        ring.head = i
    else:
        s.flows[ring.tail].ring_next = i
    ring.tail = i


@part
def from_ring(s, p, now):  # type: ignore[no-untyped-def]
    """The flow whose turn it is on port p, taken out of the ring; -1 for none.

    Flows that the port cannot serve wait on, those that may not send any more leave.
    """
    port = s.ports[p]
    ring = s.rings[port.ring]
    first = np.int64(-1)
    while ring.head >= 0:
        i = np.int64(ring.head)
        if i == first:
            return -1
        f = s.flows[i]
        ring.head = f.ring_next
        if ring.head < 0:
            ring.tail = -1
        f.in_ring = 0
        if not ready(s, i, now):
            continue
        blocked = s.queues[p * CLASSES + f.cls].stopped != 0
        if ring.ports > 1 and not blocked:
            far = s.nic[1] + f.target_nic * s.nic[2] + (p - ring.first)
            blocked = s.ports[far].known == 0 or port.known == 0
        if not blocked:
            return i
        add_to_ring(s, i)
        if first < 0:
            first = i
    return -1


@part
def arm(s, i, time):  # type: ignore[no-untyped-def]
    """Wake flow i no later than `time`."""
    at = s.timers[i, 2]
    if at < 0 or s.timers[at, 1] > time:
        s.totals[0].timers = put(s.timers, s.totals[0].timers, i, time)


@part
def emit(s, i, p, now):  # type: ignore[no-untyped-def]
    """The next packet of flow i, for port p."""
    f, rules, t = s.flows[i], s.rules[0], s.totals[0]
    k = new_packet(s)
    if f.lost > 0:
        seq = f.lost_from
        while s.marks[f.first + seq] & LOST == 0:
            seq += 1
        s.marks[f.first + seq] = AGAIN | STILL
        f.lost -= 1
        f.lost_from = seq + 1
        f.resent += 1
    else:
        seq = f.next_seq
        f.next_seq += 1
    size = wire_bytes(s, f, seq)
    pk = s.packets[k]
    pk.flow, pk.seq, pk.size, pk.kind, pk.cls = i, seq, size, DATA, f.cls
    pk.came_by, pk.hop, pk.ecn, pk.utilisation = -1, 0, 0, 0.0
    pk.sent, pk.value, pk.whole = now, f.wanted, 0
    pk.plane = (p - s.nic[0]) % s.nic[2] if f.origin < 0 else 0
    if rules.routing == ENTROPY:
        f.entropy = (f.entropy + 1) % rules.paths
    elif rules.routing == FLOWLET and now - f.last_sent > rules.flowlet_gap:
        f.entropy += 1
    pk.entropy = f.entropy
    f.last_sent = now
    f.sent_bytes += size
    f.used += size
    t.data_packets += 1
    if f.rate > 0.0:
        f.next_send = max(now, f.next_send) + int(size / f.rate)
    if rules.timeout > 0 and f.timeout == 0:
        f.progress, f.timeout = now, now + rules.timeout // (1 if rules.ordered else 2)
        arm(s, i, f.timeout)
    if ready(s, i, now):
        add_to_ring(s, i)
    elif f.rate > 0.0 and f.next_send > now and (f.lost > 0 or f.next_seq < f.packets):
        arm(s, i, f.next_send)
    return k
