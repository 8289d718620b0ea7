"""htsim: a connection matrix (.cm) and a fat-tree (.topo) for each plane.

A node is a NIC of the plane. Flows between hosts are connections from the NIC that sends to the one that receives,
start in ps and sizes in bytes; those of one operation start together, and the next operation is set off by a barrier
behind the last of them. What it cannot hold: NVLink (flows inside a host are left out), compute behind a transfer (its
seconds are counted into the start of operations that wait for compute alone), barriers over planes (each plane runs by
itself), the most that a kernel sends a second, sizes of 2^31 bytes and more (cut into connections one behind the
other), trees whose leaves differ, and fabrics that are no trees.

Source: Broadcom/csg-htsim and uet-htsim, connection_matrix.cpp, fat_tree_topology.cpp.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from netsim.errors import NetsimError
from netsim.exporters.traffic import Exchange, Op, whole_bytes
from netsim.routing import paths
from netsim.topologies import LinkKind, Topology
from netsim.topologies.tree import Tree

#: the .cm reader keeps sizes in an int
MOST_BYTES = (1 << 31) - 1


def export(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """Files by name, and what they cannot hold.

    Raises NetsimError for a fabric that is no tree, and for traffic that crosses no NIC.
    """
    topology = exchange.topology
    if not isinstance(topology.structure, Tree):
        raise NetsimError(f"htsim: {topology.name} is no fat-tree, which is all that a .topo can say")
    planes: dict[int, list[tuple[int, list[tuple[int, int, int]]]]] = defaultdict(list)
    inside = 0
    for number, op in enumerate(exchange.ops):
        found, local = _wires(exchange, op)
        inside += local
        for plane, flows in found.items():
            planes[plane].append((number, flows))
    if not planes:
        raise NetsimError("htsim: no flow leaves a host, and htsim has no NVLink")
    files: dict[str, str | bytes] = {}
    starts = _starts(exchange)
    for plane in sorted(planes):
        stem = f"plane{plane}" if len(planes) > 1 else "traffic"
        files[f"{stem}.cm"] = _matrix(exchange, planes[plane], starts)
    files["fabric.topo"] = _topo(topology)
    said = [f"{inside:,} flows inside hosts are left out: htsim has no NVLink"] if inside else []
    if len(planes) > 1:
        said.append("each plane is a run of its own: -topo fabric.topo -tm planeN.cm")
    if any(op.seconds for op in exchange.ops):
        said.append("compute shifts the start of what waits for it; behind a transfer it is left out")
    said.append("start times are ps; htsim's links have no goodput: set packet headers to match netsim's")
    return files, said


def _wires(exchange: Exchange, op: Op) -> tuple[dict[int, list[tuple[int, int, int]]], int]:
    """Flows by plane as (sending NIC, receiving NIC, bytes), NICs numbered in the plane; and how many stay inside."""
    topology, found = exchange.topology, defaultdict(list)
    if not op.source.size:
        return {}, 0
    key = np.arange(op.source.size)
    routed = paths(topology, exchange.routing, op.source, op.target, exchange.seed, key)
    position = _positions(topology)
    first_tx, first_rx = topology.first(LinkKind.PORT_TX), topology.first(LinkKind.PORT_RX)
    sizes, inside = whole_bytes(op.size_bytes), 0
    for flow in range(op.source.size):
        span = slice(routed.ptr[flow], routed.ptr[flow + 1])
        links, share = routed.link_ids[span], routed.share[span]
        kind = routed.kind[links]
        sent, got = kind == LinkKind.PORT_TX, kind == LinkKind.PORT_RX
        if not sent.any():
            inside += 1
        for out, part in zip(links[sent].tolist(), share[sent].tolist(), strict=True):
            plane = int(topology.link_plane[out])
            back = next(link for link in links[got].tolist() if topology.link_plane[link] == plane)
            row = (
                int(position[out - first_tx]),
                int(position[back - first_rx]),
                max(1, round(sizes[flow] * part)),
            )
            found[plane].append(row)
    return dict(found), inside


def _positions(topology: Topology) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number of each endpoint in its plane, leaf by leaf, as the nodes of a .topo lie."""
    plane, leaf = topology.endpoint_plane, topology.endpoint_switch
    position = np.zeros(plane.size, dtype=np.int64)
    for each in np.unique(plane):
        mine = np.flatnonzero(plane == each)
        position[mine[np.argsort(leaf[mine], kind="stable")]] = np.arange(mine.size)
    return position


