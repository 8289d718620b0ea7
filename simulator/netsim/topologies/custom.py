"""A fabric from an edge list as a family: whatever shape it has, with shortest paths by distance between switches.

Hosts are used in order; a job smaller than the list leaves the last hosts idle and their switches in place. Switch
sizes are those of the spec, as far as the price is concerned: a switch with more cables than `switch.radix` is refused.

Left out: tiers (so no oversubscription), and paths that are not shortest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, TopologySpec, catalog, files
from netsim.topologies.direct import check_flat
from netsim.topologies.edge_list import Edges, planes_of, read_edges
from netsim.topologies.fabric import Fabric, Family

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """Switches by distance: (switches, switches) hops, -1 where there is no path.

    peer, adjacency, ahead : for neighbour n of a switch (CSR by `first`): the switch, the adjacency, and whether the
        adjacency's cables run towards it
    first_cable, cables : (adjacencies,) first cable, number of parallel ones
    """

    distance: NDArray[np.int16]
    first: Ints
    peer: Ints
    adjacency: Ints
    ahead: NDArray[np.bool_]
    first_cable: Ints
    cables: Ints


def _path(spec: TopologySpec) -> Path:
    if not spec.custom.edges:
        raise SpecError(spec.name, "custom.edges", "", "must name a CSV of cables: a,b,rate,cables")
    path = files.expand(spec.custom.edges)
    beside = catalog.folder("topology") / spec.custom.edges
    if not path.is_file() and not beside.is_file():
        raise SpecError(spec.name, "custom.edges", spec.custom.edges, "no such file")
    return path if path.is_file() else beside


@lru_cache(maxsize=4)
def _read(path: Path, _digest: str) -> Edges:
    return read_edges(path)


def _edges(spec: TopologySpec, hardware: HardwareSpec) -> Edges:
    check_flat(spec)
    path = _path(spec)
    edges = _read(path, files.digest(path))
    several, rest = divmod(edges.nics, hardware.nics_per_host)
    if several > 1 and not rest:  # NICs of a GPU as ports of one (`families.bonded`)
        edges = edges._replace(nics=hardware.nics_per_host, nic_ports=edges.nic_ports * several)
    if edges.nics != hardware.nics_per_host:
        rule = f"has {edges.nics} NICs a host, {hardware.name} has nics_per_host = {hardware.nics_per_host}"
        raise SpecError(spec.name, "custom.edges", spec.custom.edges, rule)
    ends = (edges.lower, edges.upper, edges.port_switch)
    weight = (edges.cables, edges.cables, np.ones(edges.port_switch.size))
    used = np.bincount(np.concatenate(ends), np.concatenate(weight))
    if used.max() > spec.switch.radix:
        name = edges.switches[int(used.argmax())]
        rule = f"{name} has {used.max():.0f} cables: give the size of your switches"
        raise SpecError(spec.name, "switch.radix", spec.switch.radix, rule)
    return edges


def _fabric(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
    edges = _edges(spec, hardware)
    plane, taken = planes_of(edges), hosts * edges.nics * edges.nic_ports
    seats = edges.port_switch[:taken]
    mesh = make_mesh(len(edges.switches), edges)
    apart = _between_nics(seats.reshape(-1, edges.nic_ports), mesh.distance)
    return Fabric(
        endpoint_plane=plane[seats],
        endpoint_switch=seats,
        switch_tier=np.ones(plane.size, dtype=np.int64),
        switch_plane=plane,
        switch_pod=np.full(plane.size, -1),
        cable_lower=np.repeat(edges.lower, edges.cables),
        cable_upper=np.repeat(edges.upper, edges.cables),
        tiers=1,
        structure=mesh,
        switch_hops=tuple(int(hops) + 1 for hops in apart if hops >= 0),
        nic_ports=edges.nic_ports,
        port_rate=edges.port_rate[:taken],
        cable_rate=np.repeat(edges.rate, edges.cables),
    )


def _between_nics(seats: Ints, distance: NDArray[np.int16]) -> Ints:
    """Hops between the nearest ports of two NICs, all that occur; seats : (NICs, ports) switches."""
    kinds = np.unique(np.sort(seats, axis=1), axis=0)
    far = np.iinfo(np.int16).max
    reached = np.where(distance < 0, far, distance)
    nearest = np.full((len(kinds), len(kinds)), far, dtype=np.int64)
    for mine in kinds.T:
        for other in kinds.T:
            nearest = np.minimum(nearest, reached[np.ix_(mine, other)])
    return np.unique(nearest[nearest < far])


def make_mesh(switches: int, edges: Edges) -> Mesh:
    """Neighbours and distances."""
    number = np.arange(edges.lower.size)
    here = np.concatenate([edges.lower, edges.upper])
    order = np.argsort(here, kind="stable")
    first = np.searchsorted(here[order], np.arange(switches + 1))
    return Mesh(
        distance=_distances(switches, edges),
        first=first,
        peer=np.concatenate([edges.upper, edges.lower])[order],
        adjacency=np.concatenate([number, number])[order],
        ahead=np.repeat([True, False], number.size)[order],
        first_cable=np.cumsum(edges.cables) - edges.cables,
        cables=edges.cables,
    )


def _distances(switches: int, edges: Edges) -> NDArray[np.int16]:
    """Breadth first from every switch; (switches, switches) hops, -1 where there is no path."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import shortest_path

    ends = (np.concatenate([edges.lower, edges.upper]), np.concatenate([edges.upper, edges.lower]))
    near = coo_array((np.ones(ends[0].size), ends), shape=(switches, switches)).tocsr()
    hops = shortest_path(near, unweighted=True)
    return np.where(np.isinf(hops), -1, hops).astype(np.int16)


CUSTOM = Family(
    lambda spec, hardware: _edges(spec, hardware).hosts,
    lambda spec, hardware: f"{spec.custom.edges} lists {_edges(spec, hardware).hosts} hosts",
    _fabric,
)
