"""Why ECMP loses what it loses: data-parallel collectives over a RoCE leaf and spine, under three routings.

Figure 8 of arXiv 2505.09343 shows ReduceScatter and AllGather on RoCE for TP 8, 4 and 2; its set-up is not published.
What it can have been follows from the values without collisions (57, 103 and 190 GB/s): with TP = t inside a host
of 8 GPUs there are t data-parallel groups at once, each with 8/t ranks, and so 8/t NICs and rings, on every host. Over
4 hosts a group's algbw is then (8/t) x 44.8 GB/s x n/(n - 1), n = 4 x 8/t ranks: 59.7, 102.4 and 191.1 GB/s.

Modelled: the FT2 of table 3, over RoCE; all groups at once; one ring a NIC; each host under its own leaf, so that every
hop between hosts climbs to a spine; `queue_pairs` queue pairs a connection (NCCL's default is one), each hashed to one
of the leaf's uplinks and carrying an equal share. A step of a ring is as slow as its slowest hop, and a group as its
slowest ring. Left out: congestion control, which on RoCE loses more than the fair share when flows collide, and other
traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from netsim.collectives import ring
from netsim.collectives.drain import drain_transfers
from netsim.collectives.plan import Group, together
from netsim.collectives.transfers import Transfers
from netsim.specs import HardwareSpec, Routing, TopologySpec, load
from netsim.topologies import Topology, build, max_gpus

HOSTS = 4
TP = (8, 4, 2)
ROUTINGS: tuple[Routing, ...] = ("ecmp", "adaptive", "static")
SEEDS = 100


@dataclass(frozen=True)
class Outcome:
    """One case over seeds: algbw of the mean group, GB/s, (seeds,); and the share of groups without any collision."""

    tp: int
    routing: Routing
    queue_pairs: int
    mean_GBps: NDArray[np.float64]
    slowest_GBps: NDArray[np.float64]
    clean_groups: float

    @property
    def mean(self) -> float:
        return float(self.mean_GBps.mean())

    def quantile(self, q: float) -> float:
        """A quantile over seeds."""
        return float(np.quantile(self.mean_GBps, q))


def outcome(
    tp: int, routing: Routing, seeds: Sequence[int], queue_pairs: int = 1, gpus: int | None = None
) -> Outcome:
    """Run one case on a fabric of `gpus` GPUs (all it can hold when None); routings without a hash need one seed."""
    topology, hosts = _fabric(gpus)
    groups = data_parallel_groups(hosts, topology.gpus_per_host, tp)
    flows = _split(together([ring.scatter(group) for group in groups]).transfers, queue_pairs)
    used = list(seeds) if routing == "ecmp" else [0]
    algbw = np.array([_algbw(topology, flows, routing, seed, groups) for seed in used])
    best = groups[0].width * topology.hardware.nic.line_rate * topology.hardware.nic.goodput_fraction
    ranks = groups[0].ranks
    clean = algbw > 0.999 * best * ranks / (ranks - 1) / 1e9
    return Outcome(tp, routing, queue_pairs, algbw.mean(axis=1), algbw.min(axis=1), float(clean.mean()))


def data_parallel_groups(hosts: NDArray[np.int64], per_host: int, tp: int) -> list[Group]:
    """Groups of equal tensor-parallel index: GPU j, j + tp, ... of every host.

    >>> [g.grid.tolist() for g in data_parallel_groups(np.array([0, 2]), 4, 2)]
    [[[0, 2], [8, 10]], [[1, 3], [9, 11]]]
    """
    return [
        Group.of((hosts[:, None] * per_host + np.arange(j, per_host, tp)).ravel(), per_host)
        for j in range(tp)
    ]


def clean_probability(tp: int, uplinks: int = 32, per_host: int = 8) -> float:
    """Probability that no flow of a group shares an uplink, over all its hosts, with one queue pair.

    On a leaf the group's w = 8/tp flows take w different uplinks, and the 8 - w others avoid them. The 8 flows that
    come down to a leaf come from one other leaf, so with one cable from each spine they meet where they met going up.

    >>> round(clean_probability(8), 2), round(clean_probability(2), 3)
    (0.41, 0.054)
    """
    width = per_host // tp
    apart = np.prod([(uplinks - i) / uplinks for i in range(width)])
    return float((apart * ((uplinks - width) / uplinks) ** (per_host - width)) ** HOSTS)


@lru_cache(maxsize=4)
def _fabric(gpus: int | None) -> tuple[Topology, NDArray[np.int64]]:
    """The RoCE fabric, and the hosts used: one under each leaf."""
    spec = load(TopologySpec, "topology", "ft2_roce")
    hardware = load(HardwareSpec, "hardware", "h800")
    per_leaf = spec.switch.radix // 2 // hardware.nics_per_host
    return build(spec, hardware, gpus or max_gpus(spec, hardware)), np.arange(HOSTS) * per_leaf


def _split(flows: Transfers, parts: int) -> Transfers:
    """Every flow as `parts` equal ones, one a queue pair."""
    return Transfers(
        np.repeat(flows.source, parts),
        np.repeat(flows.target, parts),
        np.repeat(flows.share / parts, parts),
        np.repeat(flows.kernel_share, parts),
    )


def _algbw(
    topology: Topology, flows: Transfers, routing: Routing, seed: int, groups: list[Group]
) -> NDArray[np.float64]:
    """GB/s of each group."""
    finish = drain_transfers(topology, flows, routing, seed).finish_s.reshape(len(groups), -1).max(axis=1)
    return np.asarray(1.0 / (finish * (groups[0].ranks - 1)) / 1e9, dtype=np.float64)
