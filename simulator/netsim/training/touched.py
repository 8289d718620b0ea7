"""Whether faults touch anything that a step does: if none does, the step with them is the step without, bit by bit.

A fault touches a step when a transfer that crosses one of its links is under way while the fault lasts (or while
routing still goes around it), or one of its GPUs computes then. Let no fault touch the fault-free step. Then at no
instant does a change meet an active flow or a running task, so the fault-free step is what happens, and nothing need
be run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.execution.executor import Execution, Program
from netsim.faults.history import Strike
from netsim.routing.paths import ROUTERS
from netsim.routing.table import over_trunks
from netsim.topologies import Topology
from netsim.training.traffic import Traffic


def touches(
    strikes: Sequence[Strike],
    reaction_s: float,
    topology: Topology,
    traffic: Traffic,
    program: Program,
    execution: Execution,
) -> bool:
    """Whether one of the faults touches what was executed without them.

    reaction_s : how long after the end of a fault routing still goes around it
    """
    return any(_touches(strike, reaction_s, topology, traffic, program, execution) for strike in strikes)


def _touches(
    strike: Strike,
    reaction_s: float,
    topology: Topology,
    traffic: Traffic,
    program: Program,
    execution: Execution,
) -> bool:
    end = strike.end_s + reaction_s
    during = (execution.start_s < end) & (execution.end_s > strike.start_s)
    moves = program.transfer >= 0
    if strike.left < 1.0:
        batch = np.array([t.batch if t.unit_bytes else -1 for t in program.transfers], dtype=np.int64)
        crossed = np.append(_batches(strike, topology, traffic), False)  # -1: no traffic
        if crossed[batch[program.transfer[during & moves]]].any():
            return True
    if strike.speed < 1.0 and strike.part.gpus.size:
        return bool((during & ~moves).any())
    return False


def _batches(strike: Strike, topology: Topology, traffic: Traffic) -> NDArray[np.bool_]:
    """(registered batches,) which of them cross a link of the fault."""
    links = np.zeros(traffic.link_class.size, dtype=bool)
    links[strike.part.links] = True
    if links.size > topology.n_links:
        trunks = ROUTERS[type(topology.structure)].trunks(topology)
        links[topology.n_links :] = (
            over_trunks(np.maximum, links[: topology.n_links].astype(float), trunks) > 0
        )
    kind = traffic.link_class[links]
    hit = np.zeros(traffic.capacity.size + 1, dtype=bool)
    hit[kind[kind >= 0]] = True
    table = traffic.table
    flow = np.repeat(np.arange(table.n_flows), np.diff(table.link_ptr))
    flows = np.bincount(flow[hit[table.link_ids]], minlength=table.n_flows) > 0
    batch = np.repeat(np.arange(table.n_batches), np.diff(table.batch_ptr))
    return np.asarray(np.bincount(batch[flows], minlength=table.n_batches) > 0)
