"""The path of every flow, in closed form: from the GPU through its host, over the fabric, to the other GPU.

Within a host a flow crosses the scale-up links of both GPUs (a GPU's copy to itself too: it passes through
the same buffers). Between hosts it crosses PCIe and the NIC port on both sides. When the NICs of the two GPUs
are in different planes, the flow first goes over scale-up to the GPU with the target's index in the
*source's* host, and leaves through that GPU's NIC, as NCCL's PXN does. Under one fabric with rails (mrft),
cross-rail flows climb to the spine instead.

Latency is the sum of the links' idle latencies. Left out: reordering, and the choice between forwarding at
the source and at the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.errors import NetsimError
from netsim.routing import tree as trees
from netsim.routing.table import TRUNK_DOWN, TRUNK_UP, PathTable, expand, merge
from netsim.specs import Routing
from netsim.topologies import LinkKind, Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Leg(NamedTuple):
    """One step of a path for some of the flows: which flows, the link of each, and its idle latency."""

    rows: Ints
    links: Ints
    latency_s: float


class Crossing(NamedTuple):
    """Flows that cross the fabric: their rows, the GPU whose NIC sends, and the GPU that receives."""

    rows: Ints
    sender: Ints
    target: Ints


#: from pairs that do not share a leaf, and their rows among all flows, to links between switches
Router = Callable[[trees.Pairs, Ints], trees.Climb]


def paths(
    topology: Topology,
    routing: Routing,
    src_gpu: ArrayLike,
    dst_gpu: ArrayLike,
    seed: int,
    flow_key: ArrayLike | None = None,
    *,
    queue_pairs: int | None = None,
    trunks: bool = True,
    capacity: Floats | None = None,
) -> PathTable:
    """Route flows from `src_gpu` to `dst_gpu`, (n_flows,) each.

    flow_key : (n_flows,) tells flows of one GPU pair apart for `ecmp`; without it they share their path
    queue_pairs : paths that one `ecmp` flow is split over, in equal shares that move in step (so the flow is
        as fast as its slowest share allows); the spec's when None. Queue pairs that should drain on their own
        are separate flows with a `flow_key` each.
    trunks : under `adaptive`, one trunk stands for equal cables (see `netsim.routing.table`); else list them
    capacity : (n_links,) bytes/s in place of the topology's, to degrade links; a trunk with an unequal cable
        is expanded

    Raises NetsimError for a GPU that is not there, a link without capacity (nothing is routed around it), and
    queue pairs where they have no effect.
    """
    source, target = _gpus(topology, src_gpu), _gpus(topology, dst_gpu)
    actual = topology.capacity_bytes_per_s if capacity is None else np.array(capacity, dtype=np.float64)
    if not (actual > 0).all():
        dead = int((actual <= 0).argmax())
        raise NetsimError(f"link {dead} has no capacity: routing around it is not modelled")
    parts = topology.spec.queue_pairs if queue_pairs is None else queue_pairs
    if parts > 1 and routing != "ecmp":
        raise NetsimError(f"queue_pairs = {parts} has no effect with {routing} routing, only with ecmp")
    if routing == "adaptive":
        return _sprayed(topology, source, target, actual, trunks)
    if routing == "static":
        route: Router = lambda pairs, _: trees.by_destination(topology, pairs)  # noqa: E731
        return _table(topology, _legs(topology, source, target, route), source.size, actual)
    key = np.zeros(1, dtype=np.int64) if flow_key is None else np.asarray(flow_key, dtype=np.int64)
    return _hashed(topology, source, target, actual, (seed, key), parts)


def _sprayed(topology: Topology, source: Ints, target: Ints, actual: Floats, keep: bool) -> PathTable:
    route: Router = lambda pairs, _: trees.spray(topology, pairs)  # noqa: E731
    found = trees.trunks(topology)
    table = _table(topology, _legs(topology, source, target, route), source.size, actual, found)
    if not found.size.size:
        return table
    # the cables of the trunks are contiguous, so one reduction over the up and down blocks sees them all
    cables, at = actual[topology.first(LinkKind.UP) :], found.first - topology.first(LinkKind.UP)
    unequal = np.minimum.reduceat(cables, at) != np.maximum.reduceat(cables, at)
    wanted = unequal if keep else np.ones_like(unequal)
    return expand(table, wanted) if wanted.any() else table


def _hashed(
    topology: Topology, source: Ints, target: Ints, actual: Floats, words: tuple[int, Ints], parts: int
) -> PathTable:
    seed, key = words
    part = np.tile(np.arange(parts), source.size)
    key = np.repeat(np.broadcast_to(key, source.size), parts)
    source, target = np.repeat(source, parts), np.repeat(target, parts)

    def route(pairs: trees.Pairs, rows: Ints) -> trees.Climb:
        flow = (np.array([seed]), source[rows], target[rows], key[rows], part[rows])
        return trees.hashed(topology, pairs, flow)

    table = _table(topology, _legs(topology, source, target, route), source.size, actual)
    return merge(table, parts) if parts > 1 else table


def _gpus(topology: Topology, gpus: ArrayLike) -> Ints:
    found = np.atleast_1d(np.asarray(gpus, dtype=np.int64))
    if found.size and not (found.min() >= 0 and found.max() < topology.gpus):
        raise NetsimError(f"GPUs {found.min()} to {found.max()} of 0 to {topology.gpus - 1}: no such GPU")
    return found


def _legs(topology: Topology, source: Ints, target: Ints, route: Router) -> list[Leg]:
    """The steps of all flows, in path order."""
    per_host, ports = topology.gpus_per_host, topology.gpus_per_endpoint
    local = source // per_host == target // per_host
    rows = np.flatnonzero(~local)
    sender, receiver = source[rows], target[rows]
    plane = topology.structure.endpoint_plane
    forwarded = plane[sender // ports] != plane[receiver // ports]
    sender = np.where(forwarded, sender // per_host * per_host + receiver % per_host, sender)

    def leg(kind: LinkKind, rows: Ints, index: Ints) -> Leg:
        first = topology.first(kind)
        return Leg(rows, first + index, float(topology.latency_s[first]) if rows.size else 0.0)

    inside = np.concatenate([np.flatnonzero(local), rows[forwarded]])
    arrival = np.concatenate([target[local], sender[forwarded]])
    return [
        leg(LinkKind.SCALE_UP_TX, inside, source[inside]),
        leg(LinkKind.SCALE_UP_RX, inside, arrival),
        leg(LinkKind.PCIE_TX, rows, sender),
        leg(LinkKind.PORT_TX, rows, sender // ports),
        *_between_switches(topology, Crossing(rows, sender, receiver), route),
        leg(LinkKind.PORT_RX, rows, receiver // ports),
        leg(LinkKind.PCIE_RX, rows, receiver),
    ]


def _between_switches(topology: Topology, flows: Crossing, route: Router) -> Iterator[Leg]:
    """The steps up and down the fabric, of flows that do not stay under one leaf."""
    leaf, ports = topology.structure.endpoint_leaf, topology.gpus_per_endpoint
    apart = leaf[flows.sender // ports] != leaf[flows.target // ports]
    if not apart.any():
        return
    rows = flows.rows[apart]
    pairs = trees.pairs(topology.structure, flows.sender[apart] // ports, flows.target[apart] // ports)
    for links in route(pairs, rows):
        taken = links >= 0
        if taken.any():
            yield Leg(rows[taken], links[taken], topology.spec.latency.switch_hop)


def _table(
    topology: Topology, legs: list[Leg], n_flows: int, actual: Floats, found: trees.Trunks | None = None
) -> PathTable:
    """The steps as a CSR table, with the trunks behind the links."""
    hops = np.zeros(n_flows, dtype=np.int64)
    latency_s = np.zeros(n_flows)
    for leg in legs:
        hops[leg.rows] += 1
        latency_s[leg.rows] += leg.latency_s
    ptr = np.concatenate([[0], np.cumsum(hops)])
    link_ids = np.empty(ptr[-1], dtype=np.int32)
    at = ptr[:-1].copy()
    for leg in legs:
        link_ids[at[leg.rows]] = leg.links
        at[leg.rows] += 1

    none = np.zeros(0, dtype=np.int64)
    first, size = found or (none, none)
    block = topology.first(LinkKind.UP)
    total = np.add.reduceat(actual[block:], first - block) if size.size else np.zeros(0)
    trunk_kind = np.repeat(np.array([TRUNK_UP, TRUNK_DOWN], dtype=np.int8), size.size // 2)
    return PathTable(
        ptr=ptr,
        link_ids=link_ids,
        share=np.ones(link_ids.size),
        latency_s=latency_s,
        capacity=np.concatenate([actual, total]),
        kind=np.concatenate([topology.link_kind, trunk_kind]),
        trunk_first=first,
        trunk_size=size,
    )
