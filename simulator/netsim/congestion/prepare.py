"""A network and messages as one state, ready to run: flows, rings of flows per NIC, pacers of credit, packets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsim.congestion.heap import new_heap
from netsim.congestion.idle import ideal_s, idle_round_trip_s
from netsim.congestion.kernel import SPARE
from netsim.congestion.messages import Messages
from netsim.congestion.network import Network, Rates, network_of
from netsim.congestion.rules import LAWS, ps, rules_of
from netsim.congestion.state import (
    FLOW,
    PACKET,
    PS,
    PULLER,
    RING,
    STATIC,
    TOTALS,
    Floats,
    Records,
    State,
)
from netsim.errors import NetsimError
from netsim.routing.hashing import pick
from netsim.specs.packets import PacketsSpec
from netsim.topologies import LinkKind, Topology

#: packets that a run starts with; it grows when they are all under way
POOL = 1 << 14
#: rows of the table of queues over time
SAMPLES = 512


class Prepared(NamedTuple):
    """A state at rest, its network, and the time of each message alone, (n,) seconds."""

    state: State
    network: Network
    ideal_s: Floats


def prepare(
    topology: Topology, messages: Messages, spec: PacketsSpec, *, rates: Rates = "line", seed: int = 0
) -> Prepared:
    """Everything at rest, the first flow about to start.

    Raises NetsimError for GPUs that are not there, empty messages, and fabrics that are too large.
    """
    _check(topology, messages)
    network = network_of(topology, rates)
    flows = _flows(topology, network, messages, spec, seed)
    rings = _rings(topology, network, flows, spec)
    idle = idle_round_trip_s(network, flows, spec)
    flows["rtt"] = np.round(idle * PS)
    line = topology.nic_ports / float(network.ports["ps_per_byte"][network.nic[0]])
    remote = flows["target_nic"] >= 0
    longest = float(idle[remote].max()) if remote.any() else float(idle.max())
    rules = rules_of(spec, longest, line * PS, seed)
    pullers = np.zeros(topology.nics, PULLER)
    pullers["head"] = pullers["tail"] = -1
    pullers["ps_per_byte"] = network.ports["ps_per_byte"][network.nic[1]]
    totals = np.zeros(1, TOTALS)
    totals["random"] = np.uint64(seed) + np.uint64(0x5EED)
    totals["open_flows"] = len(messages)
    links = messages.path_links if messages.path_links is not None else np.zeros(0, np.int32)
    state = State(
        ports=network.ports, queues=network.queues, packets=np.zeros(0, PACKET), flows=flows,
        switches=network.switches, rings=rings, pullers=pullers, events=new_heap(2 * network.ports.size),
        timers=new_heap(len(messages) + topology.nics), hops=network.hops, links=network.links,
        paths=np.ascontiguousarray(links, np.int32), marks=np.zeros(int(flows["packets"].sum()), np.uint8),
        nic=network.nic, samples=np.zeros((0, network.ports.size + 1), np.float32), totals=totals, rules=rules,
    )  # fmt: skip
    _start_timers(state)
    return Prepared(more_packets(state, POOL), network, ideal_s(network, flows, spec))


def _check(topology: Topology, messages: Messages) -> None:
    if not len(messages):
        raise NetsimError("no messages: nothing to send")
    gpus = np.concatenate([messages.source, messages.target])
    if gpus.min() < 0 or gpus.max() >= topology.gpus:
        raise NetsimError(f"GPUs {gpus.min()} to {gpus.max()} of 0 to {topology.gpus - 1}: no such GPU")
    if (messages.size_bytes < 1).any():
        raise NetsimError("messages must be of at least one byte")


def _flows(topology: Topology, network: Network, messages: Messages, spec: PacketsSpec, seed: int) -> Records:
    per_host, per_nic = topology.gpus_per_host, topology.gpus_per_nic
    source, target = messages.source, messages.target
    flows = np.zeros(len(messages), FLOW)
    flows["size"], flows["start"] = messages.size_bytes, np.round(messages.start_s * PS)
    flows["finish"] = -1
    payload = int(spec.packet.payload)
    flows["packets"] = -(-messages.size_bytes // payload)
    flows["first"] = np.cumsum(flows["packets"].astype(np.int64)) - flows["packets"]
    flows["cls"], flows["law"] = messages.cls, LAWS[spec.sender.law]
    inside = source // per_host == target // per_host
    up, into = topology.first(LinkKind.SCALE_UP_TX), topology.first(LinkKind.SCALE_UP_RX)
    via = source.copy()
    forwarded = np.zeros(source.size, bool)
    if topology.nic_ports == 1 and topology.planes > 1:
        plane = topology.endpoint_plane
        forwarded = ~inside & (plane[source // per_nic] != plane[target // per_nic])
        via = np.where(forwarded, source // per_host * per_host + target % per_host, source)
    flows["source_nic"] = np.where(inside, -1, via // per_nic)
    flows["target_nic"] = np.where(inside, -1, target // per_nic)
    flows["origin"] = np.where(inside | forwarded, up + source, -1)
    flows["inside"] = np.where(inside, into + target, np.where(forwarded, into + via, -1))
    flows["path"] = -1
    if messages.path_ptr is not None:
        flows["path"], flows["hops"] = messages.path_ptr[:-1], np.diff(messages.path_ptr)
    port = network.nic[0] + np.where(inside, 0, via // per_nic) * topology.nic_ports
    if topology.nic_ports > 1 and spec.spread.by in ("ecmp", "flowlet"):
        port = port + pick(topology.nic_ports, seed, source, target, np.arange(source.size), 7)
    flows["ring"] = np.where(flows["origin"] >= 0, flows["origin"], port)  # the link, for now
    flows["line"] = 1.0 / network.ports["ps_per_byte"][flows["ring"]]
    several = topology.nic_ports if spec.spread.by not in ("ecmp", "flowlet") else 1
    flows["line"] *= np.where(flows["origin"] >= 0, 1, several)
    flows["law"] = np.where(inside, STATIC, flows["law"])
    flows["last_cnp"], flows["last_sent"] = -(2**60), -(2**60)
    remote = ~inside
    wire = messages.size_bytes + flows["packets"].astype(np.int64) * int(spec.packet.header)
    if spec.sender.law == "credit":
        flows["unasked"] = min(spec.credit.initial, 2.0**60)
        flows["wanted"] = np.maximum(0, wire - flows["unasked"])
    if spec.sender.law == "static":
        flows["window"] = np.where(remote, spec.sender.window, 0.0)
        flows["rate"] = np.where(remote, spec.sender.rate * flows["line"], 0.0)
    return flows


def _rings(topology: Topology, network: Network, flows: Records, spec: PacketsSpec) -> Records:
    """A ring for each link that flows start on; one for all ports of a NIC when packets are sprayed over them."""
    link = flows["ring"].astype(np.int64)
    width = np.ones(link.size, np.int64)
    if topology.nic_ports > 1 and spec.spread.by not in ("ecmp", "flowlet"):
        width[flows["origin"] < 0] = topology.nic_ports
    first, at = np.unique(link, return_inverse=True)
    rings = np.zeros(first.size, RING)
    rings["head"] = rings["tail"] = -1
    rings["first"], rings["ports"] = first, 1
    rings["ports"][at] = width
    flows["ring"] = at
    for n, (start, ports) in enumerate(zip(first.tolist(), rings["ports"].tolist(), strict=True)):
        network.ports["ring"][start : start + ports] = n
    return rings


def _start_timers(state: State) -> None:
    """Every flow wakes at its start; a heap is a sorted list too."""
    flows, timers = state.flows, state.timers
    order = np.argsort(flows["start"], kind="stable")
    timers[: flows.size, 0] = order
    timers[: flows.size, 1] = flows["start"][order]
    timers[order, 2] = np.arange(flows.size)
    state.totals["timers"] = flows.size


def more_packets(state: State, count: int) -> State:
    """The same state with more room for packets under way."""
    old = state.packets.size
    packets = np.zeros(old + count, PACKET)
    packets[:old] = state.packets
    packets["next"][old:-1] = np.arange(old + 1, old + count)
    packets["next"][-1] = state.totals["free"][0] if old else -1
    state.totals["free"] = old
    state.totals["pool"] = packets.size
    assert count > SPARE
    return state._replace(packets=packets)


def sample_every(state: State, seconds: float) -> State:
    """The same state, whose queues are looked at every so often."""
    state.totals["sample_every"] = ps(seconds)
    return state._replace(samples=np.zeros((SAMPLES, state.ports.size + 1), np.float32))
