"""Fluid against packets: the same flows of a collective, once as max-min fair rates and once packet by packet.

Both sides have the same links at the rates that they achieve (headers are in those rates already, so packets carry none
here), the same flows and, under `ecmp` and `static` routing, the same paths. `adaptive` is sprayed by the switches.
Senders do nothing but take turns at their NIC, and queues hold what comes: what is left between the two is what packets
are (whole, in turn, behind each other), not what a congestion control makes of them; give a transport to see that too.

    ratio = (largest over flows of its packets' time - the idle latency of its path) / time of the fluid

The time of one repetition of a plan's flows is compared; launch, steps and messages are the same on both sides.
`TABLE` holds the ratio of every collective that netsim prices, measured by `reports/studies/congestion/table.py`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.drain import drain_transfers
from netsim.collectives.experts import EXCHANGES
from netsim.collectives.plan import Group, Plan, together
from netsim.collectives.sweep import Setup, groups_of
from netsim.collectives.transfers import Transfers
from netsim.congestion.experts import in_turn, messages_of
from netsim.congestion.messages import Messages
from netsim.congestion.simulate import simulate
from netsim.congestion.state import Floats
from netsim.errors import NetsimError
from netsim.routing import KINDS, paths
from netsim.specs import WorkloadSpec, catalog, load
from netsim.specs.packets import PacketsSpec
from netsim.workloads.moe import routing_statistics, token_bytes

#: hops of packets that one comparison may take, some ten seconds
MAX_HOPS = 40_000_000
#: tokens of a dispatch or combine whose size is not said
TOKENS = 4096


@dataclass(frozen=True)
class Compared:
    """One collective both ways: seconds of one repetition, without the idle latency of its paths."""

    fluid_s: float
    packets_s: float
    repeats: int
    hops: int

    @property
    def ratio(self) -> float:
        return self.packets_s / self.fluid_s


def plan_of(setup: Setup, kind: str, algorithm: str, group_size: int | None = None) -> Plan:
    """The flows of a collective over all GPUs, in groups of one size; experts: balanced, of DeepSeek-V3."""
    top = setup.topology
    groups = [Group.of(g, top.gpus_per_host) for g in groups_of(top.gpus, group_size or top.gpus)]
    if kind in ("dispatch", "combine"):
        moe = load(WorkloadSpec, "workload", "deepseek-v3").model.experts
        assert moe is not None
        routing = routing_statistics(moe, groups[0].ranks, top.gpus_per_host, setup.seed, gate="model")
        return together([EXCHANGES[algorithm](group, routing, moe.top_k) for group in groups])
    return together([COLLECTIVES[kind].algorithms[algorithm](group) for group in groups])


def expert_bytes(kind: str, tokens: int = TOKENS) -> float:
    """The unit of a dispatch or combine of DeepSeek-V3: bytes of a rank's tokens."""
    job = load(WorkloadSpec, "workload", "deepseek-v3")
    moe = job.model.experts
    assert moe is not None
    precision = job.communication.dispatch if kind == "dispatch" else job.communication.combine
    return tokens * token_bytes(kind, job.model.hidden, moe.top_k, precision)


def compare(setup: Setup, plan: Plan, unit_bytes: float, transport: PacketsSpec) -> Compared:
    """One repetition of a plan both ways.

    Raises NetsimError when the packets would take too long, or their paths are not single ones.
    """
    top = setup.topology
    drained = drain_transfers(top, plan.transfers, setup.routing, setup.seed)
    spec = transport.model_copy(update={"packet": transport.packet.model_copy(update={"header": 0.0})})
    messages, latency_s = _messages(setup, plan.transfers, unit_bytes)
    hops = int((messages.size_bytes // int(spec.packet.payload) + 1).sum()) * (top.tiers + 2)
    if hops > MAX_HOPS:
        raise NetsimError(
            f"--packets: about {hops / 1e6:,.0f} million packet-hops at {unit_bytes:,.0f} bytes, at most "
            f"{MAX_HOPS // 1_000_000} million: ask for smaller sizes"
        )
    run = simulate(top, messages, spec, rates="achieved", seed=setup.seed)
    return Compared(
        fluid_s=drained.seconds * unit_bytes,
        packets_s=float((run.finish_s - latency_s).max()),
        repeats=plan.repeats,
        hops=int(run.state.totals[0]["hops"]),
    )


def _messages(setup: Setup, flows: Transfers, unit_bytes: float) -> tuple[Messages, Floats]:
    """The messages, on the fluid network's own paths where those are single ones, and the latency of each."""
    made, order = messages_of(flows, unit_bytes, "all"), in_turn(flows)
    top = setup.topology
    routed = paths(top, setup.routing, flows.source, flows.target, setup.seed, np.arange(len(flows)))
    latency_s = routed.latency_s[order]
    if setup.routing == "adaptive":
        return made, latency_s
    if (routed.share != 1.0).any():
        raise NetsimError(f"--packets: {setup.routing} divides a flow over several paths")
    inside = np.isin(routed.kind[routed.link_ids], [KINDS.index("pcie_tx"), KINDS.index("pcie_rx")])
    flow = np.repeat(np.arange(len(flows)), np.diff(routed.ptr))
    place = np.empty(len(flows), np.int64)
    place[order] = np.arange(len(flows))
    kept = np.flatnonzero(~inside)
    kept = kept[np.argsort(place[flow[kept]], kind="stable")]
    count = np.bincount(flow[~inside], minlength=len(flows))[order]
    ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return replace(made, path_ptr=ptr, path_links=routed.link_ids[kept].astype(np.int32)), latency_s


@lru_cache(maxsize=1)
def table() -> list[dict[str, str]]:
    """The measured ratios, a row a collective, algorithm, fabric, routing and size."""
    path = catalog.folder("transport") / "fluid_against_packets.csv"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def measured(kind: str, algorithm: str, routing: str) -> tuple[float, float] | None:
    """Least and largest measured ratio of a collective under a routing, over fabrics and sizes; None when none was.

    >>> low, high = measured("all_to_all", "pxn", "adaptive")
    >>> 0.9 < low <= high
    True
    """
    found = [
        float(row["ratio"])
        for row in table()
        if (row["kind"], row["algorithm"], row["routing"]) == (kind, algorithm, routing)
    ]
    return (min(found), max(found)) if found else None
