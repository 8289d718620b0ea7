"""What flows under way have carried so far, and how they go on in another network from there."""

from netsim.kernels import njit
from netsim.network.events import join_links, move_clock
from netsim.network.filling import solve
from netsim.network.state import LAST, N_DONE, N_EVENTS, N_LOOKS, N_SOLVES, N_VISITS


@njit(cache=True, _nrt=False)
def add_progress(s, total, rates):  # type: ignore[no-untyped-def]
    """After a solve: add what active flows have carried to `total` (n_links,), put rates into `rates` (n_flows,)."""
    for f in range(s.flow.size):
        flow = s.flow[f]
        if flow.active == 0:
            continue
        first, end = s.plan[f].first, s.plan[f + 1].first
        owner = s.slot_owner[s.hop_at[first]]
        pace = s.pace[owner]
        rates[f] = s.level[owner] * flow.weight
        left = flow.end - pace.mark - s.level[owner] * (s.clock[LAST] - pace.since)
        sent = s.plan[f].size * s.batch[flow.batch].unit_bytes / flow.weight - max(left, 0.0)
        for h in range(first, end):
            if s.hop_link[h] < total.size:
                total[s.hop_link[h]] += s.hop_part[h] * sent


@njit(cache=True, _nrt=False)
def hand_over(old, new, now, n_links):  # type: ignore[no-untyped-def]
    """What runs in `old` at `now` goes on in `new`, idle so far, over other links; bytes already sent are kept.

    Both register the same flows in the same batches. Bytes and busy times of links go on being counted: a flow that
    ends is credited with all its bytes, so what it has sent before is taken off its new links in advance.
    """
    move_clock(old, now)
    solve(old)
    new.clock[LAST] = now
    for i in (N_EVENTS, N_SOLVES, N_VISITS, N_LOOKS):
        new.counts[i] = old.counts[i]
    new.counts[N_DONE] = old.counts[N_DONE]
    for b in range(old.done.size):
        new.done[b] = old.done[b]
    for b in range(old.batch.size):
        new.batch[b].unit_bytes = old.batch[b].unit_bytes
        new.batch[b].left = old.batch[b].left
        new.batch[b].owner = old.batch[b].owner
    for c in range(old.link.size):
        new.tally[c].bytes = old.tally[c].bytes
        new.tally[c].busy = old.tally[c].busy
        if old.link[c].active > 0:
            new.tally[c].busy += now - old.tally[c].busy_since
        if c >= n_links:  # the cap of a flow
            new.link[c].capacity = old.link[c].capacity
    for f in range(old.flow.size):
        flow = old.flow[f]
        new.flow[f].since = flow.since
        if flow.active == 0:
            continue
        owner = old.slot_owner[old.hop_at[old.plan[f].first]]
        pace = old.pace[owner]
        left = max(flow.end - pace.mark - old.level[owner] * (now - pace.since), 0.0)
        sent = old.plan[f].size * old.batch[flow.batch].unit_bytes / flow.weight - left
        for h in range(old.plan[f].first, old.plan[f + 1].first):
            new.tally[old.hop_link[h]].bytes += old.hop_part[h] * sent
        for h in range(new.plan[f].first, new.plan[f + 1].first):
            new.tally[new.hop_link[h]].bytes -= new.hop_part[h] * sent
        new.flow[f].end = left
        join_links(new, f, now)
