"""A collective as flows between GPUs: who sends to whom, and how much of the collective's unit.

Flows of a collective start together and it ends when the last of them does: the fluid limit of a transfer
pipelined over many chunks, whose time is that of its slowest resource. `share` is a flow's bytes as a fraction
of the collective's unit (for experts: a token's bytes times the tokens of a rank), so that one set of flows
serves every message size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.workloads.moe import RoutingStatistics


@dataclass(frozen=True)
class Transfers:
    """Flows of one collective.

    source, target : (n,) GPUs; share : (n,) bytes per unit; kernel_share : (n,) the part of the sender's
    communication kernel rate that the flow gets, inf where the kernel does not bind.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    share: NDArray[np.float64]
    kernel_share: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.source)


def _flows(source: NDArray[np.int64], target: NDArray[np.int64], share: float, kernel: float) -> Transfers:
    n = source.size
    return Transfers(source.ravel(), target.ravel(), np.full(n, share), np.full(n, kernel))


def join(*parts: Transfers) -> Transfers:
    """Several sets of flows as one."""
    return Transfers(
        np.concatenate([p.source for p in parts]),
        np.concatenate([p.target for p in parts]),
        np.concatenate([p.share for p in parts]),
        np.concatenate([p.kernel_share for p in parts]),
    )


def expert_exchange(gpus: NDArray[np.int64], gpus_per_host: int, routing: RoutingStatistics) -> Transfers:
    """Dispatch (or combine) of one expert-parallel group; the unit is the bytes of a rank's tokens.

    Each GPU sends `routing.remote_hosts` units over its NIC, evenly to the same-index GPUs of the other hosts, and
    `routing.devices` units over NVLink, evenly to the GPUs of its host (itself included: the copy passes
    through the same buffers). With balanced routing a combine, which runs the other way, has the same flows.

    gpus : (expert,) the group's GPUs, whole hosts (or a part of one) in order.
    """
    width = min(gpus_per_host, len(gpus))
    grid = gpus.reshape(-1, width)
    hosts = len(grid)
    fan_out = _all_pairs(grid, routing.devices / width)
    if hosts == 1:
        return fan_out
    near, far = np.nonzero(~np.eye(hosts, dtype=bool))
    wire = _flows(grid[near], grid[far], routing.remote_hosts / (hosts - 1), 1.0 / (hosts - 1))
    return join(wire, fan_out)


def _all_pairs(grid: NDArray[np.int64], share: float) -> Transfers:
    width = grid.shape[1]
    source = np.repeat(grid, width, axis=1)
    target = np.tile(grid, (1, width))
    return _flows(source, target, share, np.inf)


def point_to_point(source: NDArray[np.int64], target: NDArray[np.int64]) -> Transfers:
    """One flow of one unit from each source to its target."""
    return _flows(source, target, 1.0, np.inf)


def rings(grid: NDArray[np.int64], part: float = 1.0) -> Transfers:
    """Ring reduce-scatter (or all-gather) down each column of a grid; the unit is the bytes of a rank's buffer.

    Over n members every one passes (n - 1)/n of `part` of its buffer to its successor.

    grid : (members, rings) GPUs. Source: nccl-tests, doc/PERFORMANCE.md.
    """
    members = len(grid)
    successor = np.roll(grid, -1, axis=0)
    return _flows(grid, successor, part * (members - 1) / members, np.inf) if members > 1 else nothing()


def two_level_rings(grid: NDArray[np.int64]) -> Transfers:
    """Reduce-scatter (or all-gather) over whole hosts, both levels pipelined; unit as for `rings`.

    Inside a host every GPU passes 1/width of its buffer to each of the others over the scale-up fabric and so ends
    with that part reduced; rings between same-index GPUs then reduce it over the hosts.

    grid : (hosts, width) GPUs, a host a row.
    """
    width = grid.shape[1]
    if width == 1:
        return rings(grid)
    source, target = np.nonzero(~np.eye(width, dtype=bool))
    inside = _flows(grid[:, source], grid[:, target], 1.0 / width, np.inf)
    return join(inside, rings(grid, 1.0 / width))


def scaled(transfers: Transfers, factor: float) -> Transfers:
    """The same flows with a unit `factor` times as large."""
    return replace(transfers, share=transfers.share * factor)


def nothing() -> Transfers:
    """No flows: a collective of one member."""
    empty = np.zeros(0, dtype=np.int64)
    return Transfers(empty, empty, np.zeros(0), np.zeros(0))
