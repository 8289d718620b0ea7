"""The path of every flow, in closed form: from the GPU through its host, over the fabric, to the other GPU.

Within a host a flow crosses the scale-up links of both GPUs (a GPU's copy to itself too: it passes through
the same buffers). Between hosts it crosses PCIe and the NIC port on both sides. When the NICs of the two GPUs
are in different planes, the flow first goes over scale-up to the GPU with the target's index in the
*source's* host, and leaves through that GPU's NIC, as NCCL's PXN does. A NIC with a port in every plane spreads
a flow over all of them in equal parts. Under one fabric with rails (mrft), cross-rail flows climb to the spine
instead.

What happens between switches is the business of a router, one for each structure: `ROUTERS`.

Latency is the sum of the links' idle latencies, the mean of the paths when they differ. Left out: reordering,
and the choice between forwarding at the source and at the target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.errors import NetsimError, SpecError
from netsim.routing import dragonfly, mesh, torus, tree, two_hops
from netsim.routing.rows import count_rows, fill_rows, fill_shared_rows, start_rows
from netsim.routing.steps import Pairs, Router, Routers, is_undivided, no_trunks, some, undivided
from netsim.routing.table import TRUNK_DOWN, TRUNK_UP, PathTable, Trunks, expand, merge, over_trunks
from netsim.specs import Routing
from netsim.topologies import LinkKind, Topology
from netsim.topologies.custom import Mesh
from netsim.topologies.dragonfly import Dragonfly
from netsim.topologies.slim_fly import SlimFly
from netsim.topologies.torus import Torus
from netsim.topologies.tree import Tree

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: structure of a fabric -> how to cross it
ROUTERS: dict[type, Routers] = {
    Tree: tree.ROUTERS,
    SlimFly: two_hops.ROUTERS,
    Dragonfly: dragonfly.ROUTERS,
    Torus: torus.ROUTERS,
    Mesh: mesh.ROUTERS,
}


class Leg(NamedTuple):
    """One step of a path for some of the flows: which flows, the link and part of each, and its idle latency."""

    rows: Ints
    links: Ints
    share: Floats
    latency_s: float


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
    loopback: bool = False,
) -> PathTable:
    """Route flows from `src_gpu` to `dst_gpu`, (n_flows,) each.

    flow_key : (n_flows,) tells flows of one GPU pair apart for `ecmp`; without it they share their path
    queue_pairs : paths that one `ecmp` flow is split over, in equal shares that move in step (so the flow is
        as fast as its slowest share allows); the spec's when None. Queue pairs that should drain on their own
        are separate flows with a `flow_key` each.
    trunks : when sprayed, one trunk stands for equal cables (see `netsim.routing.table`); else list them
    capacity : (n_links,) bytes/s in place of the topology's, to degrade links; a trunk with an unequal cable
        is expanded
    loopback : flows inside a host leave through a NIC too and turn round at the first switch that both NICs
        reach, as RDMA to a GPU of the own host does; those of a GPU to itself stay

    Raises NetsimError for a GPU that is not there, a routing that the fabric does not know, a link without
    capacity (nothing is routed around it), and queue pairs where they have no effect.
    """
    source, target = _gpus(topology, src_gpu), _gpus(topology, dst_gpu)
    actual = topology.capacity_bytes_per_s if capacity is None else np.array(capacity, dtype=np.float64)
    if not (actual > 0).all():
        dead = int((actual <= 0).argmax())
        raise NetsimError(f"link {dead} has no capacity: faults route around it (netsim.routing.detour)")
    parts = topology.spec.queue_pairs if queue_pairs is None else queue_pairs
    if parts > 1 and routing != "ecmp":
        raise NetsimError(f"queue_pairs = {parts} has no effect with {routing} routing, only with ecmp")
    router = router_for(topology, routing)
    if routing == "ecmp":
        key = np.zeros(1, dtype=np.int64) if flow_key is None else np.asarray(flow_key, dtype=np.int64)
        return _hashed(topology, router, source, target, actual, (seed, key), parts, loopback)
    words = (np.zeros(1, dtype=np.int64),)
    if routing == "static":
        return as_table(
            topology, _legs(topology, source, target, router, words, loopback), source.size, actual
        )
    found = ROUTERS[type(topology.structure)].trunks(topology)
    table = as_table(
        topology, _legs(topology, source, target, router, words, loopback), source.size, actual, found
    )
    if not found.size.size:
        return table
    unequal = over_trunks(np.minimum, actual, found) != over_trunks(np.maximum, actual, found)
    wanted = unequal if trunks else np.ones_like(unequal)
    return expand(table, wanted) if wanted.any() else table


def router_for(topology: Topology, routing: Routing) -> Router:
    """How a fabric is crossed.

    Raises SpecError for a routing that the fabric does not know.
    """
    known = ROUTERS[type(topology.structure)].by_name
    if routing not in known:
        rule = f"family {topology.family} knows {', '.join(known)}"
        raise SpecError(topology.name, "routing", routing, rule)
    return known[routing]


def _hashed(
    topology: Topology,
    router: Router,
    source: Ints,
    target: Ints,
    actual: Floats,
    words: tuple[int, Ints],
    parts: int,
    loopback: bool,
) -> PathTable:
    seed, key = words
    part = np.tile(np.arange(parts), source.size)
    key = np.repeat(np.broadcast_to(key, source.size), parts)
    source, target = np.repeat(source, parts), np.repeat(target, parts)
    flow = (np.array([seed]), source, target, key, part)
    table = as_table(topology, _legs(topology, source, target, router, flow, loopback), source.size, actual)
    return merge(table, parts) if parts > 1 else table


def _gpus(topology: Topology, gpus: ArrayLike) -> Ints:
    found = np.atleast_1d(np.asarray(gpus, dtype=np.int64))
    if found.size and not (found.min() >= 0 and found.max() < topology.gpus):
        raise NetsimError(f"GPUs {found.min()} to {found.max()} of 0 to {topology.gpus - 1}: no such GPU")
    return found


def _legs(
    topology: Topology,
    source: Ints,
    target: Ints,
    router: Router,
    words: tuple[Ints, ...],
    loopback: bool,
) -> list[Leg]:
    """The steps of all flows, in path order."""
    per_host, per_nic = topology.gpus_per_host, topology.gpus_per_nic
    local = source == target if loopback else source // per_host == target // per_host
    rows = np.flatnonzero(~local)
    sender, receiver = source[rows], target[rows]
    forwarded = np.zeros(rows.size, dtype=bool)
    if topology.nic_ports == 1 and topology.planes > 1:
        plane = topology.endpoint_plane
        forwarded = plane[sender // per_nic] != plane[receiver // per_nic]
        sender = np.where(forwarded, sender // per_host * per_host + receiver % per_host, sender)
    inside = np.concatenate([np.flatnonzero(local), rows[forwarded]])
    arrival = np.concatenate([target[local], sender[forwarded]])
    crossing = _crossing(topology, rows, sender // per_nic, receiver // per_nic)

    def leg(kind: LinkKind, rows: Ints, index: Ints, share: Floats | None = None) -> Leg:
        first = topology.first(kind)
        latency = float(topology.latency_s[first]) if rows.size else 0.0
        return Leg(rows, first + index, undivided(rows.size) if share is None else share, latency)

    return [
        leg(LinkKind.SCALE_UP_TX, inside, source[inside]),
        leg(LinkKind.SCALE_UP_RX, inside, arrival),
        leg(LinkKind.PCIE_TX, rows, sender),
        leg(LinkKind.PORT_TX, crossing.row, crossing.source, crossing.share),
        *between_switches(topology, crossing, router, words),
        leg(LinkKind.PORT_RX, crossing.row, crossing.target, crossing.share),
        leg(LinkKind.PCIE_RX, rows, receiver),
    ]


def _crossing(topology: Topology, rows: Ints, source_nic: Ints, target_nic: Ints) -> Pairs:
    """Port pairs of the flows between hosts: one a flow, or one in every plane."""
    ports = topology.nic_ports
    port = np.tile(np.arange(ports), rows.size)
    return Pairs(
        np.repeat(rows, ports),
        np.repeat(source_nic, ports) * ports + port,
        np.repeat(target_nic, ports) * ports + port,
        np.broadcast_to(1.0 / ports, port.shape),
    )


def between_switches(
    topology: Topology, pairs: Pairs, router: Router, words: tuple[Ints, ...]
) -> Iterable[Leg]:
    """The steps over the fabric, of pairs that do not stay under one switch."""
    switch = topology.endpoint_switch
    apart = switch[pairs.source] != switch[pairs.target]
    if not apart.any():
        return
    pairs = some(pairs, np.flatnonzero(apart))
    of_flow = tuple(word if word.size == 1 else word[pairs.row] for word in words)
    if topology.nic_ports > 1:  # queue pairs of the planes are hashed apart
        of_flow += (pairs.source % topology.nic_ports,)
    for rows, links, share in router(topology, pairs, of_flow):
        if rows.size:
            part = share if is_undivided(pairs.share) else share * pairs.share[rows]
            yield Leg(pairs.row[rows], links, part, topology.spec.latency.switch_hop)


def as_table(
    topology: Topology, legs: list[Leg], n_flows: int, actual: Floats, found: Trunks | None = None
) -> PathTable:
    """The steps as a CSR table, with the trunks behind the links."""
    first, size = found or no_trunks(topology)
    ptr = np.zeros(n_flows + 1, dtype=np.int64)
    for leg in legs:
        count_rows(ptr, leg.rows)
    end = start_rows(ptr)
    links, latency = np.empty(ptr[-1], dtype=np.int32), np.zeros(n_flows)
    whole = all(is_undivided(leg.share) for leg in legs)
    share = undivided(links.size) if whole else np.empty(links.size)
    for leg in legs:
        if whole:
            fill_rows(end, leg.rows, leg.links, leg.latency_s, links, latency)
        else:
            fill_shared_rows(end, *leg._replace(share=np.ascontiguousarray(leg.share)), links, share, latency)
    trunk_kind = np.repeat(np.array([TRUNK_UP, TRUNK_DOWN], dtype=np.int8), size.size // 2)
    table = PathTable(
        ptr=ptr,
        link_ids=links,
        share=share,
        latency_s=latency,
        capacity=np.concatenate([actual, over_trunks(np.add, actual, Trunks(first, size))]),
        kind=np.concatenate([topology.link_kind, trunk_kind]),
        trunk_first=first,
        trunk_size=size,
    )
    # over several paths a flow can meet a link again
    return table if whole else merge(table, 1)
