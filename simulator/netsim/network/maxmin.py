"""Weighted max-min fair rates of flows that share links, from flat arrays.

The model. Flow ``f`` has a weight ``w_f > 0`` and a rate ``x_f = w_f * level_f``; it puts ``share_lf > 0`` bytes on
link ``l`` for each of its own bytes (1 on a plain path, a fraction on each of several sprayed paths). An allocation is
feasible when::

    sum_f share_lf * x_f <= capacity_l      for every link l
    0 <= x_f <= cap_f                       for every flow f

and it is *the* max-min fair one (it exists and is unique) exactly when every flow has a bottleneck::

    x_f = cap_f, or
    f crosses a link l with  sum_g share_lg * x_g = capacity_l  and  level_f >= level_g  for every g on l.

Progressive filling constructs it: all levels rise together from zero; a flow stops when its cap or one of its links is
full. Links fill in the order of ``(capacity_l - used_l) / open weight_l``; that key never falls while flows stop (a
stopped flow takes no more than its part of the link), so a heap with stale keys, corrected when they surface, finds
the order in ``O(nnz + n_links log n_links)``.

Left out: time, graphs, latency, packets. A link without capacity stops its flows at rate 0.

Source: Bertsekas and Gallager, Data Networks, 2nd ed. 1992, section 6.5.2; Le Boudec, Rate adaptation, congestion
control and fairness: a tutorial, 2021, section 1.2; the linear max-min solver of SimGrid (surf/lmm) for the shape of
the interface.
"""

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit

#: Levels closer than this (relative) are one level: rounding must not split what symmetry makes equal.
LEVEL_TOLERANCE = 1e-12


# An indexed binary min-heap: heap[i] is an item, key[i] its key, pos[item] its place (-1: not in). Equal keys stop a
# sift, so that the many ties of a symmetric network cost O(1) each.


@njit(cache=True, _nrt=False)
def heap_set(heap, pos, key, size, item, new_key):  # type: ignore[no-untyped-def]
    """Insert `item` with `new_key`, or move it there; returns the new size."""
    i = pos[item]
    if i < 0:
        i = size
        size += 1
    while i > 0:
        parent = (i - 1) >> 1
        if key[parent] <= new_key:
            break
        heap[i] = heap[parent]
        key[i] = key[parent]
        pos[heap[i]] = i
        i = parent
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and key[child + 1] < key[child]:
            child += 1
        if key[child] >= new_key:
            break
        heap[i] = heap[child]
        key[i] = key[child]
        pos[heap[i]] = i
        i = child
    heap[i] = item
    key[i] = new_key
    pos[item] = i
    return size


@njit(cache=True, _nrt=False)
def heap_remove(heap, pos, key, size, item):  # type: ignore[no-untyped-def]
    """Take `item` out, if it is in; returns the new size."""
    i = pos[item]
    if i < 0:
        return size
    pos[item] = -1
    size -= 1
    last = heap[size]
    if last != item:
        last_key = key[size]
        heap[i] = last
        pos[last] = i
        heap_set(heap, pos, key, size, last, last_key)
    return size


@njit(cache=True)
def _transpose(n_links, link_ptr, link_ids):  # type: ignore[no-untyped-def]
    """CSR link -> incidences, in the order of the flows."""
    first = np.zeros(n_links + 1, np.int64)
    for k in range(link_ids.size):
        first[link_ids[k] + 1] += 1
    for link in range(n_links):
        first[link + 1] += first[link]
    fill = first[:-1].copy()
    flows = np.empty(link_ids.size, np.int64)
    hops = np.empty(link_ids.size, np.int64)
    for f in range(link_ptr.size - 1):
        for k in range(link_ptr[f], link_ptr[f + 1]):
            at = fill[link_ids[k]]
            fill[link_ids[k]] += 1
            flows[at] = f
            hops[at] = k
    return first, flows, hops


