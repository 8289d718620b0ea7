"""What a collective costs besides its bytes: launch, steps and messages, under each protocol.

    steps      base + local steps x local step + remote steps x (remote step + what the path has over one switch)
    messages   base + the idle latency of each leg of the path + a cost for every remote peer, one after the other

A library without step tables (`verbs`) pays the idle latency of the path for every step. NCCL's step of a network is
that of one switch, so switches beyond the first add their hops. A byte costs 1/efficiency bytes.

Left out: the cost of local peers (below 1 us each), the jitter of hosts, and registration of buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.collectives.catalogue import Table
from netsim.collectives.plan import Plan
from netsim.specs.protocol import PROTOCOLS, Protocol, ProtocolSpec


@dataclass(frozen=True)
class Paths:
    """Idle latencies of a fabric, in seconds: inside a host, the longest between hosts used, and under one switch."""

    local_s: float
    remote_s: float
    one_switch_s: float


def choices(spec: ProtocolSpec, table: Table, plan: Plan, size_bytes: float) -> tuple[Protocol, ...]:
    """The protocols that the library would consider for a size."""
    if table == "message":
        small = 0 < size_bytes * plan.message_share <= spec.message.low_latency_limit
        return ("low_latency",) if small else ("simple",)
    return PROTOCOLS if (spec.ring if table == "ring" else spec.tree).given else ("simple",)


def fixed_s(spec: ProtocolSpec, table: Table, plan: Plan, paths: Paths, protocol: Protocol) -> float:
    """Seconds that do not depend on the size."""
    steps = spec.tree if table == "tree" else spec.ring
    idle = plan.local_steps * paths.local_s + plan.remote_steps * paths.remote_s
    if table == "message":
        base = getattr(steps.base, protocol)
        peer = spec.message.per_peer_low_latency if protocol == "low_latency" else spec.message.per_peer
        return float(base + idle + plan.messages * peer)
    if not steps.given:
        return idle
    further = max(0.0, paths.remote_s - paths.one_switch_s)
    local = plan.local_steps * getattr(steps.local_step, protocol)
    remote = plan.remote_steps * (getattr(steps.remote_step, protocol) + further)
    return float(getattr(steps.base, protocol) + local + remote)


def efficiency(spec: ProtocolSpec, protocol: Protocol) -> float:
    """Data bytes per byte moved."""
    return float(getattr(spec.efficiency, protocol))
