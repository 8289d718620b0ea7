"""By which NICs of the two hosts a flow may go when its path is lost, in the order in which that is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.topologies import Topology

Ints = NDArray[np.int64]


class Ways(NamedTuple):
    """Ways that flows may go: (n,) row of the flow, GPUs whose NICs it leaves and enters by, and port of the NICs."""

    row: Ints
    near: Ints
    far: Ints
    port: Ints


def _own_nics(topology: Topology, source: Ints, target: Ints) -> Ways:
    """The NICs of both GPUs; across planes, that of the target's index in the source's host."""
    per_host, per_nic, ports = topology.gpus_per_host, topology.gpus_per_nic, topology.nic_ports
    near = source
    if ports == 1 and topology.planes > 1:
        plane = topology.endpoint_plane
        apart = plane[source // per_nic] != plane[target // per_nic]
        near = np.where(apart, source // per_host * per_host + target % per_host, source)
    return Ways(
        np.repeat(np.arange(source.size), ports),
        np.repeat(near, ports),
        np.repeat(target, ports),
        np.tile(np.arange(ports), source.size),
    )


def _nics(topology: Topology, source: Ints, target: Ints, near: Ints, far: Ints) -> Ways:
    """Through given NICs of the hosts, (choices,) each, and every port."""
    per_host, per_nic = topology.gpus_per_host, topology.gpus_per_nic
    port = np.arange(topology.nic_ports)

    def gpu(of: Ints, nic: Ints) -> Ints:
        beside = of // per_host * per_host + of % per_nic
        return np.asarray(beside[:, None, None] + (nic * per_nic)[None, :, None] + 0 * port)

    row = np.arange(source.size)[:, None, None] + np.zeros((1, near.size, port.size), dtype=np.int64)
    return Ways(
        row.ravel(),
        gpu(source, near).ravel(),
        gpu(target, far).ravel(),
        np.broadcast_to(port, row.shape).ravel(),
    )


def _same_nics(topology: Topology, source: Ints, target: Ints) -> Ways:
    nic = np.arange(topology.nics // topology.hosts)
    return _nics(topology, source, target, nic, nic)


def _any_nics(topology: Topology, source: Ints, target: Ints) -> Ways:
    nics = topology.nics // topology.hosts
    near, far = np.divmod(np.arange(nics * nics), nics)
    return _nics(topology, source, target, near, far)


#: what a moved flow tries, in order
RULES: tuple[Callable[[Topology, Ints, Ints], Ways], ...] = (_own_nics, _same_nics, _any_nics)
