"""Dispatch and combine on an otherwise idle fabric, in the columns of DeepEP's tables.

Logical GB/s count a token once for every host that it visits, its own included (normal mode, several hosts), once for
every GPU (normal mode, one host: NVLink), or once for every expert (low-latency mode), at its payload: FP8 values with
their scales, or BF16. Wire GB/s count every byte that a GPU puts on its NIC. Under the `deepep` gate messages are
those of DeepEP's tests, which carry no expert indices or weights.

Modelled: bytes, the slower of NIC and NVLink, idle path latency, one launch constant for low-latency kernels, and with
`beside_compute` the rate that the kernels were seen to reach on 20 SMs with compute beside them. Left out: the ramp of
a pipelined exchange, and how a late rank delays the others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.drain import Drained, drain_transfers
from netsim.collectives.experts import EXCHANGES, LOOPBACK, routed_exchange
from netsim.collectives.plan import Group, Plan, together
from netsim.collectives.sweep import Setup, groups_of
from netsim.errors import NetsimError, did_you_mean
from netsim.specs.workload import MoeSpec
from netsim.topologies import Topology
from netsim.workloads.expert_load import contiguous, packed, parse_load, route_tokens
from netsim.workloads.moe import Gate, RoutingStatistics, payload_bytes, routing_statistics, token_bytes

Kind = Literal["dispatch", "combine"]
KINDS: tuple[Kind, ...] = ("dispatch", "combine")
_MASK = 0x10AD


@dataclass(frozen=True)
class Tokens:
    """What is exchanged: tokens a rank, their width and gate; how popular experts are and where they sit.

    load : None for balanced, else see `netsim.workloads.expert_load`; redundant : None for experts side by side, else
    they are packed by load with so many replicas; kernel_bytes_per_s : on the NIC, by kind
    """

    moe: MoeSpec
    hidden: int
    tokens: int
    gate: Gate = "deepep"
    load: str | None = None
    redundant: int | None = None
    kernel_bytes_per_s: dict[str, float] | None = None
    dispatch: str = "fp8"
    combine: str = "bf16"

    def message_bytes(self, kind: Kind) -> float:
        """Bytes of a token on the wire."""
        name = "cached_dispatch" if kind == "dispatch" and self.gate == "deepep" else kind
        top_k = 0 if self.gate == "deepep" else self.moe.top_k
        return token_bytes(name, self.hidden, top_k, self._precision(kind))

    def payload_bytes(self, kind: Kind) -> float:
        """Bytes of a token as DeepEP counts them."""
        return payload_bytes(self.hidden, self._precision(kind))

    def _precision(self, kind: Kind) -> str:
        return self.dispatch if kind == "dispatch" else self.combine


@dataclass(frozen=True)
class ExchangeRow:
    """One kernel at one width. p50, p99 and the slowest are over ranks; `ranks` is the expert-parallel width."""

    kind: str
    algorithm: str
    ranks: int
    groups: int
    tokens: int
    size_bytes: int
    time_us: float
    p50_us: float
    p99_us: float
    wire_GBps: float
    nvlink_GBps: float
    logical_GBps: float
    hosts_per_token: float
    devices_per_token: float
    bottleneck: str
    utilisation: float
    hottest_over_mean: float

    def record(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Traffic:
    """What all groups move, means over their tokens, and the most loaded device over the mean one."""

    groups: list[Group]
    plan: Plan
    routing: RoutingStatistics
    hottest: float = 1.0


def exchange(setup: Setup, kind: Kind, ranks: int, tokens: Tokens, mode: str = "normal") -> ExchangeRow:
    """Time one dispatch or combine of `ranks`-way expert parallelism; every group of the cluster runs at once.

    Raises NetsimError for an unknown mode, and widths that do not divide the experts or the cluster.
    """
    if mode not in EXCHANGES:
        raise NetsimError(f"no exchange {mode!r}: {did_you_mean(mode, EXCHANGES)}")
    if tokens.moe.experts % ranks:
        raise NetsimError(f"{ranks}-way expert parallelism, must divide {tokens.moe.experts} experts")
    groups = [Group.of(g, setup.topology.gpus_per_host) for g in groups_of(setup.topology.gpus, ranks)]
    if tokens.load is None:
        traffic = _balanced(setup, groups, tokens, mode)
    else:
        traffic = _sampled(setup, kind, groups, tokens, mode)
    rate = (tokens.kernel_bytes_per_s or {}).get(kind, np.inf)
    drained = drain_transfers(
        setup.topology, traffic.plan.transfers, setup.routing, setup.seed, rate, mode in LOOPBACK
    )
    return _row(setup, kind, tokens, mode, traffic, drained)


def _balanced(setup: Setup, groups: list[Group], tokens: Tokens, mode: str) -> _Traffic:
    """Every rank sends and receives the mean."""
    per_host = setup.topology.gpus_per_host
    routing = routing_statistics(tokens.moe, groups[0].ranks, per_host, setup.seed, gate=tokens.gate)
    plans = [EXCHANGES[mode](group, routing, tokens.moe.top_k) for group in groups]
    return _Traffic(groups, together(plans), routing)


def _sampled(setup: Setup, kind: Kind, groups: list[Group], tokens: Tokens, mode: str) -> _Traffic:
    """Every token of every rank, counted."""
    moe, per_host, ranks = tokens.moe, setup.topology.gpus_per_host, groups[0].ranks
    rng = np.random.default_rng([setup.seed, _MASK])
    load = parse_load(tokens.load or "uniform", moe.experts, rng)
    where = contiguous(moe.experts, ranks)
    if tokens.redundant is not None:
        where = packed(load, ranks, per_host, tokens.redundant)
    found = [route_tokens(moe, where, ranks, per_host, tokens.tokens, load, tokens.gate, rng) for _ in groups]
    pairs = zip(groups, found, strict=True)
    plans = [routed_exchange(group, routed, mode, kind == "combine") for group, routed in pairs]
    seen = ranks * tokens.tokens * len(groups)
    hosts = sum(int(routed.to_host.sum()) for routed in found) / seen
    devices = sum(int(routed.inside.sum()) for routed in found) / seen
    hottest = max(float(routed.received.max() / routed.received.mean()) for routed in found)
    return _Traffic(groups, together(plans), RoutingStatistics(groups[0].hosts, hosts, devices), hottest)


def _row(
    setup: Setup, kind: Kind, tokens: Tokens, mode: str, traffic: _Traffic, drained: Drained
) -> ExchangeRow:
    unit = tokens.tokens * tokens.message_bytes(kind)
    plan, routing, several = traffic.plan, traffic.routing, traffic.groups[0].hosts > 1
    spec = setup.protocol.exchange
    launch = spec.normal if mode == "normal" else spec.low_latency
    fixed = launch + (drained.remote_latency_s or drained.local_latency_s)
    per_rank = fixed + unit * _rank_finish(drained, plan, setup.topology.gpus)
    seconds = float(per_rank.max())
    copies = float(tokens.moe.top_k)
    if mode == "normal":
        copies = routing.hosts if several else routing.devices
    return ExchangeRow(
        kind=kind,
        algorithm=mode,
        ranks=traffic.groups[0].ranks,
        groups=len(traffic.groups),
        tokens=tokens.tokens,
        size_bytes=round(unit),
        time_us=seconds * 1e6,
        p50_us=float(np.percentile(per_rank, 50)) * 1e6,
        p99_us=float(np.percentile(per_rank, 99)) * 1e6,
        wire_GBps=float(drained.sent.mean()) * unit / seconds / 1e9,
        nvlink_GBps=0.0 if mode in LOOPBACK else _inside(plan, setup.topology) * unit / seconds / 1e9,
        logical_GBps=copies * tokens.tokens * tokens.payload_bytes(kind) / seconds / 1e9,
        hosts_per_token=routing.hosts,
        devices_per_token=routing.devices,
        bottleneck="latency" if fixed > seconds - fixed else drained.bottleneck,
        utilisation=drained.link_load * (seconds - fixed) / seconds,
        hottest_over_mean=traffic.hottest,
    )


def _inside(plan: Plan, topology: Topology) -> float:
    """Bytes that a GPU sends within its host, mean over GPUs, per byte of the unit."""
    flows, per_host = plan.transfers, topology.gpus_per_host
    local = flows.source // per_host == flows.target // per_host
    return float(flows.share[local].sum()) / topology.gpus


def _rank_finish(drained: Drained, plan: Plan, gpus: int) -> NDArray[np.float64]:
    """When each GPU has sent and received everything, per byte of the unit."""
    finish = np.zeros(gpus)
    np.maximum.at(finish, plan.transfers.source, drained.finish_s)
    np.maximum.at(finish, plan.transfers.target, drained.finish_s)
    return finish
