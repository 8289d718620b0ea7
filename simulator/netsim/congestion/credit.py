"""Credit from the receiver (NDP- and EQDS-like): nobody sends what the receiver has not asked for.

A sender may send `initial` bytes unasked. Every data packet (or its header, when a switch has trimmed it) says how much
credit the flow will ever want; the receiver adds what was trimmed. Each receiving NIC has a pacer that gives one packet
of credit at a time to the flows that want some, in turn:

    interval = pull_rate x (packet + pull_overhead) / rate of the NIC's ports that are up

so what arrives fits its link, whoever sends. Credit is a running total: a lost credit packet is made good by the next.
A trimmed packet is told to the sender (NACK) and comes again on new credit. After a time-out the sender takes what has
not come for lost and sends the first of it unasked.

Defaults: pull_rate 0.99 and 38 bytes a packet for what a frame costs on the wire; initial 50 packets, queues of 35
packets, an acknowledgement every 16 KiB (EQDS in htsim); NDP has queues of 8 packets and acknowledges each.
Left out: priority pulling, idle pullers, and the over-subscription signal of EQDS.
Source: Handley et al., NDP, SIGCOMM 2017; Olteanu et al., EQDS, NSDI 2022; htsim, main_eqds.cpp and eqds.cpp.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.heap import put
from netsim.congestion.jit import part


@part
def want(s, i, now):  # type: ignore[no-untyped-def]
    """Flow i joins the line of its receiver, if it wants more than it was given."""
    f = s.flows[i]
    if f.in_pull == 1 or f.granted >= f.known_want:
        return
    puller = s.pullers[f.target_nic]
    f.in_pull, f.pull_next = 1, -1
    if puller.head < 0:
        puller.head = i
    else:
        s.flows[puller.tail].pull_next = i
    puller.tail = i
    item = s.flows.size + np.int64(f.target_nic)
    if s.timers[item, 2] < 0:
        t = s.totals[0]
        t.timers = put(s.timers, t.timers, item, max(now, puller.free_at))


@part
def grant(s, nic, now):  # type: ignore[no-untyped-def]
    """The flow that gets a packet of credit now; -1 for none. The pacer goes on while somebody wants some."""
    puller, rules, t = s.pullers[nic], s.rules[0], s.totals[0]
    i = np.int64(puller.head)
    if i < 0:
        return i
    f = s.flows[i]
    puller.head = f.pull_next
    if puller.head < 0:
        puller.tail = -1
    f.in_pull = 0
    ports = 0
    for n in range(s.nic[2]):
        ports += s.ports[s.nic[1] + nic * s.nic[2] + n].known
    packet = rules.payload + rules.header
    f.granted += packet
    puller.free_at = now + int(
        rules.pull_rate * (packet + rules.pull_overhead) * puller.ps_per_byte / max(ports, 1)
    )
    want(s, i, now)
    if puller.head >= 0:
        t.timers = put(s.timers, t.timers, s.flows.size + nic, puller.free_at)
    return i