def _starts(exchange: Exchange) -> list[float]:
    """When each operation starts if transfers took no time: launches and compute alone."""
    start: list[float] = []
    for op in exchange.ops:
        before = max((start[b] + exchange.ops[b].seconds for b in op.after), default=0.0)
        start.append(before + op.delay_s)
    return start


def _matrix(
    exchange: Exchange, ops: list[tuple[int, list[tuple[int, int, int]]]], starts: list[float]
) -> str:
    nodes = exchange.topology.endpoints // exchange.topology.planes
    here = {number for number, _ in ops}
    behind = _behind(exchange, here)
    lines: list[str] = []
    triggers: list[str] = []
    connection = trigger = 0
    done: dict[int, int] = {}  # operation -> its barrier
    setting = {number for before in behind.values() for number in before}
    for number, flows in ops:
        before = [done[b] for b in behind[number]]
        begin = f"start {round(starts[number] * 1e12)}"
        if before:
            begin = f"trigger {before[-1]}"  # the last of them: a connection has one trigger
        if number in setting:
            trigger += 1
            done[number] = trigger
            triggers.append(f"trigger id {trigger} barrier count {len(flows)}")
        for source, target, size in flows:
            parts = [MOST_BYTES] * (size // MOST_BYTES) + ([size % MOST_BYTES] if size % MOST_BYTES else [])
            start = begin
            for n, part in enumerate(parts):
                connection += 1
                line = f"{source}->{target} id {connection} {start} size {part}"
                if n < len(parts) - 1:
                    trigger += 1
                    triggers.append(f"trigger id {trigger} oneshot")
                    line += f" send_done_trigger {trigger}"
                    start = f"trigger {trigger}"
                elif number in done:
                    line += f" send_done_trigger {done[number]}"
                lines.append(line)
    head = [
        f"Nodes {nodes}",
        f"Connections {len(lines)}",
        *([f"Triggers {len(triggers)}"] if triggers else []),
    ]
    return "\n".join([*head, *lines, *triggers]) + "\n"


def _behind(exchange: Exchange, here: set[int]) -> dict[int, list[int]]:
    """The operations of this plane that each stands behind, over those that are not in it."""
    known: dict[int, list[int]] = {}
    for number, op in enumerate(exchange.ops):
        found = {one for b in op.after for one in ([b] if b in here else known[b])}
        known[number] = sorted(found)
    return known


def _topo(topology: Topology) -> str:
    """One plane; all leaves alike, as the format wants them."""
    tree, spec = topology.structure, topology.spec
    leaves = int(np.unique(tree.leaf_down).size > 1 or np.unique(tree.leaf_cables).size > 1)
    if leaves and tree.leaves > 1:
        raise NetsimError(
            f"htsim: leaves of {topology.name} at {topology.gpus} GPUs differ, which a .topo cannot say: fill them"
        )
    down = int(tree.leaf_down[0])
    nodes = topology.endpoints // topology.planes
    gbps = spec.switch.port_rate * 8 / 1e9
    hop = spec.latency.switch_hop * 1e9
    tiers = max(2, topology.tiers)
    lines = [f"Nodes {nodes}", f"Tiers {tiers}", f"Podsize {nodes // tree.pods if tree.cores else nodes}"]
    ups = [max(1, tree.spines), max(1, tree.cores), 0]
    downs = [down, max(1, tree.leaves // max(1, tree.pods)), max(1, tree.pods)]
    bundles = [1, int(tree.leaf_cables[0]) or 1, int(tree.spine_cables[0]) if tree.cores else 1]
    for tier in range(tiers):
        lines += [
            "", f"Tier {tier}", f"Downlink_speed_Gbps {gbps:.15g}", f"Radix_Down {downs[tier] * bundles[tier]}",
            *([f"Radix_Up {ups[tier] * bundles[tier + 1]}"] if tier < tiers - 1 else []),
            f"Downlink_Latency_ns {hop:.15g}", "Switch_Latency_ns 0", "Oversubscribed 1", f"Bundle {bundles[tier]}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
