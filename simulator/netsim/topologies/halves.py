"""Halves of the hosts of any fabric between which little can pass, to look for the least bisection.

The least cut into equal halves is hard to find; the weakest directions of a graph are the eigenvectors of its
Laplacian with the least eigenvalues (Fiedler 1973). Hosts in the order of such a vector, cut in the middle, make a
half; so do the sums and differences of two vectors, where a torus has several alike. Each half is then measured as a
maximum flow by whoever asks, so what comes out is a cut that exists: an upper bound of the least.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from netsim.topologies.graph import LinkKind, Topology

Floats = NDArray[np.float64]

_VECTORS = 4
_NODES = 1500  # of the dense eigenproblem


def other_halves(topology: Topology, rate: Floats) -> Iterator[tuple[Floats, Floats]]:
    """What each switch sends and takes, (switches,) bytes/s, for several halves of the hosts.

    rate : (endpoints,) of the NIC ports
    """
    hosts, switches = topology.hosts, topology.switches
    if hosts < 2 or hosts + switches > _NODES:
        return
    host = np.arange(topology.endpoints) // (topology.endpoints // hosts)
    seat = topology.endpoint_switch
    for value in _directions(_laplacian(topology, host, seat, rate), hosts):
        order = np.argsort(value, kind="stable")
        first = np.zeros(hosts, dtype=bool)
        first[order[: hosts // 2]] = True
        mine = first[host]
        yield (
            np.bincount(seat, rate * mine, minlength=switches).astype(np.float64),
            np.bincount(seat, rate * ~mine, minlength=switches).astype(np.float64),
        )


def _laplacian(topology: Topology, host: NDArray[np.int64], seat: NDArray[np.int64], rate: Floats) -> Floats:
    """Of hosts, then switches, weighted by capacity."""
    hosts = topology.hosts
    ups = topology.links(LinkKind.UP)
    ends = (topology.link_src, topology.link_dst)
    lower, upper = (
        end[ups.start : ups.stop].astype(np.int64) - topology.first_switch + hosts for end in ends
    )
    weight = np.zeros((hosts + topology.switches,) * 2)
    cables = topology.nominal_bytes_per_s[ups.start : ups.stop]
    for a, b, each in ((host, seat + hosts, rate), (lower, upper, cables)):
        np.add.at(weight, (a, b), each)
        np.add.at(weight, (b, a), each)
    weight /= weight.max()
    return np.diag(weight.sum(axis=1)) - weight


def _directions(laplacian: Floats, hosts: int) -> Iterator[Floats]:
    """Positions of the hosts along the weakest directions, and along sums and differences of two of them."""
    _, vectors = np.linalg.eigh(laplacian)
    weakest = [vectors[:hosts, n] for n in range(1, min(_VECTORS + 1, vectors.shape[1]))]
    # ties are broken by the order of hosts, not by the last bit
    weakest = [np.round(vector / max(np.abs(vector).max(), 1e-300), 9) for vector in weakest]
    yield from weakest
    for one, other in combinations(weakest, 2):
        yield one + other
        yield one - other
