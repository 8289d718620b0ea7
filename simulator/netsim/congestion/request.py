"""One question to the packet engine, from names and values to a run; what has no effect on it is refused."""

from __future__ import annotations

from netsim.collectives.sizes import parse_sizes
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
from netsim.specs.question import Question
from netsim.specs.requests import PacketsRequest
from netsim.topologies import Topology, build

#: traffic that moves tokens instead of a message size
EXPERTS = ("dispatch", "combine")
#: messages for which the engine has no memory: about 0.6 KB each, and a byte a packet
MAX_PACKETS = 2_000_000_000


def answer(question: Question, request: PacketsRequest, *, sampled: bool = False) -> PacketResult:
    """Run the packets of a question and its request; sampled : whether queues are looked at over time.

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    size_bytes = _size_bytes(request)
    _refuse_idle(request)
    rest, of_transport = dict(question.overrides), {}
    for key in list(rest):
        if key.startswith("transport."):
            of_transport[key.partition(".")[2]] = rest.pop(key)
    given = sort_overrides(rest)
    refuse_unread(given, PACKETS, "a packet simulation")
    spec = load(PacketsSpec, "transport", request.transport, of_transport)
    fabric = build(
        load(TopologySpec, "topology", question.topology, given["topology"]),
        load(HardwareSpec, "hardware", question.hardware or "h800", given["hardware"]),
        question.gpus,
    )
    messages = _messages(question, request, size_bytes, fabric)
    packets = int((messages.size_bytes // int(spec.packet.payload) + 1).sum())
    if packets > MAX_PACKETS:
        raise NetsimError(f"{packets:,} packets, at most {MAX_PACKETS:,}: send less, or fewer GPUs")
    return simulate(fabric, messages, spec, seed=question.seed, faults=request.fault, sampled=sampled)


def _messages(
    question: Question, request: PacketsRequest, size_bytes: int | None, fabric: Topology
) -> Messages:
    if request.traffic in EXPERTS:
        job = load(WorkloadSpec, "workload", request.workload or "deepseek-v3")
        return expert_messages(
            request.traffic, fabric, request.ranks or fabric.gpus, job, request.tokens or 4096,
            request.load or "balanced", question.seed,
        )  # fmt: skip
    ranks = request.ranks or fabric.gpus
    if ranks > fabric.gpus:
        raise NetsimError(f"--ranks {ranks}: must be at most the {fabric.gpus} GPUs")
    ask = Ask(ranks, size_bytes or 1_000_000, request.senders or 7, fabric.gpus_per_host, question.seed)
    return pattern(request.traffic, ask)


def _refuse_idle(request: PacketsRequest) -> None:
    """Options that the traffic at hand does not read."""
    experts, file = request.traffic in EXPERTS, request.traffic.endswith(".csv")
    of = {
        "--senders": (request.senders, request.traffic == "incast"),
        "--size": (request.size, not experts and not file),
        "--ranks": (request.ranks, not file),
        "--workload": (request.workload, experts),
        "--tokens": (request.tokens, experts),
        "--load": (request.load, experts),
    }
    for option, (value, read) in of.items():
        if value is not None and not read:
            raise NetsimError(f"{option}: has no effect on {request.traffic}")


def _size_bytes(request: PacketsRequest) -> int | None:
    if request.size is None:
        return None
    sizes = parse_sizes(request.size)
    if len(sizes) != 1:
        raise NetsimError(f"--size {request.size}: must be one size")
    return sizes[0]
