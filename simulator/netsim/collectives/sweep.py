"""Rows of a collective over message sizes, in the columns of nccl-tests: time, algbw, busbw, and what binds.

`auto` takes the quickest of the algorithms and protocols that the library would consider at each size. Groups of equal
size run at once; a row is about the slowest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.catalogue import AUTOMATIC, COLLECTIVES, Table, latency_table
from netsim.collectives.drain import Drained, drain_transfers
from netsim.collectives.overhead import Paths, choices, efficiency, fixed_s
from netsim.collectives.plan import Group, Plan, together
from netsim.errors import NetsimError, did_you_mean
from netsim.specs import Routing
from netsim.specs.protocol import Protocol, ProtocolSpec
from netsim.topologies import Topology


@dataclass(frozen=True)
class Setup:
    """Where a collective runs: fabric, library, routing and the seed of its hashes."""

    topology: Topology
    protocol: ProtocolSpec
    routing: Routing
    seed: int = 0

    @property
    def one_switch_s(self) -> float:
        """Idle latency between two hosts under one switch."""
        latency = self.topology.spec.latency
        return latency.endpoint + latency.switch_hop


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


@dataclass(frozen=True)
class _Candidate:
    algorithm: str
    table: Table
    plan: Plan
    drained: Drained


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
    if kind not in COLLECTIVES:
        raise NetsimError(f"no collective {kind!r}: {did_you_mean(kind, COLLECTIVES)}")
    members = [Group.of(group, setup.topology.gpus_per_host) for group in groups]
    ready = [_candidate(setup, kind, name, members) for name in _algorithms(kind, algorithm)]
    return [_row(setup, kind, ready, members, int(size)) for size in sizes_bytes]


def _algorithms(kind: str, algorithm: str) -> tuple[str, ...]:
    known = COLLECTIVES[kind].algorithms
    if algorithm == "auto":
        return AUTOMATIC[kind]
    if algorithm not in known:
        raise NetsimError(
            f"no algorithm {algorithm!r} of {kind}: {did_you_mean(algorithm, [*known, 'auto'])}"
        )
    return (algorithm,)


def _candidate(setup: Setup, kind: str, algorithm: str, members: list[Group]) -> _Candidate:
    plan = together([COLLECTIVES[kind].algorithms[algorithm](group) for group in members])
    drained = drain_transfers(setup.topology, plan.transfers, setup.routing, setup.seed)
    return _Candidate(algorithm, latency_table(kind, algorithm), plan, drained)


def _row(setup: Setup, kind: str, ready: list[_Candidate], members: list[Group], size: int) -> Row:
    timed = [
        (*_time(setup, candidate, protocol, size), candidate, protocol)
        for candidate in ready
        for protocol in choices(setup.protocol, candidate.table, candidate.plan, size)
    ]
    fixed, moving, chosen, protocol = min(timed, key=lambda item: item[0] + item[1])
    seconds, ranks = fixed + moving, members[0].ranks
    algbw = size / seconds / 1e9
    busbw = algbw * COLLECTIVES[kind].bus_factor(ranks)
    sending = chosen.drained.sent[np.concatenate([group.grid.ravel() for group in members])]
    return Row(
        kind=kind,
        algorithm=chosen.algorithm,
        protocol=protocol,
        ranks=ranks,
        groups=len(members),
        size_bytes=size,
        time_us=seconds * 1e6,
        algbw_GBps=algbw,
        busbw_GBps=busbw,
        wire_GBps=float(sending.mean()) * chosen.plan.repeats * algbw,
        logical_GBps=busbw,
        bottleneck="latency" if fixed > moving else chosen.drained.bottleneck,
        utilisation=chosen.drained.link_load * moving / seconds,
    )


def _time(setup: Setup, of: _Candidate, protocol: Protocol, size: int) -> tuple[float, float]:
    """Seconds that do not depend on the size, and seconds that do."""
    paths = Paths(of.drained.local_latency_s, of.drained.remote_latency_s, setup.one_switch_s)
    fixed = fixed_s(setup.protocol, of.table, of.plan, paths, protocol)
    moved = of.plan.repeats * size / efficiency(setup.protocol, protocol)
    return fixed, moved * of.drained.seconds
