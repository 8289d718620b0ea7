"""Rows of a collective over message sizes, in the columns of nccl-tests: time, algbw, busbw, and what binds.

The library picks algorithm and protocol at each size (`netsim.collectives.library`). Groups of equal size run at once;
a row is about the slowest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.drain import Drained, drain_transfers
from netsim.collectives.library import Chosen, Library, Links
from netsim.collectives.overhead import Paths
from netsim.collectives.plan import Group, spread
from netsim.errors import NetsimError
from netsim.specs import Routing
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import Topology


@dataclass(frozen=True)
class Setup:
    """Where a collective runs: fabric, library, routing and the seed of its hashes."""

    topology: Topology
    protocol: ProtocolSpec
    routing: Routing
    seed: int = 0

    @cached_property
    def library(self) -> Library:
        """The library on the links of this fabric."""
        return Library(self.protocol, Links.of(self.topology))


@dataclass(frozen=True)
class Row:
    """One size. wire: bytes that a GPU puts on its NIC; logical: bytes that the collective's definition makes it send.

    `bottleneck` is `latency` when launch, steps and messages take longer than the bytes; `utilisation` is the share of
    the time that the binding link would need at its achieved rate.
    """

    kind: str
    algorithm: str
    protocol: str
    ranks: int
    groups: int
    size_bytes: int
    time_us: float
    algbw_GBps: float
    busbw_GBps: float
    wire_GBps: float
    logical_GBps: float
    bottleneck: str
    utilisation: float

    def record(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def groups_of(gpus: int, size: int) -> NDArray[np.int64]:
    """Contiguous groups, (groups, size).

    Raises NetsimError when the size does not divide the GPUs.

    >>> groups_of(4, 2).tolist()
    [[0, 1], [2, 3]]
    """
    if size < 2 or gpus % size:
        raise NetsimError(f"groups of {size} ranks, must be at least 2 and divide the {gpus} GPUs")
    return np.arange(gpus, dtype=np.int64).reshape(-1, size)


def sweep(
    setup: Setup,
    kind: str,
    groups: Iterable[object],
    sizes_bytes: Sequence[int],
    algorithm: str = "auto",
) -> list[Row]:
    """Time a collective at each size.

    groups : GPUs of each group, all of one size; they start together

    Raises NetsimError for an unknown kind or algorithm, and for groups that the algorithm cannot serve.
    """
    members = [Group.of(group, setup.topology.gpus_per_host) for group in groups]
    runs = _Runs(setup, np.stack([group.grid.ravel() for group in members]))
    library, shape = setup.library, (members[0].hosts, members[0].width)
    plans = library.plans(kind, *shape, algorithm)
    return [runs.row(library.quickest(kind, plans, shape, float(size))) for size in sizes_bytes]


@dataclass(frozen=True)
class _Runs:
    """The groups of one question, (groups, ranks) GPUs, and what was drained for them already."""

    setup: Setup
    rows: NDArray[np.int64]
    drained: dict[str, Drained] = field(default_factory=dict)

    def drain(self, chosen: Chosen) -> Drained:
        if chosen.algorithm not in self.drained:
            flows = spread(chosen.plan.transfers, self.rows)
            found = drain_transfers(self.setup.topology, flows, self.setup.routing, self.setup.seed)
            self.drained[chosen.algorithm] = found
        return self.drained[chosen.algorithm]

    def row(self, chosen: Chosen) -> Row:
        drained = self.drain(chosen)
        paths = Paths(drained.local_latency_s, drained.remote_latency_s)
        fixed, network_s = self.setup.library.fixed_s(chosen, paths), chosen.moved_bytes * drained.seconds
        moving = max(network_s, chosen.least_s)
        seconds, ranks = fixed + moving, self.rows.shape[1]
        algbw = chosen.size_bytes / seconds / 1e9
        busbw = algbw * COLLECTIVES[chosen.kind].bus_factor(ranks)
        bound = drained.bottleneck if network_s >= chosen.least_s else "kernel"
        return Row(
            kind=chosen.kind,
            algorithm=chosen.algorithm,
            protocol=chosen.protocol,
            ranks=ranks,
            groups=len(self.rows),
            size_bytes=int(chosen.size_bytes),
            time_us=seconds * 1e6,
            algbw_GBps=algbw,
            busbw_GBps=busbw,
            wire_GBps=float(drained.sent[self.rows].mean()) * chosen.plan.repeats * algbw,
            logical_GBps=busbw,
            bottleneck="latency" if fixed > moving else bound,
            utilisation=drained.link_load * network_s / seconds,
        )
