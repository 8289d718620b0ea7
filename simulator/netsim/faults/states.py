"""Flows in every state of a fabric: their paths, the capacities, and one table for all of them.

Two links are added to each state that carry nothing away and bound nobody: `moved` is crossed by every flow that is not
on its first path, `blocked` by every flow whose path is down. Their bytes and busy time are the bytes that
went another way and the time in which some flow stood still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.faults.history import History
from netsim.network.flows import FlowTable
from netsim.network.layers import split, stack
from netsim.routing import PathTable
from netsim.routing.detour import Flows, crossing, detour, with_cables
from netsim.routing.table import Trunks, over_trunks
from netsim.specs import Routing
from netsim.topologies import Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: links behind those of a state
MOVED, BLOCKED = 0, 1


@dataclass(frozen=True)
class States:
    """All states of a network.

    flows : what was routed; paths : (states) tables of paths; moved : (states, n_flows) flows not on their first path;
    blocked : (states, n_flows) flows whose path is down
    n_links : links of a state: those of the fabric, its trunks, and the two that count
    capacity : (states * n_links,) bytes/s; union : every flow over its links of all states
    """

    flows: Flows
    paths: tuple[PathTable, ...]
    moved: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    n_links: int
    capacity: Floats
    union: FlowTable

    @property
    def layer(self) -> Ints:
        """(states * n_links,) state of each link."""
        return np.arange(self.capacity.size) // self.n_links


def make_states(
    topology: Topology,
    routing: Routing,
    routed: PathTable,
    flows: Flows,
    history: History,
    table_of: Callable[[Ints, NDArray[np.int32], Floats], FlowTable],
) -> States:
    """Paths and capacities of each state of `history`; `table_of` registers flows given CSR arrays of their links."""
    base = routed.capacity[: topology.n_links]
    actual = [base * left for left in history.left]
    by_loss: dict[bytes, tuple[PathTable, NDArray[np.bool_]]] = {}
    for lost in history.lost:
        if lost.tobytes() not in by_loss:
            by_loss[lost.tobytes()] = detour(topology, routing, routed, flows, lost)
    found = [by_loss[lost.tobytes()] for lost in history.lost]
    tables = with_cables([table for table, _ in found], actual)
    moved = np.array([went for _, went in found])
    blocked = np.array(
        [crossing(table, capacity == 0) for table, capacity in zip(tables, actual, strict=True)]
    )
    trunks = Trunks(routed.trunk_first, routed.trunk_size)
    counting = np.full(2, np.inf)
    capacity = np.concatenate(
        [part for rate in actual for part in (rate, over_trunks(np.add, rate, trunks), counting)]
    )
    n_links = capacity.size // len(tables)
    marked = [
        table_of(*_marked(table, n_links, m, b)) for table, m, b in zip(tables, moved, blocked, strict=True)
    ]
    return States(flows, tuple(tables), moved, blocked, n_links, capacity, stack(marked, n_links))


def _marked(
    table: PathTable, n_links: int, moved: NDArray[np.bool_], blocked: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.int32], Floats]:
    """CSR of the paths with the counting links of the state at the end of each."""
    hops = np.diff(table.ptr)
    ptr = np.concatenate([[0], np.cumsum(hops + moved + blocked)])
    ids, share = np.empty(ptr[-1], dtype=np.int32), np.ones(ptr[-1])
    at = np.repeat(ptr[:-1] - table.ptr[:-1], hops) + np.arange(table.link_ids.size)
    ids[at], share[at] = table.link_ids, table.share
    ids[(ptr[1:] - 1 - blocked)[moved]] = n_links - 2 + MOVED
    ids[(ptr[1:] - 1)[blocked]] = n_links - 2 + BLOCKED
    return ptr, ids, share


@dataclass(frozen=True)
class Layers:
    """What runs of all states, folded or not.

    states : what it was made of; tables : (states) what to give to `FluidNetwork.reroute`
    link_class : (states, n_links) link of the network that stands for each link of each state
    flow_class : (n_flows,) flow that stands for each flow
    """

    states: States
    tables: tuple[FlowTable, ...]
    link_class: Ints
    flow_class: Ints


def make_layers(states: States, union: FlowTable, link_class: Ints, flow_class: Ints) -> Layers:
    """The table of each state from the (folded) union."""
    layer = np.zeros(int(link_class.max()) + 1, dtype=np.int64)
    layer[link_class] = states.layer
    tables = split(union, layer, len(states.paths))
    return Layers(states, tuple(tables), link_class.reshape(len(states.paths), -1), flow_class)


def path_changes(history: History | None, layers: Layers | None) -> list[tuple[float, FlowTable]]:
    """When the paths of flows change, and to what; the first state holds from the start."""
    if history is None or layers is None:
        return []
    follows = history.state[1:] != history.state[:-1]
    when, state = history.time_s[1:][follows].tolist(), history.state[1:][follows].tolist()
    return [(at, layers.tables[number]) for at, number in zip(when, state, strict=True)]
