"""What must hold of any built fabric, by name; `build` runs them all on the finished graph.

ports      no switch uses more ports than its radix
connected  every plane is one fabric: each of its switches reaches every other (a NIC has a port on one)
balanced   a switch has equally many cables to every switch of a tier above that it reaches
oversubscription   no switch has more capacity below than the stated multiple of the capacity above
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.topologies.graph import TIERS, LinkKind, NodeKind, Topology


class CheckError(NetsimError):
    """A fabric that breaks one of the checks: the family, not the user, is wrong."""


def check(topology: Topology) -> None:
    """Run every check.

    Raises CheckError naming the check, the switch and the number that breaks it.
    """
    for name, rule in CHECKS.items():
        complaint = rule(topology)
        if complaint:
            raise CheckError(f"{topology.name} with {topology.gpus} GPUs: {name}: {complaint}")


def ports_used(topology: Topology) -> NDArray[np.int64]:
    """Ports in use of every switch, (switches,)."""
    down, up = capacity_used(topology, np.ones(topology.n_links))
    return np.asarray(down + up, dtype=np.int64)


def capacity_used(
    topology: Topology, per_link: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of `per_link` over the cables below and above each switch, (switches,) each."""
    ports, ups = topology.links(LinkKind.PORT_TX), topology.links(LinkKind.UP)
    first, count = topology.first_switch, topology.switches
    low = np.concatenate(
        [topology.link_dst[ports.start : ports.stop], topology.link_dst[ups.start : ups.stop]]
    )
    weight = np.concatenate([per_link[ports.start : ports.stop], per_link[ups.start : ups.stop]])
    high = topology.link_src[ups.start : ups.stop]
    return (
        np.bincount(low - first, weights=weight, minlength=count).astype(np.float64),
        np.bincount(high - first, weights=per_link[ups.start : ups.stop], minlength=count).astype(np.float64),
    )


def oversubscription(topology: Topology) -> tuple[float, ...]:
    """The worst ratio of line rate below to line rate above, for each tier that has one above."""
    down, up = capacity_used(topology, topology.nominal_bytes_per_s)
    tier = topology.node_tier[topology.first_switch :]
    ratios = [(down[tier == t] / up[tier == t]).max() for t in range(1, topology.tiers)]
    return tuple(round(float(ratio), 6) for ratio in ratios)


def _ports(topology: Topology) -> str:
    used = ports_used(topology)
    worst = int(used.argmax())
    if used[worst] <= topology.radix:
        return ""
    return f"{_switch(topology, worst)} uses {used[worst]} ports of {topology.radix}"


def _connected(topology: Topology) -> str:
    """Labels spread along links until they stop: a plane must end with one label."""
    label = np.arange(topology.n_nodes)
    up, end = topology.first(LinkKind.UP), topology.n_links
    source, target = topology.link_src[up:end], topology.link_dst[up:end]
    while True:
        before = label.copy()
        np.minimum.at(label, target, label[source])
        label = label[label]  # a label's own label: halves the way to go
        if (label == before).all():
            break
    fabric = topology.node_kind == NodeKind.SWITCH
    for plane in range(topology.planes):
        parts = np.unique(label[fabric & (topology.node_plane == plane)]).size
        if parts != 1:
            return f"plane {plane} falls into {parts} parts"
    return ""


def _balanced(topology: Topology) -> str:
    ups = topology.links(LinkKind.UP)
    if not ups:
        return ""
    source, target = topology.link_src[ups.start : ups.stop], topology.link_dst[ups.start : ups.stop]
    climbs = topology.node_tier[source] < topology.node_tier[target]
    if not climbs.any():
        return ""
    source, target = source[climbs], target[climbs]
    pair, parallel = np.unique(source.astype(np.int64) * topology.n_nodes + target, return_counts=True)
    lower = pair // topology.n_nodes
    start = np.flatnonzero(np.diff(lower, prepend=-1))
    uneven = np.maximum.reduceat(parallel, start) != np.minimum.reduceat(parallel, start)
    if not uneven.any():
        return ""
    return (
        f"{_switch(topology, int(lower[start[uneven.argmax()]]) - topology.first_switch)} has uneven uplinks"
    )


def _oversubscription(topology: Topology) -> str:
    # stated in ports of one rate; NICs slower than the switch only make it better
    for tier, (found, stated) in enumerate(
        zip(oversubscription(topology), topology.spec.oversubscription, strict=False), start=1
    ):
        if found > stated + 1e-6:
            return f"{TIERS[tier]} tier has {found:g}, stated {stated:g}"
    return ""


def _switch(topology: Topology, number: int) -> str:
    return f"{TIERS[topology.node_tier[topology.first_switch + number]]} switch {number}"


CHECKS: dict[str, Callable[[Topology], str]] = {
    "ports": _ports,
    "connected": _connected,
    "balanced": _balanced,
    "oversubscription": _oversubscription,
}
