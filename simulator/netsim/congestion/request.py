"""One question to the packet engine, from names and values to a run; what has no effect on it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netsim.congestion.experts import expert_messages
from netsim.congestion.messages import Messages
from netsim.congestion.result import PacketResult
from netsim.congestion.simulate import simulate
from netsim.congestion.workloads import Ask, pattern
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, load
from netsim.specs.case import sort_overrides
from netsim.specs.idle import PACKETS, refuse_unread
from netsim.specs.packets import PacketsSpec
from netsim.topologies import Topology, build

#: traffic that moves tokens instead of a message size
EXPERTS = ("dispatch", "combine")
#: messages for which the engine has no memory: about 0.6 KB each, and a byte a packet
MAX_PACKETS = 2_000_000_000


@dataclass(frozen=True)
class Request:
    """What `netsim packets` asks; None where an option was not given."""

    traffic: str
    topology: str = "ft2"
    gpus: int = 64
    transport: str = "eqds"
    size_bytes: int | None = None
    ranks: int | None = None
    senders: int | None = None
    workload: str | None = None
    tokens: int | None = None
    load: str | None = None
    hardware: str = "h800"
    faults: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def run_request(asked: Request, *, sampled: bool = False) -> PacketResult:
    """Answer it.

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    _refuse_idle(asked)
    rest, of_transport = dict(asked.overrides), {}
    for key in list(rest):
        if key.startswith("transport."):
            of_transport[key.partition(".")[2]] = rest.pop(key)
    given = sort_overrides(rest)
    refuse_unread(given, PACKETS, "a packet simulation")
    spec = load(PacketsSpec, "transport", asked.transport, of_transport)
    fabric = build(
        load(TopologySpec, "topology", asked.topology, given["topology"]),
        load(HardwareSpec, "hardware", asked.hardware, given["hardware"]),
        asked.gpus,
    )
    messages = _messages(asked, fabric)
    packets = int((messages.size_bytes // int(spec.packet.payload) + 1).sum())
    if packets > MAX_PACKETS:
        raise NetsimError(f"{packets:,} packets, at most {MAX_PACKETS:,}: send less, or fewer GPUs")
    return simulate(fabric, messages, spec, seed=asked.seed, faults=asked.faults, sampled=sampled)


def _messages(asked: Request, fabric: Topology) -> Messages:
    if asked.traffic in EXPERTS:
        job = load(WorkloadSpec, "workload", asked.workload or "deepseek-v3")
        return expert_messages(
            asked.traffic, fabric, asked.ranks or fabric.gpus, job, asked.tokens or 4096,
            asked.load or "balanced", asked.seed,
        )  # fmt: skip
    ranks = asked.ranks or fabric.gpus
    if ranks > fabric.gpus:
        raise NetsimError(f"--ranks {ranks}: must be at most the {fabric.gpus} GPUs")
    ask = Ask(ranks, asked.size_bytes or 1_000_000, asked.senders or 7, fabric.gpus_per_host, asked.seed)
    return pattern(asked.traffic, ask)


def _refuse_idle(asked: Request) -> None:
    """Options that the traffic at hand does not read."""
    experts, file = asked.traffic in EXPERTS, asked.traffic.endswith(".csv")
    of = {
        "--senders": (asked.senders, asked.traffic == "incast"),
        "--size": (asked.size_bytes, not experts and not file),
        "--ranks": (asked.ranks, not file),
        "--workload": (asked.workload, experts),
        "--tokens": (asked.tokens, experts),
        "--load": (asked.load, experts),
    }
    for option, (value, read) in of.items():
        if value is not None and not read:
            raise NetsimError(f"{option}: has no effect on {asked.traffic}")