@njit(cache=True)
def _fill(capacity, link_ptr, link_ids, link_share, weight, rate_cap):  # type: ignore[no-untyped-def]
    n_links = capacity.size
    n_flows = weight.size
    first, flows, _ = _transpose(n_links, link_ptr, link_ids)
    level = np.full(n_flows, -1.0)
    bound_by = np.full(n_flows, -1, np.int64)
    used = np.zeros(n_links)
    open_weight = np.zeros(n_links)
    open_flows = np.zeros(n_links, np.int64)
    for f in range(n_flows):
        for k in range(link_ptr[f], link_ptr[f + 1]):
            open_weight[link_ids[k]] += link_share[k] * weight[f]
            open_flows[link_ids[k]] += 1
    heap = np.empty(n_links, np.int64)
    pos = np.full(n_links, -1, np.int64)
    key = np.zeros(n_links)
    size = 0
    for link in range(n_links):
        if open_flows[link] > 0:
            size = heap_set(heap, pos, key, size, link, capacity[link] / open_weight[link])
    cap_level = rate_cap / weight
    by_cap = np.argsort(cap_level, kind="mergesort")
    next_cap = 0
    current = 0.0
    while True:
        while next_cap < n_flows and level[by_cap[next_cap]] >= 0.0:
            next_cap += 1
        to_cap = cap_level[by_cap[next_cap]] if next_cap < n_flows else np.inf
        if size > 0 and key[0] <= to_cap:
            link = heap[0]
            if open_flows[link] == 0:
                size = heap_remove(heap, pos, key, size, link)
                continue
            now = (
                max(capacity[link] - used[link], 0.0) / open_weight[link]
                if open_weight[link] > 0
                else current
            )
            if now > key[0] * (1.0 + LEVEL_TOLERANCE) and now > current:
                size = heap_set(heap, pos, key, size, link, now)
                continue
            current = max(current, now)
            size = heap_remove(heap, pos, key, size, link)
            for at in range(first[link], first[link + 1]):
                f = flows[at]
                if level[f] < 0.0:
                    bound_by[f] = link
                    _stop(
                        f,
                        current,
                        level,
                        link_ptr,
                        link_ids,
                        link_share,
                        weight,
                        used,
                        open_weight,
                        open_flows,
                    )
        elif next_cap < n_flows:
            f = by_cap[next_cap]
            current = max(current, to_cap)
            _stop(f, to_cap, level, link_ptr, link_ids, link_share, weight, used, open_weight, open_flows)
        else:
            break
    return level * weight, bound_by


@njit(cache=True, _nrt=False)
def _stop(f, at, level, link_ptr, link_ids, link_share, weight, used, open_weight, open_flows):  # type: ignore[no-untyped-def]
    """Flow f keeps the level `at`."""
    level[f] = at
    for k in range(link_ptr[f], link_ptr[f + 1]):
        link = link_ids[k]
        part = link_share[k] * weight[f]
        used[link] += part * at
        open_weight[link] -= part
        open_flows[link] -= 1


