"""What happens where a packet arrives: at the receiver of data, and at the sender for what comes back.

Data: counted once per packet (copies are told apart), acknowledged every `ack_bytes`, at once when all has come. An
acknowledgement carries the running total of bytes that came, the mark, and when its packet was sent; so a lost one is
made good by the next. `ordered` receivers keep only the packet that is next and ask for it otherwise (go-back-N).

Time-out: a packet that has been under way for a time-out, and at most for half of one more, is lost and sent again; the
sender knows what the receiver has as if selective acknowledgements took no time (the one thing here that no wire
carries). Ordered senders go back when nothing has come back for a whole time-out. Left out: adaptive time-outs.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion import credit, dcqcn, hpcc, nscc
from netsim.congestion.jit import part
from netsim.congestion.ports import enqueue, stop_class, wake
from netsim.congestion.queues import free_packet, new_packet
from netsim.congestion.senders import add_to_ring, arm, in_flight, ready, wire_bytes
from netsim.congestion.state import (
    ACK,
    AGAIN,
    CNP,
    CREDIT,
    CREDITS,
    DATA,
    DCQCN,
    GOT,
    HEADER,
    HPCC,
    LOST,
    NACK,
    NSCC,
    PAUSE,
    STILL,
)


@part
def may_send(s, i, now):  # type: ignore[no-untyped-def]
    """Something has changed for flow i: into the ring, if it is ready."""
    if s.flows[i].in_ring == 0 and ready(s, i, now):
        add_to_ring(s, i)
        wake(s, i, now)


@part
def _send_back(s, i, k, now):  # type: ignore[no-untyped-def]
    """From the receiver towards the sender of flow i."""
    f, pk = s.flows[i], s.packets[k]
    f.answers += 1
    pk.entropy = f.answers
    if f.path >= 0:
        pk.hop = f.hops - 1
        first = s.ports[s.paths[f.path + pk.hop]].reverse
    elif f.target_nic < 0:
        first = s.ports[f.inside].reverse
    else:
        first = s.nic[0] + f.target_nic * s.nic[2] + pk.plane
    enqueue(s, np.int64(first), k, now)


@part
def answer(s, i, kind, to, now, value):  # type: ignore[no-untyped-def]
    """A control packet from the receiver of flow i to its sender, about data packet `to`.

    It brings back when that was sent and what it saw, and takes the plane that it came by.
    """
    f, of = s.flows[i], s.packets[to]
    k = new_packet(s)
    pk = s.packets[k]
    pk.flow, pk.seq, pk.size, pk.kind, pk.cls = i, of.seq, s.rules[0].control, kind, 0
    pk.came_by, pk.ecn, pk.utilisation, pk.plane = -1, f.echo, of.utilisation, of.plane
    pk.sent, pk.value, pk.whole = of.sent, value, 0
    if kind == NACK and s.rules[0].ordered:
        pk.seq = f.expected
    _send_back(s, i, k, now)


@part
def give_credit(s, i, plane, now):  # type: ignore[no-untyped-def]
    """A credit packet for flow i."""
    f = s.flows[i]
    k = new_packet(s)
    pk = s.packets[k]
    pk.flow, pk.seq, pk.size, pk.kind, pk.cls = i, 0, s.rules[0].control, CREDIT, 0
    pk.came_by, pk.ecn, pk.utilisation, pk.plane = -1, 0, 0.0, plane
    pk.sent, pk.value, pk.whole = now, f.granted, 0
    _send_back(s, i, k, now)


@part
def _data(s, k, now):  # type: ignore[no-untyped-def]
    pk, rules, t = s.packets[k], s.rules[0], s.totals[0]
    i = np.int64(pk.flow)
    f = s.flows[i]
    size = wire_bytes(s, f, pk.seq)
    f.received_bytes += size
    if pk.value > f.known_want:
        f.known_want = pk.value
    if pk.kind == HEADER:
        f.known_want += size
        answer(s, i, NACK, k, now, f.received_bytes)
        credit.want(s, i, now)
        return
    if pk.ecn:
        f.marked += 1
        f.echo = 1
        if f.law == DCQCN and now - f.last_cnp >= rules.cnp_interval:
            f.last_cnp = now
            f.cnps += 1
            answer(s, i, CNP, k, now, f.received_bytes)
    f.unacked += size
    mark = s.marks[f.first + pk.seq]
    if rules.ordered and pk.seq != f.expected:
        t.copies += 1
        if pk.seq > f.expected and f.asked != f.expected + 1:
            f.asked = f.expected + 1
            answer(s, i, NACK, k, now, f.received_bytes)
    elif mark & GOT:
        t.copies += 1
    else:
        f.expected += 1
        s.marks[f.first + pk.seq] = mark | GOT
        f.received += 1
        t.delivered += 1
        if f.received == f.packets:
            f.finish = now
            t.open_flows -= 1
    done = f.finish >= 0
    if rules.ack_bytes >= 0 and (done or f.unacked > rules.ack_bytes):
        answer(s, i, ACK, k, now, f.received_bytes)
        f.unacked, f.echo = 0, 0
    if f.law == CREDITS:
        credit.want(s, i, now)


@part
def _known(f, value, now):  # type: ignore[no-untyped-def]
    newly = value - f.known_bytes
    if newly > 0:
        f.known_bytes = value
        f.progress = now
        in_flight(f)
    return max(newly, 0)


@part
def lose(s, i, seq):  # type: ignore[no-untyped-def]
    """Packet `seq` is to be sent again."""
    f = s.flows[i]
    at = f.first + seq
    if s.marks[at] & (GOT | LOST) or seq >= f.next_seq:
        return
    s.marks[at] |= LOST
    if f.lost == 0 or seq < f.lost_from:
        f.lost_from = seq
    f.lost += 1


@part
def _nack(s, pk, now):  # type: ignore[no-untyped-def]
    i = np.int64(pk.flow)
    f = s.flows[i]
    _known(f, pk.value, now)
    if s.rules[0].ordered:
        if pk.seq < f.next_seq:
            f.gone = f.sent_bytes - f.known_bytes
            f.resent += f.next_seq - pk.seq
            f.next_seq = pk.seq
    else:
        size = wire_bytes(s, f, pk.seq)
        lose(s, i, pk.seq)
        if f.law == CREDITS:
            f.wanted += size
        elif f.law == NSCC:
            nscc.on_loss(s, i, now, size)


@part
def _go_back(s, i, now):  # type: ignore[no-untyped-def]
    """Nothing has come back for a whole time-out: all again, from what is missing first."""
    f, rules = s.flows[i], s.rules[0]
    if now - f.progress < rules.timeout:
        f.timeout = f.progress + rules.timeout
        return
    f.resent += f.next_seq - f.expected
    f.next_seq = f.expected
    f.gone = f.sent_bytes - f.known_bytes
    f.progress, f.timeout = now, now + rules.timeout


@part
def time_out(s, i, now):  # type: ignore[no-untyped-def]
    """Half a time-out has passed: packets that were under way two ticks ago and have not come are lost."""
    f, rules = s.flows[i], s.rules[0]
    if rules.ordered:
        _go_back(s, i, now)
        return
    f.sent_before = f.sent_since
    f.sent_since = f.next_seq
    f.timeout = now + rules.timeout // 2
    lost = 0
    for seq in range(f.floor, f.sent_before):
        mark = s.marks[f.first + seq]
        if mark & GOT:
            if seq == f.floor:
                f.floor += 1
        elif mark & STILL:
            s.marks[f.first + seq] = mark & ~STILL & 255
        elif mark & AGAIN:
            s.marks[f.first + seq] = mark & ~AGAIN & 255
        elif mark & LOST == 0:
            lose(s, i, seq)
            lost += wire_bytes(s, f, seq)
    if lost == 0:
        return
    f.gone += lost
    if f.law == CREDITS:
        f.wanted += lost
        if f.used >= f.known_grant + f.unasked:
            f.unasked = f.used - f.known_grant + 1
    elif f.law == NSCC:
        nscc.on_loss(s, i, now, lost)


@part
def arrive(s, k, now):  # type: ignore[no-untyped-def]
    """Packet k is where it was going."""
    pk = s.packets[k]
    i = np.int64(pk.flow)
    if pk.kind == DATA or pk.kind == HEADER:
        _data(s, k, now)
        free_packet(s, k)
        return
    f = s.flows[i]
    if pk.kind == ACK:
        newly = _known(f, pk.value, now)
        if f.law == HPCC:
            hpcc.on_ack(s, i, now, pk.utilisation)
        elif f.law == NSCC:
            nscc.on_ack(s, i, now, newly, pk.ecn, now - pk.sent)
    elif pk.kind == NACK:
        _nack(s, pk, now)
    elif pk.kind == CREDIT:
        if pk.value > f.known_grant:
            f.known_grant = pk.value
    elif pk.kind == CNP:
        dcqcn.on_cnp(s, i, now)
    may_send(s, i, now)
    if f.rate > 0.0 and f.in_ring == 0 and f.next_send > now and (f.lost > 0 or f.next_seq < f.packets):
        arm(s, i, f.next_send)
    free_packet(s, k)


@part
def frame(s, k, p, now):  # type: ignore[no-untyped-def]
    """A pause or resume frame has come by link p: it is about the other direction."""
    pk = s.packets[k]
    back, c, kind = np.int64(s.ports[p].reverse), pk.value, pk.kind
    free_packet(s, k)
    stop_class(s, back, c, 1 if kind == PAUSE else 0, now)
