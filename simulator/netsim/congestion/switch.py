"""An output-queued switch with one buffer for all its ports: who gets in, who is marked, and who is told to stop.

A packet that arrives joins the queue of its output port at once (the crossbar never binds). Its bytes count against the
shared buffer until its first bit leaves.

    full queue   at most `queue` bytes, and under dynamic thresholds at most alpha x (buffer - used)
    lossless     never full; a port whose packets hold more than `stop` bytes of the buffer sends a pause frame for that
                 class to its neighbour, and a resume frame at `resume`. What comes meanwhile is the headroom. A packet
                 that finds the whole buffer used is dropped and counted: the headroom was too small.
    trim         what does not fit loses its payload; the header goes on in the control class
    drop         what does not fit is gone
    ECN          a data packet is marked on arrival with probability 0 below `low`, rising to `most` at `high`, 1 above

Pause and resume frames are packets of the control class that overtake all others; they wait for the packet that is
being sent and cross the pipe like any. Left out: per-queue headroom pools, pause times that run out, the
pipeline's own delay (part of the pipe), and deadlock detection.

Source: Choudhury and Hahne, Dynamic queue length thresholds, ToN 1998; IEEE 802.1Qbb; Zhu et al., DCQCN, SIGCOMM
2015, figure 5; Handley et al., NDP, SIGCOMM 2017.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.choose import unit
from netsim.congestion.heap import put
from netsim.congestion.jit import part
from netsim.congestion.queues import free_packet, join, new_packet
from netsim.congestion.state import CLASSES, DATA, HEADER, LOSSLESS, PAUSE, RESUME, TRIM


@part
def drop(s, p, k):  # type: ignore[no-untyped-def]
    """Packet k is lost at link p."""
    if s.packets[k].kind == DATA:
        s.ports[p].drops += 1
        s.totals[0].dropped += 1
    free_packet(s, k)


@part
def _frame(s, link, cls, kind, now):  # type: ignore[no-untyped-def]
    """Tell the sender of `link` to stop, or to go on with, a class."""
    back = np.int64(s.ports[link].reverse)
    k = new_packet(s)
    pk = s.packets[k]
    pk.flow, pk.size, pk.kind, pk.cls, pk.came_by, pk.value = -1, s.rules[0].control, kind, 0, -1, cls
    pk.whole, pk.ecn = 0, 0
    join(s, back, k, now, 1)
    if s.ports[back].busy_until <= now:
        s.totals[0].events = put(s.events, s.totals[0].events, back, now)
    elif s.events[back, 2] < 0:
        s.totals[0].events = put(s.events, s.totals[0].events, back, s.ports[back].busy_until)
    if kind == PAUSE:
        s.ports[link].pauses += 1


@part
def _mark(s, p, k):  # type: ignore[no-untyped-def]
    port, pk, rules = s.ports[p], s.packets[k], s.rules[0]
    wait = s.queues[p * CLASSES + pk.cls].bytes * port.ps_per_byte
    if wait <= rules.ecn_low_ps:
        return
    if wait < rules.ecn_high_ps:
        chance = (wait - rules.ecn_low_ps) / (rules.ecn_high_ps - rules.ecn_low_ps) * rules.ecn_most
        if unit(s) >= chance:
            return
    pk.ecn = 1
    port.marks += 1


@part
def admit(s, p, k, now):  # type: ignore[no-untyped-def]
    """Packet k asks for a place in the queue of link p, at a switch; whether it (or its header) has one."""
    port, pk, rules = s.ports[p], s.packets[k], s.rules[0]
    sw = s.switches[port.source]
    size = pk.size
    if sw.used + size > rules.buffer:
        drop(s, p, k)
        return False
    if pk.kind == DATA:
        if rules.full != LOSSLESS:
            limit = rules.queue
            if rules.alpha > 0.0:
                limit = min(limit, int(rules.alpha * (rules.buffer - sw.used)))
            if s.queues[p * CLASSES + pk.cls].bytes + size > limit:
                if rules.full != TRIM:
                    drop(s, p, k)
                    return False
                pk.kind, pk.cls, pk.size = HEADER, 0, rules.control
                size = pk.size
                port.trims += 1
                s.totals[0].trimmed += 1
        if pk.kind == DATA and rules.ecn:
            _mark(s, p, k)
        if rules.stop > 0 and pk.came_by >= 0 and pk.kind == DATA:
            inq = s.queues[pk.came_by * CLASSES + pk.cls]
            inq.held += size
            if inq.stopping == 0 and inq.held > rules.stop:
                inq.stopping = 1
                _frame(s, np.int64(pk.came_by), pk.cls, PAUSE, now)
    sw.used += size
    if sw.used > sw.most:
        sw.most = sw.used
    return True


@part
def release(s, p, k, now):  # type: ignore[no-untyped-def]
    """Packet k leaves the buffer of the switch at the tail of link p."""
    pk, rules = s.packets[k], s.rules[0]
    if pk.kind == PAUSE or pk.kind == RESUME:
        return
    s.switches[s.ports[p].source].used -= pk.size
    if rules.stop > 0 and pk.came_by >= 0 and pk.kind == DATA:
        inq = s.queues[pk.came_by * CLASSES + pk.cls]
        inq.held -= pk.size
        if inq.stopping == 1 and inq.held <= rules.resume:
            inq.stopping = 0
            _frame(s, np.int64(pk.came_by), pk.cls, RESUME, now)
