"""Why a step with faults can never end: the part that is down, and the flows that wait for it."""

from __future__ import annotations

import numpy as np

from netsim.faults.history import History, Strike
from netsim.faults.states import Layers
from netsim.network.fluid import FluidNetwork
from netsim.routing.detour import crossing
from netsim.topologies import Topology


def why_stalled(
    topology: Topology, history: History | None, layers: Layers | None, fluid: FluidNetwork
) -> str:
    """One line that names the culprits, empty when no fault explains it."""
    if history is None or layers is None:
        return ""
    last = int(history.state[-1])
    standing = np.flatnonzero(np.isin(layers.flow_class, fluid.standing))
    waiting = standing[layers.states.blocked[last][standing]]
    down = [s for s in history.strikes if s.left == 0.0 and s.end_s == np.inf]
    if not waiting.size:
        dead = [s for s in down if s.part.gpus.size]
        return (
            f"the step stalls: {_names(dead)}, and GPUs that do not compute hold up the rest" if dead else ""
        )
    table, guilty = layers.states.paths[last], []
    for strike in down:
        links = np.zeros(topology.n_links, dtype=bool)
        links[strike.part.links] = True
        count = int(crossing(table, links)[waiting].sum())
        if count:
            guilty.append((strike, count))
    flows, first = layers.states.flows, int(waiting[0])
    ends = (_gpu(topology, int(end[first])) for end in (flows.source, flows.target))
    names = _names([strike for strike, _ in guilty])
    return (
        f"the step stalls: {names}: {waiting.size:,} flows have no path left and stand still, the first from "
        f"{' to '.join(ends)}"
    )


def _names(strikes: list[Strike]) -> str:
    texts = [str(strike.fault) for strike in strikes]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def _gpu(topology: Topology, gpu: int) -> str:
    return f"host{gpu // topology.gpus_per_host}.{gpu % topology.gpus_per_host}"
