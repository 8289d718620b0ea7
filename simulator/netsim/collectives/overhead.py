"""What a collective costs besides its bytes: launch, steps and messages, under each protocol.

    steps      base + local steps x (local step + what the path has over the reference), remote ones alike
    messages   base + the idle latency of each leg of the path + a cost for every remote peer, one after the other

A library without step tables (`verbs`) pays the idle latency of the path for every step. NCCL's steps hold the latency
of the paths that they were measured on (`reference`: NVLink, and one InfiniBand switch), so switches beyond the first
add their hops, and slower links what they are slower. A byte costs 1/efficiency bytes.

Left out: the cost of local peers (below 1 us each), the jitter of hosts, and registration of buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.collectives.catalogue import Table
from netsim.collectives.plan import Plan
from netsim.specs.protocol import PROTOCOLS, Protocol, ProtocolSpec


@dataclass(frozen=True)
class Paths:
    """The longest idle latencies of what is used of a fabric, in seconds: inside a host, and between hosts."""

    local_s: float
    remote_s: float


def choices(spec: ProtocolSpec, table: Table, plan: Plan, size_bytes: float) -> tuple[Protocol, ...]:
    """The protocols that the library would consider for a size."""
    if table == "message":
        small = 0 < size_bytes * plan.message_share <= spec.message.low_latency_limit
        return ("low_latency",) if small else ("simple",)
    return PROTOCOLS if table != "nvls" and spec.steps(table).given else ("simple",)


def fixed_s(spec: ProtocolSpec, table: Table, plan: Plan, paths: Paths, protocol: Protocol) -> float:
    """Seconds that do not depend on the size."""
    steps = spec.steps(table)
    idle = plan.local_steps * paths.local_s + plan.remote_steps * paths.remote_s
    if table == "message":
        base = getattr(steps.base, protocol)
        peer = spec.message.per_peer_low_latency if protocol == "low_latency" else spec.message.per_peer
        return float(base + idle + plan.messages * peer)
    if not steps.given:
        return idle
    slower = max(0.0, paths.local_s - spec.reference.local)
    further = max(0.0, paths.remote_s - spec.reference.remote)
    local = plan.local_steps * (getattr(steps.local_step, protocol) + slower)
    remote = plan.remote_steps * (getattr(steps.remote_step, protocol) + further)
    return float(getattr(steps.base, protocol) + local + remote)


def efficiency(spec: ProtocolSpec, protocol: Protocol) -> float:
    """Data bytes per byte moved."""
    return float(getattr(spec.efficiency, protocol))
