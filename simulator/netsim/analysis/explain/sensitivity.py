"""What 1 % of each resource is worth, from one execution: durations under a little more of it, and the graph run again.

    compute    blocks timed again on the better GPU (`compute.device`, the power limit included)
    links      the network alone moved again (`analysis.explain.network`)
    kernels    the same with quicker kernels of dispatch and combine
    latency    path latencies divided

No task is simulated again; `netsim.analysis.binding` does, and the tests hold the two against each other. Left out:
that a transfer which starts sooner meets others on its links.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.binding import LINKS, RESOURCES, more_of
from netsim.analysis.explain.anatomy import Anatomy
from netsim.analysis.explain.held import kept
from netsim.analysis.explain.network import moved_again_s
from netsim.training.exchanges import make_library, norm_s
from netsim.training.timing import Timing, make_timing

Floats = NDArray[np.float64]
MORE = 1.01
#: resources of `binding` that have more or less of something; a network that costs nothing is no small change
SMALL = tuple(name for name in RESOURCES if name != "network")


def sensitivities(found: Anatomy, more: float = MORE) -> list[dict[str, Any]]:
    """A row a resource: the step with `more` times as much of it, and what that gains."""
    rows, before = [], found.step_s
    for resource in SMALL:
        own_s, lag_s = beside(found, *with_more(found, resource, more))
        after = found.graph.end_s(own_s, lag_s)
        gain = before - after
        rows.append(
            {
                "resource": resource,
                "change": f"x {more:g}",
                "step_time_s": after,
                "gain_s": gain,
                "gain_pct": 100.0 * gain / before,
            }
        )
    return rows


def beside(found: Anatomy, own_s: Floats, lag_s: Floats | None) -> tuple[Floats, Floats | None]:
    """Durations with compute that slows less, or more, for SMs that exchanges hold."""
    extra = found.extra_s
    return (own_s if extra is None else own_s - extra * (1.0 - kept(found, own_s))), lag_s


def with_more(found: Anatomy, resource: str, more: float) -> tuple[Floats, Floats | None]:
    """Durations of the tasks, and marks where they change, with `more` times as much of a resource."""
    own = found.graph.own_s
    if resource in ("tensor_cores", "hbm"):
        return _quicker_compute(found, resource, more)
    if resource == "latency":
        return own - found.path_s * (1.0 - 1.0 / more) - _norm_gain_s(found, more), None
    kernels = np.where(found.by_experts & (resource == "kernels"), more, 1.0)
    links = _links(found, resource)
    if not links.any() and resource != "kernels":
        return own, None
    if resource == "kernels" and not found.by_experts.any():
        return own, None
    capacity = found.step.traffic.capacity * np.where(links, more, 1.0)
    return own - found.moved_s + moved_again_s(found, capacity, kernels), None


def _links(found: Anatomy, resource: str) -> NDArray[np.bool_]:
    """Which link classes of the simulated network belong to a resource."""
    traffic = found.step.traffic
    chosen = np.zeros(len(traffic.capacity), dtype=bool)
    names = {kind.name.lower() for kind in LINKS.get(resource, ())}
    mine = np.isin(traffic.link_kind, sorted(names)) & (traffic.link_class >= 0)
    chosen[traffic.link_class[mine]] = True
    return chosen


def _quicker_compute(found: Anatomy, resource: str, more: float) -> tuple[Floats, Floats]:
    step, changed = found.step, more_of(resource, found.step, more)
    assert changed is not None, "every GPU has tensor cores and memory"
    now = step.timing
    then = make_timing(changed.case, now.norm_s, now.plan, now.held, now.holders, now.free)
    return scaled(found, now, then)


def scaled(found: Anatomy, now: Timing, then: Timing) -> tuple[Floats, Floats]:
    """Durations and marks with blocks as another timing has them, the SMs that exchanges take from them included."""
    known = [(work, now.blocks.get(work)) for work in found.works]
    ratio = [then.compute_s(work) / block.seconds if block else 1.0 for work, block in known]
    was, is_now = now.slope, then.slope
    slower = [
        is_now(work) / steep if was and is_now and block and (steep := was(work)) else 1.0
        for work, block in known
    ]
    return by_block(found, np.array(ratio), np.array(slower))


def by_block(found: Anatomy, ratio: Floats, slower: Floats | None = None) -> tuple[Floats, Floats]:
    """Durations and marks with the blocks of each work `ratio` (works,) times as long.

    slower : (works,) factor on what blocks lose to SMs that exchanges hold
    """
    graph, each, extra = found.graph, np.where(found.computes, ratio[found.work], 1.0), found.extra_s
    edges, block = found.marks
    own_s, lag_s = graph.own_s * each, graph.lag_s
    if extra is not None:
        own_s = own_s + extra * ((1.0 if slower is None else slower[found.work]) - each)
    if edges.size:
        lag_s = np.array(lag_s)
        lag_s[edges] *= each[block]
    return own_s, lag_s


def _norm_gain_s(found: Anatomy, more: float) -> Floats:
    """What the norm of the gradient gains from lower latency."""
    step, changed = found.step, more_of("latency", found.step, more)
    if changed is None or "grad_norm" in step.timing.free:
        return np.zeros(len(found.name))
    gpus = step.plan.gpus
    now = norm_s(make_library(step.case, step.topology), step.topology, gpus)
    then = norm_s(make_library(changed.case, changed.topology), changed.topology, gpus)
    return np.where(found.name == "grad_norm", now - then, 0.0)
