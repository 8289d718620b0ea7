"""What a library does with a collective: algorithm and protocol by size as NCCL picks them, or forced, and the costs.

    time = fixed + the longer of what the network needs for the flows and what the library needs to move them
    fixed            launch, steps and messages (`netsim.collectives.overhead`), with the idle latencies of the paths
    the library's    inside a host: bytes of the busiest GPU over its NVLink rate (over the share of it that reductions
                     in the switch reach), plus its own part of the buffer, which the same kernel copies, plus the
                     fill of the pipeline, T x size / (size + half)
                     between hosts, messages: the largest flow over what one connection reaches of a NIC

The choice is the quickest by this estimate on an idle fabric with every host under one switch, which is what NCCL's
tuning model knows: it sees neither oversubscription nor other traffic. Costs are those of the paths really taken.

Left out: CollNet and NVLS over several hosts, registered buffers, and what a user's tuner plugin would say.

Source: NVIDIA/nccl, src/graph/tuning.cc; the constants stand in topologies/protocols with theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.catalogue import AUTOMATIC, COLLECTIVES, Table, latency_table
from netsim.collectives.overhead import Paths, choices, efficiency, fixed_s
from netsim.collectives.plan import Group, Plan
from netsim.collectives.transfers import Transfers
from netsim.errors import NetsimError, did_you_mean
from netsim.specs.protocol import Protocol, ProtocolSpec
from netsim.topologies import Topology

AUTO = "auto"


@dataclass(frozen=True)
class Links:
    """What a GPU finds on an idle fabric, one direction: its NVLink, its part of the NICs, and idle latencies.

    multicast : whether the switch inside a host can add up what GPUs send
    """

    local_bytes_per_s: float
    remote_bytes_per_s: float
    paths: Paths
    multicast: bool = False

    @staticmethod
    def of(topology: Topology) -> Links:
        """Those of a fabric, as if all hosts hung on one switch."""
        hardware, latency = topology.hardware, topology.spec.latency
        near = latency.endpoint + latency.switch_hop
        nic = hardware.nic.line_rate * hardware.nic.goodput_fraction
        return Links(
            local_bytes_per_s=hardware.scale_up.achieved_rate,
            remote_bytes_per_s=nic * hardware.nics_per_host / hardware.gpus_per_host,
            paths=Paths(hardware.scale_up.latency, near),
            multicast=hardware.scale_up.multicast,
        )


@dataclass(frozen=True)
class Chosen:
    """A collective as the library runs it.

    plan : flows between ranks 0 to n - 1, host by host; moved_bytes : of a flow with share 1, over all repetitions
    least_s : what moving takes the library on the quickest fabric; 0 where the network alone decides
    links_s : what the busiest link of an idle fabric takes
    """

    kind: str
    algorithm: str
    protocol: Protocol
    table: Table
    plan: Plan
    size_bytes: float
    moved_bytes: float
    least_s: float
    links_s: float

    @property
    def moving_s(self) -> float:
        """On an idle fabric."""
        return max(self.least_s, self.links_s)


@dataclass(frozen=True)
class Library:
    """A collective library on the GPUs of a fabric; `forced` names the algorithm of a kind."""

    spec: ProtocolSpec
    links: Links
    forced: Mapping[str, str] = field(default_factory=dict)
    found: dict[tuple[str, int, int, float, str], Chosen] = field(default_factory=dict, repr=False)

    def choose(self, kind: str, hosts: int, width: int, size_bytes: float, algorithm: str = AUTO) -> Chosen:
        """How `hosts` x `width` ranks run a collective of a size (nccl-tests' convention).

        Raises NetsimError for an unknown kind or algorithm, and for one that such a group cannot run.
        """
        name = algorithm if algorithm != AUTO else self.forced.get(kind, AUTO)
        key = (kind, hosts, width, size_bytes, name)
        if key not in self.found:
            plans = self.plans(kind, hosts, width, name)
            self.found[key] = self.quickest(kind, plans, (hosts, width), size_bytes)
        return self.found[key]

    def plans(self, kind: str, hosts: int, width: int, algorithm: str = AUTO) -> dict[str, Plan]:
        """The algorithms that are up for choice, on ranks 0 to n - 1."""
        group = Group(np.arange(hosts * width).reshape(hosts, width))
        names = algorithms(kind, algorithm)
        if algorithm != AUTO:
            plan = COLLECTIVES[kind].algorithms[algorithm](group)
            if plan.in_switch and not self.links.multicast:
                raise NetsimError(f"{algorithm}: the scale-up switch of this host adds nothing up")
            return {algorithm: plan}
        found = {}
        for name in names:
            if name in IN_SWITCH and (hosts > 1 or not self.links.multicast):
                continue
            found[name] = COLLECTIVES[kind].algorithms[name](group)
        return found

    def quickest(
        self, kind: str, plans: Mapping[str, Plan], shape: tuple[int, int], size_bytes: float
    ) -> Chosen:
        """The best of the plans and of the library's protocols for a group of (hosts, width); the first of equals."""
        options = [
            self._option(kind, name, protocol, plan, shape, size_bytes)
            for name, plan in plans.items()
            for protocol in choices(self.spec, latency_table(kind, name), plan, size_bytes)
        ]
        return min(options, key=lambda each: self.fixed_s(each, self.links.paths) + each.moving_s)

    def fixed_s(self, chosen: Chosen, paths: Paths) -> float:
        """Seconds besides the bytes, over paths with these idle latencies."""
        return fixed_s(self.spec, chosen.table, chosen.plan, paths, chosen.protocol)

    def _option(
        self, kind: str, name: str, protocol: Protocol, plan: Plan, shape: tuple[int, int], size_bytes: float
    ) -> Chosen:
        table = latency_table(kind, name)
        moved = plan.repeats * size_bytes / efficiency(self.spec, protocol)
        local_s, remote_s, widest = self._loads(plan, shape[1])
        links_s = moved * max(local_s, remote_s)
        least_s = 0.0
        if table == "message" and self.spec.message.connection < 1.0:
            least_s = moved * widest / (self.links.remote_bytes_per_s * self.spec.message.connection)
        if shape[0] == 1:
            least_s = self._inside_s(plan, table, size_bytes, moved * local_s)
        return Chosen(kind, name, protocol, table, plan, size_bytes, moved, least_s, links_s)

    def _inside_s(self, plan: Plan, table: Table, size_bytes: float, local_s: float) -> float:
        """What moving inside a host takes a kernel, given what NVLink takes."""
        steps, switch = self.spec.steps(table), self.spec.in_switch
        copying = size_bytes * plan.copied / self.spec.copy_rate if self.spec.copy_rate else 0.0
        linked = local_s / switch if plan.in_switch else local_s
        return linked + copying + steps.fill_s(size_bytes)

    def _loads(self, plan: Plan, width: int) -> tuple[float, float, float]:
        """Seconds a byte of NVLink and NICs of the busiest rank, and the share of the largest flow between hosts."""
        flows = plan.transfers
        remote = flows.source // width != flows.target // width
        local_s = _busiest(flows, ~remote) / self.links.local_bytes_per_s
        remote_s = _busiest(flows, remote) / self.links.remote_bytes_per_s
        return local_s, remote_s, float(flows.share[remote].max(initial=0.0))


#: algorithms that need a switch which adds up
IN_SWITCH = frozenset({"nvls"})


def algorithms(kind: str, algorithm: str) -> tuple[str, ...]:
    """The names that a choice may fall on.

    Raises NetsimError for an unknown kind or algorithm.
    """
    if kind not in COLLECTIVES:
        raise NetsimError(f"no collective {kind!r}: {did_you_mean(kind, COLLECTIVES)}")
    known = COLLECTIVES[kind].algorithms
    if algorithm == AUTO:
        return AUTOMATIC[kind]
    if algorithm not in known:
        raise NetsimError(f"no algorithm {algorithm!r} of {kind}: {did_you_mean(algorithm, [*known, AUTO])}")
    return (algorithm,)


def _busiest(flows: Transfers, mask: NDArray[np.bool_]) -> float:
    """The most that a rank sends, or receives, over some of the flows."""
    sent = np.bincount(flows.source[mask], flows.share[mask])
    received = np.bincount(flows.target[mask], flows.share[mask])
    return float(max(sent.max(initial=0.0), received.max(initial=0.0)))