def maxmin_rates(
    capacity: NDArray[np.float64],
    link_ptr: NDArray[np.int64],
    link_ids: NDArray[np.int32],
    link_share: NDArray[np.float64] | None = None,
    weight: NDArray[np.float64] | None = None,
    rate_cap: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weighted max-min fair rates and what bounds them.

    Parameters
    ----------
    capacity : (n_links,) bytes/s, ``inf`` for a link that never binds
    link_ptr : (n_flows + 1,) flow ``f`` crosses ``link_ids[link_ptr[f]:link_ptr[f + 1]]``
    link_ids : (nnz,) a link twice in one flow counts twice
    link_share : (nnz,) bytes on that link per byte of the flow; default 1
    weight : (n_flows,) default 1
    rate_cap : (n_flows,) bytes/s; default ``inf``

    Returns
    -------
    rates : (n_flows,) bytes/s; ``inf`` for a flow that nothing bounds
    bound_by : (n_flows,) the link that bounds each flow, -1 for its own cap (or nothing)

    Raises
    ------
    ValueError
        when shapes disagree, a link id is out of range, a capacity or cap is negative or NaN, or a share or weight is
        not positive and finite.

    Source: Bertsekas and Gallager 1992, section 6.5.2.

    Examples
    --------
    Flow 0 crosses both links (1 and 3 bytes/s), flow 1 the first, flow 2 the second.

    >>> import numpy as np
    >>> rates, bound_by = maxmin_rates(np.array([1.0, 3.0]), np.array([0, 2, 3, 4]), np.array([0, 1, 0, 1]))
    >>> rates.tolist(), bound_by.tolist()
    ([0.5, 0.5, 2.5], [0, 0, 1])
    """
    ptr = np.ascontiguousarray(link_ptr, np.int64)
    ids = np.ascontiguousarray(link_ids, np.int32)
    n_flows = max(ptr.size - 1, 0)
    cap = np.ascontiguousarray(capacity, np.float64)
    share = np.ones(ids.size) if link_share is None else np.ascontiguousarray(link_share, np.float64)
    weights = np.ones(n_flows) if weight is None else np.ascontiguousarray(weight, np.float64)
    caps = np.full(n_flows, np.inf) if rate_cap is None else np.ascontiguousarray(rate_cap, np.float64)
    check_incidence(cap.size, ptr, ids, share, weights, caps)
    check_capacity(cap)
    rates, bound_by = _fill(cap, ptr, ids, share, weights, caps)
    return rates, bound_by


def check_capacity(capacity: NDArray[np.float64]) -> None:
    """Raise ValueError unless every capacity is a number >= 0."""
    if capacity.size and not (capacity >= 0).all():
        bad = int(np.flatnonzero(~(capacity >= 0))[0])
        raise ValueError(f"capacity of link {bad} = {capacity[bad]}, must be >= 0 bytes/s")


def check_incidence(
    n_links: int | None,
    link_ptr: NDArray[np.int64],
    link_ids: NDArray[np.int32],
    link_share: NDArray[np.float64],
    weight: NDArray[np.float64],
    rate_cap: NDArray[np.float64],
) -> None:
    """Raise ValueError with one clear line unless the flow-link arrays fit together."""
    n_flows = link_ptr.size - 1
    if (
        n_flows < 0
        or link_ptr[0] != 0
        or link_ptr[-1] != link_ids.size
        or (link_ptr[1:] < link_ptr[:-1]).any()
    ):
        raise ValueError("link_ptr must rise from 0 to len(link_ids)")
    if link_share.size != link_ids.size or weight.size != n_flows or rate_cap.size != n_flows:
        raise ValueError(
            f"{n_flows} flows, {link_ids.size} incidences, but {link_share.size} shares, {weight.size} weights, "
            f"{rate_cap.size} caps"
        )
    if link_ids.size and (link_ids.min() < 0 or (n_links is not None and link_ids.max() >= n_links)):
        raise ValueError(
            f"link ids {link_ids.min()}..{link_ids.max()}, must be in 0..{n_links or 0} (exclusive)"
        )
    for name, values in (("link_share", link_share), ("weight", weight)):
        low, high = extremes(values, 1.0)
        if not (low > 0 and high < np.inf):
            raise ValueError(f"{name} must be positive and finite, found {low} to {high}")
    low, _ = extremes(rate_cap)
    if not low >= 0:
        raise ValueError(f"rate_cap must be >= 0 bytes/s, found {low}")


def extremes(values: NDArray[np.float64], of_none: float = 0.0) -> tuple[float, float]:
    """Least and largest of an array, NaN when it holds one; a view of one number (stride 0) is looked at once."""
    if not values.size:
        return of_none, of_none
    seen = values[:1] if values.strides == (0,) else values
    return float(seen.min()), float(seen.max())
