"""The arrays of a running fluid network: one table per noun, so that a kernel takes a handful of arguments.

What a solve streams over (owner and part of every slot, level of every link) are columns; what it meets at random
(a flow, a link, the hops of a flow) are records of at most a cache line. A finite rate cap is a private link of the
flow behind the links of the caller, so kernels know one kind of constraint only. An infinite capacity becomes 1e300
bytes/s, which needs no special case.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit
from netsim.network.domination import dominated_last, find_dominators
from netsim.network.flows import FlowTable, column
from netsim.network.maxmin import check_capacity

UNBOUNDED = 1e300

FLOW = np.dtype(
    [
        ("since", "f8"),  # start or end, s
        ("weight", "f8"),
        # The mark of the owner's progress at which the flow ends; of a flow without owner, bytes left / weight.
        ("end", "f8"),
        ("batch", "i4"),
        ("active", "i4"),
    ]
)
# bytes at a unit of one byte, bytes/s at a kernel rate of one (inf: none), hop[first : next flow's first], of
# which those from `live` on
# are over dominated links (`netsim.network.domination`) and count for tallies only
PLAN = np.dtype([("size", "f8"), ("cap", "f8"), ("first", "i8"), ("live", "i8")])
# of the flow in a slot: hop[first : first + hops]; `hop` is the one over this link
# `one`, `two`: the other links of a path of at most three, all crossed with the same part; -1: none, -2: a longer path
PATH = np.dtype(
    [("flow", "i4"), ("first", "i4"), ("hops", "i4"), ("hop", "i4"), ("one", "i4"), ("two", "i4")]
)
LONG = -2  # `PATH.one` of a path whose other links are not in the slot
LINK = np.dtype(
    [
        ("capacity", "f8"),
        ("used", "f8"),  # bytes/s taken by the flows that other links own
        ("weight", "f8"),  # sum of parts of its own flows and of those that no link owns yet
        ("own", "i4"),  # its own flows: slots first up to first + own
        ("new", "i4"),  # flows that no link owns yet
        ("first", "i4"),  # its slots: first up to first + active
        ("active", "i4"),  # of a dominated link a mere count: it has no slots
        ("queued", "i4"),  # the next solve looks at it
        ("touched", "i4"),  # in the list of links whose first end is to be found again
    ]
)
# Progress of a link that owns flows: bytes per unit of weight since some start. All flows it owns move with it, so a
# new level touches none of them.
PACE = np.dtype(
    [
        ("mark", "f8"),  # progress at `since`
        ("since", "f8"),
        ("first_end", "f8"),  # the smallest `end` among the flows it owns
        ("stale", "i8"),  # the flow of `first_end` may have gone
    ]
)
TALLY = np.dtype(
    [("bytes", "f8"), ("busy", "f8"), ("busy_since", "f8")]
)  # bytes of ended flows, closed busy intervals
BATCH = np.dtype([("unit_bytes", "f8"), ("first", "i8"), ("left", "i4"), ("owner", "i4")])

# rows of State.ranks (int32, per link)
QUEUE_HEAP, QUEUE_POS, END_HEAP, END_POS, TOUCHED_LIST = range(5)
# rows of State.keys (float64, per link)
QUEUE_KEY, END_KEY = range(2)
# entries of State.counts
N_TOUCHED, N_DONE, N_QUEUE, N_END, N_EVENTS, N_SOLVES, N_VISITS, N_LOOKS, TURN = range(9)
# entries of State.clock
LAST = 0  # s, time of the last event; a pending solve belongs to it


class State(NamedTuple):
    """Arrays of one network; every kernel takes it whole."""

    flow: NDArray[Any]  # (n_flows,) FLOW
    plan: NDArray[Any]  # (n_flows + 1,) PLAN; the last row closes `first`
    hop_link: NDArray[np.int32]  # (nnz + n_caps,)
    hop_part: NDArray[np.float64]  # share x weight
    hop_at: NDArray[np.int32]  # its slot, while the flow is active
    # The active flows of each link, one slot each: its own at the front of its range, then the others.
    slot_owner: NDArray[np.int32]  # (nnz + n_caps,) link that bounds the flow; n_links + n_caps: none yet
    slot_part: NDArray[np.float64]
    slot_path: NDArray[Any]  # (nnz + n_caps,) PATH
    link: NDArray[Any]  # (n_links + n_caps,) LINK
    level: NDArray[
        np.float64
    ]  # (n_links + n_caps + 1,) of a link that owns flows; inf of others, and of "none"
    pace: NDArray[Any]  # (n_links + n_caps,) PACE
    tally: NDArray[Any]  # (n_links + n_caps,) TALLY
    batch: NDArray[Any]  # (n_batches + 1,) BATCH
    dominator: NDArray[np.int32]  # (n_links,) the link that holds for it, or -1
    done: NDArray[np.int32]  # (n_batches,) batches that ended, not yet reported
    ranks: NDArray[np.int32]  # (5, n_links + n_caps) heaps and work lists of links
    keys: NDArray[np.float64]  # (2, n_links + n_caps) heap keys
    counts: NDArray[np.int64]
    clock: NDArray[np.float64]


@njit(cache=True)
def _lay_out(table, cap, flow, plan, hop_link, hop_part, link, batch):  # type: ignore[no-untyped-def]
    """Fill the static columns; a link that a flow crosses twice is one hop with both parts."""
    link_ptr, link_ids, batch_ptr, shares, sizes, caps, weights = table
    n_flows = link_ptr.size - 1
    at = 0
    private = cap.size
    met = np.full(cap.size, -1, np.int64)  # the last hop over each link
    for c in range(cap.size):
        link[c].capacity = min(cap[c], UNBOUNDED)
    for f in range(n_flows):
        weight, rate_cap = weights.values[f * weights.step], caps.values[f * caps.step]
        plan[f].first = at
        plan[f].size = sizes.values[f * sizes.step]
        plan[f].cap = rate_cap
        flow[f].weight = weight
        for k in range(link_ptr[f], link_ptr[f + 1]):
            c = link_ids[k]
            if met[c] >= plan[f].first:
                hop_part[met[c]] += shares.values[k * shares.step] * weight
                continue
            met[c] = at
            hop_link[at] = c
            hop_part[at] = shares.values[k * shares.step] * weight
            link[c].first += 1
            at += 1
        if rate_cap < np.inf:
            hop_link[at] = private
            hop_part[at] = weight
            link[private].capacity = rate_cap
            link[private].first = 1
            private += 1
            at += 1
    plan[n_flows].first = at
    at = 0
    for c in range(link.size):
        at += link[c].first
        link[c].first = at - link[c].first
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
    caps = column(table.rate_cap)
    n_caps = int(np.count_nonzero(caps.values < np.inf)) * (1 if caps.step else table.n_flows)
    nnz, n_links = table.link_ids.size + n_caps, cap.size + n_caps
    if nnz >= 2**31:
        raise ValueError(f"{nnz} incidences, the limit is {2**31 - 1}: fold the table or split it")
    flow, plan = np.zeros(table.n_flows, FLOW), np.zeros(table.n_flows + 1, PLAN)
    link, batch = np.zeros(n_links, LINK), np.zeros(table.n_batches + 1, BATCH)
    hop_link, hop_part = np.zeros(nnz, np.int32), np.zeros(nnz)
    numbers = (column(table.link_share), column(table.unit_share), caps, column(table.weight))
    _lay_out(
        (table.link_ptr, table.link_ids, table.batch_ptr, *numbers),
        cap,
        flow,
        plan,
        hop_link,
        hop_part,
        link,
        batch,
    )
    dominator = find_dominators(plan, hop_link, hop_part, link["capacity"][: cap.size].copy())
    dominated_last(plan, hop_link, hop_part, dominator)
    ranks = np.zeros((5, n_links), np.int32)
    ranks[QUEUE_POS] = ranks[END_POS] = -1
    return State(
        flow=flow,
        plan=plan,
        hop_link=hop_link,
        hop_part=hop_part,
        hop_at=np.zeros(nnz, np.int32),
        slot_owner=np.zeros(nnz, np.int32),
        slot_part=np.zeros(nnz),
        slot_path=np.zeros(nnz, PATH),
        link=link,
        level=np.full(n_links + 1, np.inf),
        pace=np.zeros(n_links, PACE),
        tally=np.zeros(n_links, TALLY),
        batch=batch,
        dominator=dominator,
        done=np.zeros(table.n_batches, np.int32),
        ranks=ranks,
        keys=np.zeros((2, n_links)),
        counts=np.zeros(9, np.int64),
        clock=np.full(1, -np.inf),
    )
