"""The loop: events in order of time until nothing is left to happen, or a given instant.

    port p is free               it sends its next packet
    the first packet of pipe p   is at the far end: to the next queue, or delivered
    flow i wakes                 it starts, its pacing time has come, a period of its law has passed, or its time-out
    NIC n may give credit        to the flow whose turn it is

Two heaps, one for the fabric and one for flows and NICs, keep the first small. The state is in the arrays, so a run may
stop at an instant, be changed from outside (a link fails, `netsim.congestion.faults`) and go on.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion import credit, dcqcn, hpcc, nscc
from netsim.congestion.choose import NOWHERE, next_link
from netsim.congestion.heap import put, take
from netsim.congestion.jit import handle, part, table
from netsim.congestion.ports import enqueue, try_send
from netsim.congestion.receivers import arrive, frame, give_credit, may_send, time_out
from netsim.congestion.senders import arm
from netsim.congestion.state import DCQCN, HPCC, NEVER, NSCC, PAUSE, RESUME, State
from netsim.congestion.switch import drop
from netsim.kernels import njit

#: packets that one event may need at most
SPARE = 256


@part
def _end_of_pipe(s, p, now):  # type: ignore[no-untyped-def]
    port, t = s.ports[p], s.totals[0]
    k = np.int64(port.pipe_head)
    pk = s.packets[k]
    port.pipe_head = pk.next
    item = s.ports.size + p
    if port.pipe_head >= 0:
        t.events = put(s.events, t.events, item, s.packets[port.pipe_head].due)
    else:
        port.pipe_tail = -1
        t.events = take(s.events, t.events, item)
    if pk.kind == PAUSE or pk.kind == RESUME:
        frame(s, k, p, now)
        return
    link = next_link(s, k, p, now)
    if link >= 0:
        pk.came_by = p if port.target >= 0 else -1
        enqueue(s, link, k, now)
    elif link == NOWHERE:
        drop(s, p, k)
    else:
        arrive(s, k, now)


@part
def _start(s, i, now):  # type: ignore[no-untyped-def]
    f = s.flows[i]
    f.started = 1
    if f.law == DCQCN:
        dcqcn.start(s, i, now)
    elif f.law == HPCC:
        hpcc.start(s, i, now)
    elif f.law == NSCC:
        nscc.start(s, i, now)


@part
def _flow_wakes(s, i, now):  # type: ignore[no-untyped-def]
    f, t = s.flows[i], s.totals[0]
    t.timers = take(s.timers, t.timers, i)
    if f.started == 0:
        _start(s, i, now)
    if f.finish >= 0:
        return
    if f.law == DCQCN:
        dcqcn.on_sent(s, i)
        dcqcn.on_timer(s, i, now)
    if f.timeout > 0 and f.timeout <= now:
        f.timeout = 0
        time_out(s, i, now)
    may_send(s, i, now)
    due = NEVER
    if f.rate > 0.0 and f.next_send > now and (f.lost > 0 or f.next_seq < f.packets):
        due = f.next_send
    if f.timeout > 0:
        due = min(due, f.timeout)
    if f.law == DCQCN and f.t0 > 0:
        due = min(due, min(f.t0, f.t1))
    if due < NEVER:
        arm(s, i, due)


@part
def _credit(s, nic, now):  # type: ignore[no-untyped-def]
    t = s.totals[0]
    t.timers = take(s.timers, t.timers, s.flows.size + nic)
    i = credit.grant(s, nic, now)
    if i < 0:
        return
    f = s.flows[i]
    plane = 0
    for n in range(s.nic[2]):
        plane = (f.answers + n) % s.nic[2]
        near = s.ports[s.nic[0] + nic * s.nic[2] + plane].known
        far = s.ports[s.nic[1] + f.source_nic * s.nic[2] + plane].known
        if near != 0 and far != 0:
            break
    give_credit(s, i, plane, now)


@part
def _sample(s, now):  # type: ignore[no-untyped-def]
    """What waits on every link; when the table is full, every other row goes and the step doubles."""
    t = s.totals[0]
    rows = s.samples.shape[0]
    if t.sample == rows:
        for r in range(rows // 2):
            for p in range(s.ports.size + 1):
                s.samples[r, p] = s.samples[2 * r, p]
        t.sample = rows // 2
        t.sample_every *= 2
    if t.sample_due % t.sample_every == 0:
        for p in range(s.ports.size):
            s.samples[t.sample, p] = s.ports[p].queued
        s.samples[t.sample, s.ports.size] = t.delivered
        t.sample += 1
        t.sample_due += t.sample_every
    else:
        t.sample_due += t.sample_every - t.sample_due % t.sample_every


def run(state: State, until: int) -> int:
    """Let events happen that are due before `until`; returns the time of the next one, -1 when packets run out."""
    return int(_loop(table(state), np.int64(until)))


@njit(cache=True, _nrt=False)
def _loop(words, until):  # type: ignore[no-untyped-def]
    s = handle(words.ctypes.data)
    t = s.totals[0]
    n_ports, n_flows = s.ports.size, s.flows.size
    while True:
        if t.pool - t.in_network < SPARE:
            return -1
        first = s.events[0, 1] if t.events > 0 else NEVER
        other = s.timers[0, 1] if t.timers > 0 else NEVER
        now = min(first, other)
        if now >= until or now == NEVER:
            return now
        while t.sample_every > 0 and t.sample_due <= now and t.open_flows > 0:
            _sample(s, now)
        t.now = now
        if first <= other:
            item = s.events[0, 0]
            if item >= n_ports:
                _end_of_pipe(s, item - n_ports, now)
            else:
                try_send(s, item, now)
                at = s.events[item, 2]
                if at >= 0 and s.events[at, 1] <= now:  # nothing to send
                    t.events = take(s.events, t.events, item)
        else:
            item = s.timers[0, 0]
            if item >= n_flows:
                _credit(s, item - n_flows, now)
            else:
                _flow_wakes(s, item, now)
