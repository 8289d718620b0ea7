"""The flows of a step on a fabric: batches to paths, and stage groups that cannot be told apart to classes.

Each batch of `netsim.collectives.step_batches` becomes flows over links. With folding, stage groups (and flows, and
links) that no part of the network can tell apart share one execution; without, each is run. Both give
the same rates (see `netsim.network.folding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.overhead import Paths
from netsim.collectives.step import RECEIVER, Batch
from netsim.faults.history import History
from netsim.faults.states import Layers, make_layers, make_states
from netsim.network.coloured import Groups
from netsim.network.flows import FlowTable
from netsim.network.folding import fold
from netsim.routing import PathTable, paths
from netsim.routing.detour import Flows
from netsim.specs import Routing
from netsim.topologies import Topology

#: the flows of a job on one GPU
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Traffic:
    """Registered flows and the classes that run them.

    table, capacity : what the fluid network is made of; batch_ids : batch key -> registered batch;
    actor_class : (pipeline, groups) class of each stage group; representative : (classes, 2) its (rank, group);
    multiplicity : (classes,) stage groups in it; link_class : (n_links,) class of each link, -1 for one that no flow
    crosses; link_kind : (n_links,) its kind by name; latency_s : idle path latencies by batch key; wire_bytes_of :
    (registered batches,) mean bytes that a GPU sends over its NIC per byte of the batch's unit; flows : how many there
    are without folding; layers : the states of a fabric that changes while the step runs (`link_class` and `table` are
    then those of the first).
    """

    table: FlowTable
    capacity: NDArray[np.float64]
    batch_ids: dict[tuple[str, int], int]
    actor_class: NDArray[np.int64]
    representative: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    link_class: NDArray[np.int64]
    link_kind: NDArray[np.str_]
    latency_s: dict[tuple[str, int], Paths]
    wire_bytes_of: NDArray[np.float64]
    flows: int
    layers: Layers | None = None


def make_traffic(
    topology: Topology,
    batches: Sequence[Batch],
    placement_shape: tuple[int, int, int],
    routing: Routing,
    seed: int,
    folded: bool,
    capacity: NDArray[np.float64] | None = None,
    colours: NDArray[np.int64] | None = None,
    history: History | None = None,
) -> Traffic:
    """Route every batch and, when `folded`, merge what cannot be told apart.

    `capacity` : (n_links,) bytes/s, in place of the fabric's; `colours` : (pipeline, groups) different for stage groups
    that something outside the network tells apart; `history` : what happens to the fabric while the step runs.
    """
    flows = _flows(batches, seed)
    routed = paths(topology, routing, flows.source, flows.target, seed, flows.key, capacity=capacity)
    table = _table(batches, routed)
    pipeline, groups, expert = placement_shape
    latency = _latencies(topology, batches, routed, table)
    crossed = np.bincount(table.link_ids, minlength=routed.capacity.size) > 0
    states, n_links = None, routed.capacity.size
    capacity, link_color = routed.capacity, None
    if history is not None:
        states = make_states(topology, routing, routed, flows, history, lambda *csr: _register(batches, *csr))
        table, capacity, link_color = states.union, states.capacity, states.layer
        crossed = np.bincount(table.link_ids, minlength=capacity.size)[:n_links] > 0
    flow_class = np.arange(table.n_flows)
    if folded:
        members = _membership(batches, pipeline, groups, colours)
        merged = fold(capacity, table, members, _colours(batches), link_color)
        flow_class = merged.flow_class.astype(np.int64)
        actor_class = merged.actor_class.astype(np.int64).reshape(pipeline, groups)
        ids = merged.batch_class.astype(np.int64)
        table, capacity, link_class = merged.table, merged.capacity, merged.link_class.astype(np.int64)
    else:
        actor_class = np.arange(pipeline * groups).reshape(pipeline, groups)
        ids, link_class = np.arange(len(batches)), np.arange(capacity.size)
    layers = None if states is None else make_layers(states, table, link_class, flow_class)
    _, first, count = np.unique(actor_class, return_index=True, return_counts=True)
    wire = np.zeros(table.n_batches)
    wire[ids] = wire_bytes(topology, batches, expert)
    return Traffic(
        table=table if layers is None else layers.tables[0],
        capacity=capacity,
        batch_ids={batch.key: int(ids[n]) for n, batch in enumerate(batches)},
        actor_class=actor_class,
        representative=np.column_stack(np.unravel_index(first, (pipeline, groups))),
        multiplicity=count,
        link_class=np.where(crossed, link_class[:n_links], -1),
        link_kind=routed.link_kind,
        latency_s=latency,
        wire_bytes_of=wire,
        flows=routed.n_flows,
        layers=layers,
    )


def _flows(batches: Sequence[Batch], seed: int) -> Flows:
    """Ends of all flows; each kind of batch of a job has queue pairs of its own, which `ecmp` hashes apart.

    Where several jobs share the fabric, a kind is `job/kind`.
    """
    source = np.concatenate([_NONE, *(b.transfers.source for b in batches)])
    target = np.concatenate([_NONE, *(b.transfers.target for b in batches)])
    kinds: dict[str, int] = {}
    for job in {b.key[0].rpartition("/")[0] for b in batches}:
        of_job = sorted({b.key[0] for b in batches if b.key[0].rpartition("/")[0] == job})
        kinds |= {kind: n for n, kind in enumerate(of_job)}
    number = np.array([kinds[b.key[0]] for b in batches], dtype=np.int64)
    key = np.repeat(number, np.array([len(b.transfers) for b in batches], dtype=np.int64))
    return Flows(source, target, key, seed)


def _table(batches: Sequence[Batch], routed: PathTable) -> FlowTable:
    return _register(batches, routed.ptr, routed.link_ids, routed.share)


def _register(
    batches: Sequence[Batch], ptr: NDArray[np.int64], link_ids: NDArray[np.int32], share: NDArray[np.float64]
) -> FlowTable:
    sizes = [len(b.transfers) for b in batches]
    return FlowTable(
        link_ptr=ptr,
        link_ids=link_ids,
        link_share=share,
        batch_ptr=np.concatenate([[0], np.cumsum(sizes)]),
        unit_share=np.concatenate([np.zeros(0), *(b.transfers.share for b in batches)]),
        # relative: a batch is started with its communication kernel's rate
        rate_cap=np.concatenate([np.zeros(0), *(b.transfers.kernel_share for b in batches)]),
        weight=np.array(1.0),
    )


def _latencies(
    topology: Topology, batches: Sequence[Batch], routed: PathTable, table: FlowTable
) -> dict[tuple[str, int], Paths]:
    """The longest idle paths of each batch, inside a host and between hosts."""
    per_host, found = topology.gpus_per_host, {}
    for n, batch in enumerate(batches):
        part = routed.latency_s[table.batch_ptr[n] : table.batch_ptr[n + 1]]
        remote = batch.transfers.source // per_host != batch.transfers.target // per_host
        local_s, remote_s = (float(part[mask].max(initial=0.0)) for mask in (~remote, remote))
        found[batch.key] = Paths(local_s, remote_s)
    return found


def wire_bytes(topology: Topology, batches: Sequence[Batch], expert: int) -> NDArray[np.float64]:
    """Mean bytes that a sending GPU puts on its NIC, per byte of each batch's unit."""
    per_host = topology.gpus_per_host
    found = np.zeros(len(batches))
    for n, batch in enumerate(batches):
        flows = batch.transfers
        crosses = flows.source // per_host != flows.target // per_host
        senders = expert * sum(role != RECEIVER for _, role in batch.members)
        found[n] = flows.share[crosses].sum() / senders
    return found


def _colours(batches: Sequence[Batch]) -> NDArray[np.int64]:
    """Batches of different kinds, or of different pipeline ranks, are never the same."""
    known = {key: n for n, key in enumerate(sorted({(b.key[0], b.rank) for b in batches}))}
    return np.array([known[b.key[0], b.rank] for b in batches], dtype=np.int64)


def _membership(
    batches: Sequence[Batch], pipeline: int, groups: int, colours: NDArray[np.int64] | None
) -> Groups:
    """Which stage groups take part in each batch, in which role; a stage group is known by its pipeline rank."""
    members = np.array([m for b in batches for m in b.members], dtype=np.int64).reshape(-1, 2)
    own = np.repeat(np.arange(pipeline), groups)
    if colours is not None:
        own = own * (int(colours.max()) + 1) + colours.ravel()
    return Groups(
        actor_ptr=np.concatenate([[0], np.cumsum([len(b.members) for b in batches])]),
        actor_ids=members[:, 0].copy(),
        label=members[:, 1].copy(),
        actor_color=own,
    )
