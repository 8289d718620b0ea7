"""A topology as the links, queues and hops of the kernel.

A cable is two links; each has a queue at its tail, a rate, and a pipe whose delay is the idle latency of the link. The
PCIe links between a GPU and its NIC are folded into the NIC's ports: the port is as fast as the slower of the two, and
its pipe has both latencies, so an idle path takes what the topology says, plus the time that packets take to be sent.

    line       the nominal rate of every link; headers take their part of it
    achieved   what the topology says a link achieves (the fluid network's capacity)

Left out: queues between GPU and NIC, and the inside of an NVSwitch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from netsim.congestion.state import CLASSES, PORT, PS, QUEUE, SWITCH, Ints, Records
from netsim.errors import NetsimError
from netsim.topologies import LinkKind, Topology

Rates = Literal["line", "achieved"]
#: the table of next hops grows with the square of the switches
MAX_SWITCHES = 4096


class Network(NamedTuple):
    """Links, queues and switches of a fabric, and the way from each switch to each.

    away : (n_switches, n_switches) switches on from one to another, -1 for none
    """

    ports: Records
    queues: Records
    switches: Records
    hops: Ints
    links: NDArray[np.int32]
    away: NDArray[np.int16]
    nic: Ints


def network_of(topology: Topology, rates: Rates) -> Network:
    """The fabric at rest.

    Raises NetsimError when it has too many switches for a table of all pairs.
    """
    n = topology.switches
    if n > MAX_SWITCHES:
        raise NetsimError(f"{n:,} switches, the packet engine holds at most {MAX_SWITCHES:,}: use fewer GPUs")
    ports = _ports(topology, rates)
    hops, links, away = next_hops(ports, n)
    nic = np.array(
        [topology.first(LinkKind.PORT_TX), topology.first(LinkKind.PORT_RX), topology.nic_ports, n], np.int64
    )
    queues = np.zeros(CLASSES * ports.size, QUEUE)
    queues["head"] = queues["tail"] = -1
    return Network(ports, queues, np.zeros(n, SWITCH), hops, links, away, nic)


def _ports(topology: Topology, rates: Rates) -> Records:
    rate = topology.capacity_bytes_per_s if rates == "achieved" else topology.nominal_bytes_per_s
    rate, delay = rate.copy(), topology.latency_s.copy()
    pcie, tx = topology.first(LinkKind.PCIE_TX), topology.first(LinkKind.PORT_TX)
    a_nic = rate[pcie] * topology.gpus_per_nic / topology.nic_ports
    rate[tx : tx + 2 * topology.endpoints] = np.minimum(rate[tx : tx + 2 * topology.endpoints], a_nic)
    delay[tx : tx + 2 * topology.endpoints] += topology.latency_s[pcie]
    ports = np.zeros(topology.n_links, PORT)
    ports["ps_per_byte"] = PS / rate
    ports["delay"] = np.round(delay * PS)
    for name in ("pipe_head", "pipe_tail", "ring"):
        ports[name] = -1
    ports["up"] = ports["known"] = 1
    first = topology.first_switch
    ports["source"] = np.where(topology.link_src >= first, topology.link_src - first, -1)
    ports["target"] = np.where(topology.link_dst >= first, topology.link_dst - first, -1)
    kinds = {LinkKind.SCALE_UP_TX: 1, LinkKind.SCALE_UP_RX: 2, LinkKind.PORT_TX: 3, LinkKind.PORT_RX: 4}
    opposite = {
        LinkKind.SCALE_UP_TX: LinkKind.SCALE_UP_RX,
        LinkKind.PCIE_TX: LinkKind.PCIE_RX,
        LinkKind.PORT_TX: LinkKind.PORT_RX,
        LinkKind.UP: LinkKind.DOWN,
    }
    for kind, number in kinds.items():
        ports["host_kind"][topology.link_kind == kind] = number
    for one, other in opposite.items():
        here, there = topology.links(one), topology.links(other)
        ports["reverse"][here.start : here.stop] = np.arange(there.start, there.stop)
        ports["reverse"][there.start : there.stop] = np.arange(here.start, here.stop)
    return ports


def next_hops(ports: Records, n: int) -> tuple[Ints, NDArray[np.int32], NDArray[np.int16]]:
    """CSR over (switch, target switch) of the links on shortest paths that are known to be up, and the distances."""
    between = np.flatnonzero((ports["source"] >= 0) & (ports["target"] >= 0) & (ports["known"] == 1))
    tail, head = ports["source"][between].astype(np.int64), ports["target"][between].astype(np.int64)
    graph = csr_array((np.ones(between.size), (tail, head)), shape=(n, n))
    far = shortest_path(graph, unweighted=True) if between.size else np.where(np.eye(n) == 1, 0.0, np.inf)
    away = np.where(np.isfinite(far), far, -1).astype(np.int16)
    edge = np.unique(ports["source"][(ports["source"] >= 0) & (ports["host_kind"] == 4)])
    keys, found = [], []
    for target in edge:
        closer = (away[tail, target] > 0) & (away[head, target] == away[tail, target] - 1)
        keys.append(tail[closer] * n + target)
        found.append(between[closer])
    key = np.concatenate(keys) if keys else np.zeros(0, np.int64)
    links = np.concatenate(found) if found else np.zeros(0, np.int64)
    order = np.lexsort((links, key))
    ptr = np.zeros(n * n + 1, np.int64)
    np.cumsum(np.bincount(key, minlength=n * n), out=ptr[1:])
    return ptr, links[order].astype(np.int32), away
