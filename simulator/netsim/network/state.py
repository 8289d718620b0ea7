"""The arrays of a running fluid network: one table per noun, so that a kernel takes a handful of arguments.

Rows are records (numpy structured dtypes), because a kernel that visits a flow wants its level, weight and bytes from
one cache line. A finite rate cap is a private link of the flow behind the links of the caller, so kernels know one
kind of constraint only. An infinite capacity becomes 1e300 bytes/s, which needs no special case.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from netsim.maxmin import check_capacity
from netsim.network.flows import FlowTable

UNBOUNDED = 1e300

#: what a link is doing in the solve under way: REOPENED means that the flows it bounded rise again
QUIET, TOUCHED, REOPENED, FULL = 0, 1, 2, 3

# What a solve visits is kept apart from what only starts and ends need: a solve is bound by memory.
FLOW = np.dtype(
    [("since", "f8"), ("weight", "f8"), ("slot", "i4"), ("batch", "i4")]
)  # start or end, s; a slot or -1
# bytes at scale 1, bytes/s at cap scale 1 (inf: none), hop[first : next flow's first]
PLAN = np.dtype([("size", "f8"), ("cap", "f8"), ("first", "i8")])
HOP = np.dtype([("part", "f8"), ("link", "i4")])  # part = share x weight
# An active flow in the list of one link. The slots of a flow form a ring; the next one's link and part are repeated
# here, so that a solve needs no look at the next slot of a flow over two links.
SLOT = np.dtype(
    [
        ("part", "f8"),
        ("next_part", "f8"),
        (
            "end",
            "f8",
        ),  # the mark of the owner's progress at which the flow ends; new flows: bytes left / weight
        ("owner", "i4"),  # the link that bounds the flow, -1 for a new one
        ("next_link", "i4"),
        ("hops", "i4"),  # slots in the ring
        ("next", "i4"),
    ]
)
RING = np.dtype([("flow", "i4"), ("prev", "i4")])  # of the same slots
LINK = np.dtype(
    [
        ("capacity", "f8"),
        ("used", "f8"),  # bytes/s taken by flows that are not open
        ("open_weight", "f8"),
        ("level", "f8"),  # the level at which it binds, inf when it does not
        ("open", "i4"),  # open flows on it
        ("state", "i4"),
        ("first", "i4"),  # its slots: slot[first : first + active]
        ("active", "i4"),
    ]
)
# Progress of a link that bounds flows: bytes per unit of weight since some start. All flows it bounds move with it,
# so a new level touches none of them.
PACE = np.dtype(
    [
        ("mark", "f8"),  # progress at `since`
        ("since", "f8"),
        ("old_level", "f8"),  # before the solve under way
        ("old_mark", "f8"),
        ("old_since", "f8"),
        ("first_end", "f8"),  # the smallest `end` among the flows it bounds
    ]
)
# Bytes carried by flows that have ended, closed busy intervals; whether to open every flow on it (new capacity).
TALLY = np.dtype([("bytes", "f8"), ("busy", "f8"), ("busy_since", "f8"), ("forced", "i8")])
BATCH = np.dtype([("scale", "f8"), ("first", "i8"), ("left", "i4"), ("owner", "i4")])

# rows of State.ranks (int32, per link)
FILL_HEAP, FILL_POS, END_HEAP, END_POS, TOUCHED_LIST, STACK, REOPENED_LIST = range(7)
# rows of State.keys (float64, per link)
FILL_KEY, END_KEY = range(2)
# entries of State.counts
N_REOPENED, N_TOUCHED, N_STACK, N_DONE, N_FILL, N_END, N_EVENTS, N_SOLVES, N_VISITS, N_FORCED, PENDING = (
    range(11)
)
# entries of State.clock
LAST = 0  # s, time of the last event; a pending solve belongs to it


class State(NamedTuple):
    """Arrays of one network; every kernel takes it whole."""

    flow: NDArray[Any]  # (n_flows,) FLOW
    plan: NDArray[Any]  # (n_flows + 1,) PLAN; the last row closes `first`
    hop: NDArray[Any]  # (nnz + n_caps,) HOP
    slot: NDArray[Any]  # (nnz + n_caps,) SLOT
    ring: NDArray[Any]  # (nnz + n_caps,) RING
    link: NDArray[Any]  # (n_links + n_caps,) LINK
    pace: NDArray[Any]  # (n_links + n_caps,) PACE
    tally: NDArray[Any]  # (n_links + n_caps,) TALLY
    batch: NDArray[Any]  # (n_batches + 1,) BATCH
    done: NDArray[np.int32]  # (n_batches,) batches that ended, not yet reported
    ranks: NDArray[np.int32]  # (7, n_links + n_caps) heaps and work lists of links
    keys: NDArray[np.float64]  # (2, n_links + n_caps) heap keys
    counts: NDArray[np.int64]
    clock: NDArray[np.float64]


@njit(cache=True)
def _lay_out(table, cap, flow, plan, hop, link, batch):  # type: ignore[no-untyped-def]
    link_ptr, link_ids, link_share, batch_ptr, size, rate_cap, weight = table
    at = 0
    private = cap.size
    for c in range(cap.size):
        link[c].capacity = min(cap[c], UNBOUNDED)
    for f in range(size.size):
        plan[f].first = at
        plan[f].size = size[f]
        plan[f].cap = rate_cap[f]
        flow[f].weight = weight[f]
        flow[f].slot = -1
        for k in range(link_ptr[f], link_ptr[f + 1]):
            hop[at].link = link_ids[k]
            hop[at].part = link_share[k] * weight[f]
            link[link_ids[k]].first += 1
            at += 1
        if rate_cap[f] < np.inf:
            hop[at].link = private
            hop[at].part = weight[f]
            link[private].capacity = rate_cap[f]
            link[private].first = 1
            private += 1
            at += 1
    plan[size.size].first = at
    at = 0
    for c in range(link.size):
        at += link[c].first
        link[c].first = at - link[c].first
        link[c].level = np.inf
    for b in range(batch_ptr.size):
        batch[b].first = batch_ptr[b]
        batch[b].owner = -1
        if b > 0:
            for f in range(batch_ptr[b - 1], batch_ptr[b]):
                flow[f].batch = b - 1


def make_state(capacity: NDArray[np.float64], table: FlowTable) -> State:
    """An idle network of `capacity` (n_links,) bytes/s with `table` registered.

    Raises
    ------
    ValueError
        when a capacity is negative or NaN, or a flow crosses a link that does not exist.
    """
    cap = np.array(capacity, np.float64)
    check_capacity(cap)
    if table.link_ids.size and table.link_ids.max() >= cap.size:
        raise ValueError(f"link id {table.link_ids.max()} in the table, but there are {cap.size} links")
    n_caps = int(np.count_nonzero(table.rate_cap < np.inf))
    nnz, n_links = table.link_ids.size + n_caps, cap.size + n_caps
    if nnz >= 2**31:
        raise ValueError(f"{nnz} incidences, the limit is {2**31 - 1}: fold the table or split it")
    flow, plan = np.zeros(table.n_flows, FLOW), np.zeros(table.n_flows + 1, PLAN)
    hop, link, batch = np.zeros(nnz, HOP), np.zeros(n_links, LINK), np.zeros(table.n_batches + 1, BATCH)
    arrays = (table.link_ptr, table.link_ids, table.link_share, table.batch_ptr)
    _lay_out((*arrays, table.size_bytes, table.rate_cap, table.weight), cap, flow, plan, hop, link, batch)
    ranks = np.zeros((7, n_links), np.int32)
    ranks[FILL_POS] = ranks[END_POS] = -1
    return State(
        flow=flow,
        plan=plan,
        hop=hop,
        slot=np.zeros(nnz, SLOT),
        ring=np.zeros(nnz, RING),
        link=link,
        pace=np.zeros(n_links, PACE),
        tally=np.zeros(n_links, TALLY),
        batch=batch,
        done=np.zeros(table.n_batches, np.int32),
        ranks=ranks,
        keys=np.zeros((2, n_links)),
        counts=np.zeros(11, np.int64),
        clock=np.full(1, -np.inf),
    )
