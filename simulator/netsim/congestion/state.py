"""Everything that a packet simulation keeps, as flat arrays of records: what each field is and its unit.

Times are whole picoseconds, so that equal inputs give equal bits on every machine; sizes are bytes. A record is one row
of a structured array: the fields that an event touches lie side by side in memory. Links, ports and queues are one
thing: link l has a queue at its tail (`QUEUE`, three classes a link), a transmitter, and a pipe behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netsim.congestion.rule_row import RULES as RULES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Records: TypeAlias = NDArray[np.void]

#: picoseconds of a second
PS = 1e12
#: classes of a port, the first served first: control, and two priorities of data
CLASSES = 3
#: no event
NEVER = np.int64(2**62)

# kinds of packets; numpy's numbers, because numba compiles a function for each value of one of Python's
DATA, ACK, NACK, CREDIT, CNP, PAUSE, RESUME, HEADER = (np.int64(n) for n in range(8))
# laws of a sender
STATIC, CREDITS, DCQCN, HPCC, NSCC = (np.int64(n) for n in range(5))
# how the path of a packet is chosen
ECMP, ENTROPY, SPRAY, ADAPTIVE, FLOWLET = range(5)
# what a full queue does with a packet
LOSSLESS, TRIM, DROP = range(3)
# marks of a packet of a flow, in `State.marks`
GOT, LOST, AGAIN, STILL = 1, 2, 4, 8

#: a link: its transmitter, its pipe, and what was seen of its queue
PORT = np.dtype(
    [
        # what every packet touches
        ("busy_until", "i8"),
        ("ps_per_byte", "f8"),
        ("delay", "i8"),  # pipe, ps
        ("queued", "i8"),  # bytes that wait, all classes
        ("pipe_head", "i4"),
        ("pipe_tail", "i4"),
        ("waiting", "i4"),  # packets that wait
        ("ring", "i4"),  # flows that start here, -1 for none
        ("source", "i4"),  # switch that it leaves, -1 for a host
        ("target", "i4"),  # switch that it enters, -1 for a host
        ("up", "i1"),
        ("known", "i1"),  # whether its users still take it for good
        ("turn", "i1"),  # whether the ring or the queue sends next
        (
            "host_kind",
            "i1",
        ),  # 1 scale-up out, 2 scale-up in, 3 into the fabric, 4 out of it, 0 between switches
        ("reverse", "i4"),
        ("since", "i8"),  # last change of `waiting`
        ("area", "f8"),  # packet-seconds x 1e12
        ("wait", "f8"),  # sum of the waits of the packets, ps
        ("most", "i8"),  # most bytes that waited
        ("packets", "i8"),  # sent
        ("bytes", "i8"),
        # what few do
        ("marks", "i8"),
        ("trims", "i8"),
        ("drops", "i8"),
        ("paused_since", "i8"),
        ("paused", "i8"),  # ps in which a class was paused
        ("pauses", "i8"),
        ("seen_at", "i8"),  # telemetry: start of the window, bytes sent in it, utilisation of the last one
        ("seen_bytes", "i8"),
        ("utilisation", "f8"),
    ],
    align=True,
)

#: one class of a link: packets that wait at its tail, and what it holds in the buffer at its head
QUEUE = np.dtype(
    [
        ("head", "i4"),
        ("tail", "i4"),
        ("bytes", "i8"),
        ("held", "i8"),  # bytes that came by this link and wait in the switch behind it
        ("stopped", "i1"),  # paused by the switch behind it
        ("stopping", "i1"),  # the switch behind it has sent a pause
    ],
    align=True,
)

#: a packet; `next` chains queues, pipes and the free list
PACKET = np.dtype(
    [
        ("next", "i4"),
        ("flow", "i4"),
        ("seq", "i4"),
        ("size", "i4"),
        ("came_by", "i4"),
        ("hop", "i4"),
        ("entropy", "i4"),
        ("kind", "i1"),
        ("cls", "i1"),
        ("ecn", "i1"),
        ("plane", "i1"),
        ("sent", "i8"),
        ("since", "i8"),  # joined the queue
        ("due", "i8"),  # leaves the pipe
        ("whole", "i8"),  # last bit has left the pipe
        ("value", "i8"),
        ("utilisation", "f4"),
    ],
    align=True,
)

#: a message from one GPU to another: sender, receiver, and the state of the sender's law (a, b, c, d; t0, t1, n0, n1)
FLOW = np.dtype(
    [
        ("size", "i8"),
        ("start", "i8"),
        ("finish", "i8"),
        ("packets", "i4"),
        ("first", "i8"),  # its first packet in `marks`
        ("source_nic", "i4"),
        ("target_nic", "i4"),
        ("origin", "i4"),  # scale-up link that it starts on, -1 for none
        ("inside", "i4"),  # scale-up link into the GPU that forwards or receives, -1 for none
        ("path", "i8"),  # fixed path: first link in `paths`, -1 when switches choose
        ("hops", "i4"),
        ("ring", "i4"),
        ("ring_next", "i4"),
        ("pull_next", "i4"),
        ("in_ring", "i1"),
        ("in_pull", "i1"),
        ("cls", "i1"),
        ("law", "i1"),
        ("started", "i1"),
        ("next_seq", "i4"),
        ("lost", "i4"),  # packets to send again
        ("lost_from", "i4"),
        ("sent_bytes", "i8"),
        ("known_bytes", "i8"),  # that the receiver has told to have come
        ("gone", "i8"),  # that the sender takes for lost
        ("resent", "i8"),
        ("window", "f8"),  # bytes
        ("rate", "f8"),  # bytes/ps; 0: not paced
        ("line", "f8"),  # bytes/ps of its NIC
        ("next_send", "i8"),
        ("progress", "i8"),
        ("timeout", "i8"),
        ("floor", "i4"),  # packets before it have all come
        ("sent_before", "i4"),  # packets sent by the tick before the last, by the last
        ("sent_since", "i4"),
        ("rtt", "i8"),  # idle, one full packet out and an acknowledgement back
        ("entropy", "i4"),
        ("last_sent", "i8"),
        ("unasked", "i8"),  # bytes that it may send without credit
        ("granted", "i8"),  # credit that the receiver has given / that the sender knows of / has used
        ("known_grant", "i8"),
        ("used", "i8"),
        ("wanted", "i8"),  # credit that the sender will ever need / that the receiver knows of
        ("known_want", "i8"),
        ("received", "i4"),  # different packets
        ("received_bytes", "i8"),  # with copies and trimmed ones
        ("expected", "i4"),
        ("asked", "i4"),  # of which a go-back was asked for
        ("unacked", "i4"),
        ("echo", "i1"),  # congestion seen since the last acknowledgement
        ("last_cnp", "i8"),
        ("cnps", "i8"),
        ("marked", "i8"),
        ("answers", "i4"),
        ("a", "f8"),
        ("b", "f8"),
        ("c", "f8"),
        ("d", "f8"),
        ("t0", "i8"),
        ("t1", "i8"),
        ("n0", "i8"),
        ("n1", "i8"),
        ("n2", "i8"),
    ],
    align=True,
)

#: a switch: its shared buffer
SWITCH = np.dtype([("used", "i8"), ("most", "i8"), ("turn", "i8")])
#: flows that are ready to send on the ports first, first + 1, ...
RING = np.dtype([("head", "i4"), ("tail", "i4"), ("first", "i4"), ("ports", "i4")])
#: a receiving NIC that paces credit: flows that want some
PULLER = np.dtype([("head", "i4"), ("tail", "i4"), ("ps_per_byte", "f8"), ("free_at", "i8")])

#: one row: counters and the state of the generator
TOTALS = np.dtype(
    [
        ("now", "i8"),
        ("events", "i8"),
        ("timers", "i8"),
        ("free", "i4"),
        ("pool", "i4"),
        ("random", "u8"),
        ("open_flows", "i8"),
        ("data_hops", "i8"),
        ("hops", "i8"),
        ("data_packets", "i8"),
        ("in_network", "i8"),
        ("delivered", "i8"),
        ("copies", "i8"),
        ("dropped", "i8"),
        ("trimmed", "i8"),
        ("sample", "i8"),
        ("sample_every", "i8"),
        ("sample_due", "i8"),
    ],
    align=True,
)


class State(NamedTuple):
    """All of it, for the kernel.

    ports : (n_links,); queues : (CLASSES * n_links,); packets : (pool,); flows : (n_flows,); switches, rings, pullers
    events, timers : (n, 3) heaps of ports and pipes, of flows and pullers: item, time, and the place of item i
    hops : (n_switches * n_switches + 1,) first of the links from one switch towards another, `links` : those
    paths : links of fixed paths; marks : a byte a packet of a flow; nic : first link into the fabric, first out of
    it, ports a NIC, switches; samples : (n, n_links + 1) bytes that wait, and packets that have come; totals, rules :
    one row
    """

    ports: Records
    queues: Records
    packets: Records
    flows: Records
    switches: Records
    rings: Records
    pullers: Records
    events: Ints
    timers: Ints
    hops: Ints
    links: NDArray[np.int32]
    paths: NDArray[np.int32]
    marks: NDArray[np.uint8]
    nic: Ints
    samples: NDArray[np.float32]
    totals: Records
    rules: Records


#: how each array of `State` is laid out: type and dimensions
LAYOUT: dict[str, tuple[np.dtype[Any], int]] = {
    "ports": (PORT, 1),
    "queues": (QUEUE, 1),
    "packets": (PACKET, 1),
    "flows": (FLOW, 1),
    "switches": (SWITCH, 1),
    "rings": (RING, 1),
    "pullers": (PULLER, 1),
    "events": (np.dtype(np.int64), 2),
    "timers": (np.dtype(np.int64), 2),
    "hops": (np.dtype(np.int64), 1),
    "links": (np.dtype(np.int32), 1),
    "paths": (np.dtype(np.int32), 1),
    "marks": (np.dtype(np.uint8), 1),
    "nic": (np.dtype(np.int64), 1),
    "samples": (np.dtype(np.float32), 2),
    "totals": (TOTALS, 1),
    "rules": (RULES, 1),
}
