"""What is exported, whatever the format: operations in order, each a set of flows that start together, or compute.

A collective is its repetitions one after the other, behind its launch and latencies; where its library moves data more
slowly than the fabric could, an operation without flows lasts as long as the library (`Chosen.least_s`), beside the
flows. An incast is a flow from every GPU to GPU 0. A step is in `netsim.exporters.step_traffic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.drain import drain_transfers
from netsim.collectives.overhead import Paths
from netsim.collectives.plan import Group, spread
from netsim.collectives.sweep import Setup, groups_of, sweep
from netsim.collectives.transfers import Transfers
from netsim.errors import NetsimError, did_you_mean
from netsim.specs import Routing
from netsim.topologies import Topology

Ints = NDArray[np.int64]
#: flows of an export, and of one that is text for each flow
MAX_FLOWS = 1_000_000
INCAST = "incast"
WHATS = ("step", "phase", INCAST, *COLLECTIVES)


@dataclass(frozen=True)
class Op:
    """One operation. `delay_s` after all of `after` (numbers of operations before it) its flows start together, or its
    compute of `seconds` runs on `gpus`; it ends when both have.

    cap : most bytes/s of a flow, inf for none
    """

    name: str
    gpus: Ints
    after: tuple[int, ...] = ()
    delay_s: float = 0.0
    seconds: float = 0.0
    source: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    target: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    size_bytes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cap: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Exchange:
    """Everything that is exported. `time_s` : netsim's own; `kind`, `collective_bytes` : of a whole collective"""

    what: str
    topology: Topology
    routing: Routing
    seed: int
    ops: tuple[Op, ...]
    time_s: float
    kind: str = ""
    collective_bytes: int = 0
    said: tuple[str, ...] = ()
    step: Any = None

    @property
    def flows(self) -> int:
        return sum(op.source.size for op in self.ops)


def whole_bytes(size_bytes: NDArray[np.float64]) -> Ints:
    """Sizes in whole bytes, as the formats want them; at least one."""
    return np.maximum(1, np.rint(size_bytes)).astype(np.int64)


def collective_exchange(
    setup: Setup, kind: str, size_bytes: int, algorithm: str = "auto", group_size: int | None = None
) -> Exchange:
    """A collective of all GPUs (or of groups of them, all at once) as operations.

    Raises NetsimError for an unknown kind or algorithm, and for more flows than can be written.
    """
    topology = setup.topology
    if kind == INCAST:
        return _incast(setup, size_bytes)
    if kind not in COLLECTIVES:
        raise NetsimError(f"no traffic {kind!r}: {did_you_mean(kind, WHATS)}")
    rows = groups_of(topology.gpus, group_size or topology.gpus)
    groups = [Group.of(row, topology.gpus_per_host) for row in rows]
    members = np.stack([group.grid.ravel() for group in groups])
    chosen = setup.library.choose(kind, groups[0].hosts, groups[0].width, float(size_bytes), algorithm)
    flows = spread(chosen.plan.transfers, members)
    repeats = chosen.plan.repeats
    if len(flows) * repeats > MAX_FLOWS:
        raise NetsimError(
            f"{len(flows) * repeats:,} flows, at most {MAX_FLOWS:,} are written: use fewer GPUs"
        )
    drained = drain_transfers(topology, flows, setup.routing, setup.seed)
    fixed_s = setup.library.fixed_s(chosen, Paths(drained.local_latency_s, drained.remote_latency_s))
    each = flows.share * chosen.moved_bytes / repeats
    ops = _repeated(kind, flows, each, fixed_s, repeats)
    if chosen.least_s:
        ops += (Op("library", np.arange(topology.gpus), (), fixed_s, chosen.least_s),)
    (row,) = sweep(setup, kind, rows, [size_bytes], algorithm)
    said = (f"{kind} by {chosen.algorithm}, {chosen.protocol}: {repeats} sets of {len(flows):,} flows",)
    return Exchange(
        kind, topology, setup.routing, setup.seed, ops, row.time_us * 1e-6, kind, size_bytes, said
    )


def _repeated(
    kind: str, flows: Transfers, each: NDArray[np.float64], fixed_s: float, repeats: int
) -> tuple[Op, ...]:
    gpus = np.union1d(flows.source, flows.target)
    cap = np.full(len(flows), np.inf)
    return tuple(
        Op(f"{kind} {n}", gpus, (n - 1,) if n else (), 0.0 if n else fixed_s, 0.0,
           flows.source, flows.target, each, cap)
        for n in range(repeats)
    )  # fmt: skip


def _incast(setup: Setup, size_bytes: int) -> Exchange:
    """Every GPU outside the first host sends to GPU 0."""
    topology = setup.topology
    source = np.arange(topology.gpus_per_host, topology.gpus, dtype=np.int64)
    if not source.size:
        raise NetsimError("incast: needs a second host")
    target = np.zeros_like(source)
    flows = Transfers(source, target, np.ones(source.size), np.full(source.size, np.inf))
    drained = drain_transfers(topology, flows, setup.routing, setup.seed)
    size = np.full(source.size, float(size_bytes))
    op = Op(
        INCAST,
        np.append(0, source),
        (),
        drained.remote_latency_s,
        0.0,
        source,
        target,
        size,
        flows.kernel_share,
    )
    time_s = drained.remote_latency_s + drained.seconds * size_bytes
    said = (f"incast of {source.size} GPUs to GPU 0",)
    return Exchange(INCAST, topology, setup.routing, setup.seed, (op,), time_s, said=said)


def summary(exchange: Exchange) -> Mapping[str, Any]:
    """The record that goes with every export, by which results are compared with netsim's."""
    topology = exchange.topology
    return {
        "what": exchange.what, "topology": topology.name, "gpus": topology.gpus, "hosts": topology.hosts,
        "planes": topology.planes, "routing": exchange.routing, "seed": exchange.seed,
        "operations": len(exchange.ops), "flows": exchange.flows,
        "bytes": float(sum(op.size_bytes.sum() for op in exchange.ops)), "netsim_s": exchange.time_s,
    }  # fmt: skip
