"""A small packet model, to show where the fluid limit holds and where it does not.

Two parts compose every network: a queue is a rate, a pipe is a delay. A link is a first-in first-out queue of unlimited
depth (lossless) served at its capacity, then a pipe. A flow keeps at most `window` packets between its source and the
acknowledgement of their arrival, which takes the pipes back but no capacity.

Use it for up to a few hundred ranks. Large messages approach the fluid times as packets get small beside messages
(all-to-all, incast, permutation); messages of one packet do not, because latency and store-and-forward rule them, and
the fluid network knows no queue at all (bursts). Left out: loss, pause frames, priorities, congestion control other
than the window, and sharing of a path over several links (every share must be 1).

Source: queue and pipe as in htsim (Raiciu et al., SIGCOMM 2011).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from netsim.maxmin import heap_remove, heap_set
from netsim.network.flows import FlowTable

#: hop of a packet whose acknowledgement is on its way back
ACK = -1


@dataclass(frozen=True)
class PacketRun:
    """What a packet simulation saw.

    Parameters
    ----------
    finish_s : (n_flows,) arrival of the last packet
    queue_bytes : (n_links,) largest backlog that a packet met or made, its own bytes included
    packets : packets sent in total
    """

    finish_s: NDArray[np.float64]
    queue_bytes: NDArray[np.float64]
    packets: int


def simulate_packets(
    capacity: NDArray[np.float64],
    delay_s: ArrayLike,
    table: FlowTable,
    packet_bytes: float = 4096.0,
    window: int = 16,
    start_s: ArrayLike = 0.0,
) -> PacketRun:
    """Send every flow of `table` as packets over its links in order.

    Parameters
    ----------
    capacity : (n_links,) bytes/s, positive
    delay_s : (n_links,) or one for all, the pipe behind each link
    table : flows; weights and caps are ignored, every share must be 1
    packet_bytes : the last packet of a flow carries the rest
    window : packets of a flow under way at once
    start_s : (n_batches,) or one for all

    Raises
    ------
    ValueError
        when a share is not 1, a capacity is not positive, or packet size or window are not positive.

    Examples
    --------
    One packet of 100 bytes over two links of 10 bytes/s with 1 s of pipe each: 10 + 1 + 10 + 1 s.

    >>> table = FlowTable.from_batches([([[0, 1]], 100.0)])
    >>> simulate_packets(np.array([10.0, 10.0]), 1.0, table).finish_s.tolist()
    [22.0]
    """
    rate = np.array(capacity, np.float64)
    if not (rate > 0).all():
        raise ValueError("the packet model needs positive capacities on every link")
    if (table.link_share != 1.0).any():
        raise ValueError("the packet model needs one path per flow: every share must be 1")
    if not packet_bytes > 0 or window < 1:
        raise ValueError(f"packet_bytes = {packet_bytes}, window = {window}: both must be positive")
    delay = np.array(np.broadcast_to(np.asarray(delay_s, np.float64), rate.shape))
    begin = np.repeat(
        np.broadcast_to(np.asarray(start_s, np.float64), (table.n_batches,)), np.diff(table.batch_ptr)
    )
    size = np.ascontiguousarray(table.size_bytes)
    finish, queue, packets = _run(
        rate, delay, table.link_ptr, table.link_ids, size, begin, float(packet_bytes), int(window)
    )
    return PacketRun(finish, queue, int(packets))


@njit(cache=True)
def _run(rate, delay, link_ptr, link_ids, size, begin, packet_bytes, window):  # type: ignore[no-untyped-def]
    """Events in order of time: a packet reaches a queue, or its destination, or its acknowledgement the source."""
    n_flows = size.size
    unsent, unreceived, finish = size.copy(), size.copy(), begin.copy()
    free_at, backlog = np.zeros(rate.size), np.zeros(rate.size)
    back = np.zeros(n_flows)
    first = np.zeros(n_flows + 1, np.int64)
    for f in range(n_flows):
        first[f + 1] = first[f] + min(window, int(np.ceil(size[f] / packet_bytes)))
        for k in range(link_ptr[f], link_ptr[f + 1]):
            back[f] += delay[link_ids[k]]
    n = first[n_flows]
    flow, hop, load = np.zeros(n, np.int64), np.full(n, ACK, np.int64), np.zeros(n)
    heap, pos, key = np.zeros(n, np.int64), np.full(n, -1, np.int64), np.zeros(n)
    events = 0
    # ties at one instant are served in the order of the heap: deterministic, in turn
    for turn in range(window):
        for f in range(n_flows):
            if first[f] + turn < first[f + 1]:
                flow[first[f] + turn] = f
                events = heap_set(heap, pos, key, events, first[f] + turn, begin[f])
    packets = 0
    while events > 0:
        p, now = heap[0], key[0]
        f = flow[p]
        if hop[p] == ACK:
            load[p] = min(packet_bytes, unsent[f])
            if load[p] <= 0.0:
                events = heap_remove(heap, pos, key, events, p)
                continue
            unsent[f] -= load[p]
            hop[p] = link_ptr[f]
            packets += 1
        if hop[p] == link_ptr[f + 1]:
            unreceived[f] -= load[p]
            finish[f] = now
            hop[p] = ACK
            events = heap_set(heap, pos, key, events, p, now + back[f])
            continue
        link = link_ids[hop[p]]
        free_at[link] = max(free_at[link], now) + load[p] / rate[link]
        backlog[link] = max(backlog[link], (free_at[link] - now) * rate[link])
        hop[p] += 1
        events = heap_set(heap, pos, key, events, p, free_at[link] + delay[link])
    return finish, backlog, packets
