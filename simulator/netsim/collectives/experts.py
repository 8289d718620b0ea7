"""Dispatch and combine of expert parallelism, as DeepEP's kernels move them; the unit is the bytes of a rank's tokens.

normal       a token crosses the NIC once for each other host that it visits, to the GPU of the sender's index, and
             is spread there over NVLink; pipelined, so the slower of NIC and NVLink decides
low_latency  a token crosses the network once for each of its experts, straight to the expert's GPU; over NVLink to
             GPUs of the own host. `low_latency_rdma`, the first release, used the NIC for those as well: a copy to
             the own host turns round at a switch, and loads the NIC like one to another host
all_remote   as low_latency, with no copy on the own host: what the paper's bound on decoding counts

Combine runs the other way with the same flows. Left out: the reduction in combine, and the kernels' SMs.

Source: github.com/deepseek-ai/DeepEP, README and csrc at ebfe47e (2025-02-24) and de8cfca (2025-06-05).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.plan import Group, Plan
from netsim.collectives.transfers import Transfers, expert_exchange, join, nothing
from netsim.workloads.expert_load import Routed
from netsim.workloads.moe import RoutingStatistics

Exchange = Callable[[Group, RoutingStatistics, int], Plan]


def normal(group: Group, routing: RoutingStatistics, top_k: int) -> Plan:
    """Balanced dispatch or combine, NIC then NVLink."""
    flows = expert_exchange(group.grid.ravel(), group.width, routing)
    return Plan(flows, local_steps=1, remote_steps=int(group.hosts > 1))


def low_latency(group: Group, routing: RoutingStatistics, top_k: int) -> Plan:
    """Balanced low-latency dispatch or combine, NVLink within a host."""
    each = top_k / group.ranks
    return _straight(group, np.full((group.ranks, group.ranks), each))


def low_latency_rdma(group: Group, routing: RoutingStatistics, top_k: int) -> Plan:
    """The same with the NIC for the own host as well: its flows are to be routed with `loopback`."""
    return low_latency(group, routing, top_k)


def all_remote(group: Group, routing: RoutingStatistics, top_k: int) -> Plan:
    """Every copy leaves the host (in a group of one host, the GPU): the limit of many hosts, for bounds."""
    host = np.arange(group.ranks) // group.width
    away = host[:, None] != host[None, :] if group.hosts > 1 else ~np.eye(group.ranks, dtype=bool)
    return _straight(group, np.where(away, top_k / max(1, int(away[0].sum())), 0.0))


#: name -> balanced exchange; a new one is tested by being listed
EXCHANGES: dict[str, Exchange] = {
    "normal": normal,
    "low_latency": low_latency,
    "low_latency_rdma": low_latency_rdma,
    "all_remote": all_remote,
}
#: exchanges whose flows inside a host cross NICs
LOOPBACK = frozenset({"low_latency_rdma"})


def routed_exchange(group: Group, routed: Routed, mode: str, reverse: bool) -> Plan:
    """Dispatch of counted tokens, or their combine (`reverse`)."""
    if mode == "normal":
        wire, spread = _two_legs(group, routed)
        wire, spread = (_turned(wire), _turned(spread)) if reverse else (wire, spread)
        flows = join(replace(wire, kernel_share=_kernel_share(wire)), spread)
    else:
        flows = _straight(group, routed.to_device / routed.tokens).transfers
        flows = _turned(flows) if reverse else flows
    return Plan(flows, local_steps=1, remote_steps=int(group.hosts > 1))


def _two_legs(group: Group, routed: Routed) -> tuple[Transfers, Transfers]:
    """Over the NIC to the same index on each host, and from there over NVLink."""
    rank = group.grid.ravel()
    host = np.arange(group.ranks) // group.width
    source, there = np.nonzero(routed.to_host * (host[:, None] != np.arange(group.hosts)[None, :]))
    target = group.grid[there, source % group.width]
    wire = _made(rank[source], target, routed.to_host[source, there] / routed.tokens)
    at, near, far = np.nonzero(routed.inside)
    spread = routed.inside[at, near, far] / routed.tokens
    return wire, _made(group.grid[at, near], group.grid[at, far], spread)


def _turned(flows: Transfers) -> Transfers:
    return replace(flows, source=flows.target, target=flows.source)


def _kernel_share(flows: Transfers) -> NDArray[np.float64]:
    """A sender's kernel rate is shared among its flows in proportion to their bytes."""
    total = np.bincount(flows.source, flows.share)
    return np.asarray(flows.share / total[flows.source], dtype=np.float64)


def _straight(group: Group, matrix: NDArray[np.float64]) -> Plan:
    """From every rank to every other, `matrix` (ranks, ranks) units; copies to itself stay in memory."""
    rank = group.grid.ravel()
    source, target = np.nonzero(matrix * ~np.eye(group.ranks, dtype=bool))
    flows = _made(rank[source], rank[target], matrix[source, target]) if source.size else nothing()
    return Plan(flows, local_steps=int(group.hosts == 1), remote_steps=int(group.hosts > 1))


def _made(source: NDArray[np.int64], target: NDArray[np.int64], share: NDArray[np.float64]) -> Transfers:
    return Transfers(source, target, share, np.full(share.size, np.inf))
