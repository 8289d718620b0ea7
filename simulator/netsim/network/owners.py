"""Which link bounds a flow, and how far it is: flows pass from one link to another with what is left of them.

A flow that is active holds one slot in the list of each link it crosses: a link's own flows stand in front, then those
that others own. All flows of one owner move with it, so their progress is kept once, with the link (`keep_pace`).
"""

import numpy as np

from netsim.kernels import njit
from netsim.network.state import LONG
from netsim.network.worklist import enqueue_by_level, tell, touch


@njit(cache=True, _nrt=False, forceinline=True)
def keep_pace(s, c, now):  # type: ignore[no-untyped-def]
    """Bring the progress of link c to `now`, before its level or its flows change."""
    pace = s.pace[c]
    level = s.level[c]
    if level == np.inf:
        pace.mark = 0.0
        pace.first_end = np.inf
        pace.stale = 0
    elif pace.since < now:
        pace.mark += level * (now - pace.since)
    pace.since = now
    touch(s, c)


@njit(cache=True, _nrt=False, forceinline=True)
def swap(s, i, j):  # type: ignore[no-untyped-def]
    """Exchange two slots of one link."""
    if i == j:
        return
    a, b = s.slot_path[i], s.slot_path[j]
    s.hop_at[a.hop], s.hop_at[b.hop] = j, i
    a.flow, b.flow = b.flow, a.flow
    a.first, b.first = b.first, a.first
    a.hops, b.hops = b.hops, a.hops
    a.hop, b.hop = b.hop, a.hop
    a.one, b.one = b.one, a.one
    a.two, b.two = b.two, a.two
    s.slot_part[i], s.slot_part[j] = s.slot_part[j], s.slot_part[i]
    s.slot_owner[i], s.slot_owner[j] = s.slot_owner[j], s.slot_owner[i]


@njit(cache=True, _nrt=False, forceinline=True)
def change_owner(s, f, old, before, new, now):  # type: ignore[no-untyped-def]
    """Flow f passes from link `old`, which had level `before`, to link `new`, with what is left of it."""
    flow = s.flow[f]
    none = s.link.size
    left = flow.end
    keep_pace(s, new, now)
    if old != none:
        keep_pace(s, old, now)
        left -= s.pace[old].mark
        if flow.end <= s.pace[old].first_end:
            s.pace[old].stale = 1
    flow.end = s.pace[new].mark + max(left, 0.0)
    s.pace[new].first_end = min(s.pace[new].first_end, flow.end)
    after = s.level[new]
    for h in range(s.plan[f].first, s.plan[f].live):
        q = s.hop_link[h]
        part = s.hop_part[h]
        link = s.link[q]
        s.slot_owner[s.hop_at[h]] = new
        if old == none:
            link.new -= 1
            link.weight -= part
        elif q == old:
            link.own -= 1
            link.weight -= part
            swap(s, s.hop_at[h], link.first + link.own)
        else:
            link.used -= part * before
        if q == new:
            swap(s, s.hop_at[h], link.first + link.own)
            link.own += 1
            link.weight += part
        else:
            link.used += part * after


@njit(cache=True, _nrt=False, forceinline=True)
def lowest_other(s, path, c, level):  # type: ignore[no-untyped-def]
    """The link of least level below `level` on a path, or c."""
    if path.one > LONG:
        if path.one >= 0 and s.level[path.one] < level:
            level = s.level[path.one]
            c = path.one
        if path.two >= 0 and s.level[path.two] < level:
            c = path.two
        return c
    for h in range(path.first, path.first + path.hops):
        q = s.hop_link[h]
        if s.level[q] < level and q != c:
            level = s.level[q]
            c = q
    return c


@njit(cache=True, _nrt=False)
def pass_on(s, path, c, old, before, new, now):  # type: ignore[no-untyped-def]
    """`change_owner` while link c is looked at, and whom it concerns is told."""
    first, hops = path.first, path.hops
    change_owner(s, path.flow, old, before, new, now)
    for h in range(first, first + hops):
        q = s.hop_link[h]
        if q == c:
            continue
        if q in (old, new) and s.link[q].queued == 0:
            enqueue_by_level(s, q)
        else:
            tell(s, q)
