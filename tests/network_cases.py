"""Random flow tables and the naive event loop that the network tests compare with."""

import numpy as np

from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.maxmin import maxmin_rates


def random_table(rng, n_links, n_batches, plain=False):
    """Batches of 0 to 4 flows over 0 to 4 links; with shares, weights, caps and empty flows unless `plain`."""
    paths = [
        [
            list(rng.choice(n_links, rng.integers(0, min(4, n_links) + 1), replace=False))
            for _ in range(rng.integers(0, 5))
        ]
        for _ in range(n_batches)
    ]
    flat = [path for batch in paths for path in batch]
    ptr = np.concatenate(([0], np.cumsum([len(path) for path in flat]))).astype(np.int64)
    n, nnz = len(flat), int(ptr[-1])
    return FlowTable(
        link_ptr=ptr,
        link_ids=np.array([link for path in flat for link in path], np.int32),
        link_share=np.ones(nnz) if plain else rng.choice([1, 1, 0.5, 0.25, 2], nnz),
        batch_ptr=np.concatenate(([0], np.cumsum([len(batch) for batch in paths]))),
        unit_share=np.ones(n) if plain else rng.choice([0, 1, 2, 3.3, 5], n),
        rate_cap=np.full(n, np.inf)
        if plain
        else np.where(rng.random(n) < 0.3, rng.integers(1, 6, n) / 2, np.inf),
        weight=np.ones(n) if plain else rng.choice([1, 1, 2, 0.5, 3], n),
    )


def random_case(seed):
    """Capacity, table and events ``(time, "start", batch, scale)`` or ``(time, "capacity", link, value)``."""
    rng = np.random.default_rng(seed)
    n_links, n_batches, plain = int(rng.integers(1, 10)), int(rng.integers(1, 15)), seed % 3 == 0
    table = random_table(rng, n_links, n_batches, plain)
    capacity = rng.integers(plain, 5, n_links).astype(float)
    if rng.random() < 0.2:
        capacity[rng.integers(n_links)] = np.inf
    when = rng.integers(0, 6, n_batches) if seed % 2 else rng.random(n_batches) * 5
    events = [(float(t), "start", b, float(rng.choice([1.0, 1.0, 0.5]))) for b, t in enumerate(when)]
    for _ in range(rng.integers(0, 5)):
        change = (int(rng.integers(n_links)), float(rng.integers(plain, 5)))
        events.append((float(rng.integers(0, 8)), "capacity", *change))
    return capacity, table, sorted(events, key=lambda e: e[0])


def _links_of(table, f):
    return slice(table.link_ptr[f], table.link_ptr[f + 1])


def _rates(capacity, table, flows):
    ptr = np.concatenate(([0], np.cumsum([table.link_ptr[f + 1] - table.link_ptr[f] for f in flows])))
    ids = np.concatenate([table.link_ids[_links_of(table, f)] for f in flows])
    share = np.concatenate([table.link_share[_links_of(table, f)] for f in flows])
    return maxmin_rates(capacity, ptr, ids, share, table.weight[flows], table.rate_cap[flows])[0]


def naive_ends(capacity, table, events):
    """``(batch, end time)`` in order of batches: every event solves everything again and visits every flow."""
    capacity, left, waiting, ends, now = capacity.copy(), {}, {}, [], 0.0
    batch_of = np.repeat(np.arange(table.n_batches), np.diff(table.batch_ptr))
    todo = list(events)
    while todo or left:
        flows = sorted(left)
        rate = dict(zip(flows, _rates(capacity, table, flows), strict=True)) if flows else {}
        due = {f: now + left[f] / rate[f] if rate[f] > 0 else np.inf for f in flows}
        at = min([*due.values(), todo[0][0] if todo else np.inf])
        if at == np.inf:
            break
        for f in flows:
            left[f] -= rate[f] * (at - now) if rate[f] < np.inf else left[f]
        for f in flows:
            if due[f] <= at * (1 + 1e-12):
                del left[f]
                waiting[batch_of[f]] -= 1
                if waiting[batch_of[f]] == 0:
                    ends.append((int(batch_of[f]), at))
        now = at
        while todo and todo[0][0] <= now:
            _, kind, which, value = todo.pop(0)
            if kind == "capacity":
                capacity[which] = value
                continue
            if kind == "reroute":
                table = value
                continue
            fresh = {
                f: table.unit_share[f] * value
                for f in range(table.batch_ptr[which], table.batch_ptr[which + 1])
                if table.unit_share[f] * value > 0
                and (table.link_ptr[f] < table.link_ptr[f + 1] or table.rate_cap[f] < np.inf)
            }
            left.update(fresh)
            waiting[which] = len(fresh)
            if not fresh:
                ends.append((which, now))
    return sorted(ends)


def engine_ends(capacity, table, events):
    """The same from the engine, and the network for a closer look."""
    net, ends, todo = FluidNetwork(capacity, table), [], list(events)
    while True:
        now = min(net.next_completion_s(), todo[0][0] if todo else np.inf)
        if now == np.inf:
            return sorted(ends), net
        ends += [(int(b), now) for b in net.advance(now)]
        while todo and todo[0][0] <= now:
            _, kind, which, value = todo.pop(0)
            if kind == "start":
                net.start(now, [which], value)
            elif kind == "reroute":
                net.reroute(now, value)
            else:
                net.set_capacity(now, which, value)
