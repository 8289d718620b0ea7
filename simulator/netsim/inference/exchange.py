"""Dispatch and combine of a serving unit on the fabric: seconds for any number of tokens, from one drained exchange.

All units of the cluster exchange at once, as flows over the fabric under its routing. A rank's exchange starts with the
others of its unit and ends with the slowest flow, so it is proportional to the tokens:

    time = launch + idle latency of the longest path + bytes of a rank's tokens x seconds a byte

Bytes of a token: FP8 values with their scales and 16 bytes of metadata out, BF16 back (see `netsim.workloads.moe`).
Left out: experts that receive more than others, and a late rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from netsim.collectives.drain import Drained, drain_transfers
from netsim.collectives.experts import EXCHANGES, LOOPBACK
from netsim.collectives.overhead import Paths
from netsim.collectives.plan import Group, spread, together
from netsim.collectives.sweep import Setup, groups_of
from netsim.errors import NetsimError
from netsim.specs import load
from netsim.specs.hardware import HardwareSpec
from netsim.specs.inference import Kernel
from netsim.specs.protocol import ProtocolSpec
from netsim.specs.workload import ModelSpec, TokenPrecision
from netsim.topologies import Topology
from netsim.workloads.moe import RoutingStatistics, routing_statistics, token_bytes, wire_value_bytes

KINDS = ("dispatch", "combine")
#: bottleneck of an exchange of one rank, which moves nothing
NONE = "none"


class Assumptions(NamedTuple):
    """What a simulation counts. Without `compute` operators take no time, without `overheads` there is no latency, no
    launch and no header, and links run at line rate: the setting of a bound."""

    compute: bool = True
    overheads: bool = True


EVERYTHING = Assumptions()
IDEAL = Assumptions(compute=False, overheads=False)


def at_line_rate(hardware: HardwareSpec) -> HardwareSpec:
    """A host whose NICs, scale-up and PCIe achieve what they are sold as."""
    return hardware.model_copy(
        update={
            "nic": hardware.nic.model_copy(update={"goodput_fraction": 1.0}),
            "scale_up": hardware.scale_up.model_copy(update={"achieved_rate": hardware.scale_up.rate}),
            "pcie": hardware.pcie.model_copy(update={"achieved_rate": hardware.pcie.rate}),
        }
    )


@dataclass(frozen=True)
class Exchange:
    """One kind of exchange of a unit.

    token_bytes : of a token, one copy; fixed_s : launch and latency; seconds_per_byte : of a rank's tokens;
    wire_per_byte : mean bytes that a GPU puts on its NIC; bottleneck : the resource that bounds large exchanges
    """

    kind: str
    token_bytes: float
    fixed_s: float
    seconds_per_byte: float
    wire_per_byte: float
    bottleneck: str

    def moving_s(self, tokens: int) -> float:
        """Seconds that grow with the tokens of a rank."""
        return tokens * self.token_bytes * self.seconds_per_byte

    def seconds(self, tokens: int) -> float:
        """Seconds of an exchange of `tokens` a rank; nothing for none."""
        return self.fixed_s + self.moving_s(tokens) if tokens else 0.0


class Exchanges(NamedTuple):
    """Both kinds."""

    dispatch: Exchange
    combine: Exchange


def unit_exchanges(
    topology: Topology,
    library: ProtocolSpec,
    model: ModelSpec,
    expert: int,
    kernel: Kernel,
    precisions: tuple[TokenPrecision, TokenPrecision],
    *,
    copies: int,
    seed: int = 0,
    assume: Assumptions = EVERYTHING,
    kernel_rates: Mapping[str, float] | None = None,
    setup_s: Mapping[str, float] | None = None,
) -> Exchanges:
    """Dispatch and combine of every unit of `expert` ranks on a fabric.

    precisions : of dispatch and combine; copies : experts that a token is sent to; kernel_rates, setup_s : by kind,
    bytes a second that a GPU's kernel moves over its NIC at most, and what runs before it

    Raises NetsimError for a width that does not divide the GPUs, or that the kernel cannot serve.
    """
    if expert == 1 or not copies:
        nothing = Exchange("", 0.0, 0.0, 0.0, 0.0, NONE)
        return Exchanges(*(replace(nothing, kind=kind) for kind in KINDS))
    groups = [Group.of(g, topology.gpus_per_host) for g in groups_of(topology.gpus, expert)]
    routing = _routing(model, expert, topology.gpus_per_host, kernel, seed)
    plan = together([EXCHANGES[kernel](group, routing, copies) for group in groups])
    found = []
    drains: dict[float, Drained] = {}
    for kind, precision in zip(KINDS, precisions, strict=True):
        rate = (kernel_rates or {}).get(kind, np.inf) if assume.overheads else np.inf
        if rate not in drains:
            drains[rate] = drain_transfers(
                topology, plan.transfers, topology.spec.routing, seed, rate, kernel in LOOPBACK
            )
        drained = drains[rate]
        launch = library.exchange.normal if kernel == "normal" else library.exchange.low_latency
        fixed = launch + (setup_s or {}).get(kind, 0.0)
        fixed += drained.remote_latency_s or drained.local_latency_s
        found.append(
            Exchange(
                kind,
                _bytes(kind, kernel, model, precision, assume),
                fixed if assume.overheads else 0.0,
                drained.seconds,
                float(drained.sent.mean()),
                drained.bottleneck,
            )
        )
    return Exchanges(*found)


def _routing(model: ModelSpec, expert: int, per_host: int, kernel: Kernel, seed: int) -> RoutingStatistics:
    """Hosts and devices of a token, which only the normal kernel asks for."""
    if kernel != "normal":
        return RoutingStatistics(1, 1.0, 1.0)
    if model.experts.experts % expert:
        raise NetsimError(
            f"expert = {expert}: must divide {model.experts.experts} experts for the normal kernel"
        )
    return routing_statistics(model.experts, expert, per_host, seed)


def _bytes(
    kind: str, kernel: Kernel, model: ModelSpec, precision: TokenPrecision, assume: Assumptions
) -> float:
    if not assume.overheads:
        return model.hidden * wire_value_bytes(precision)
    if kernel == "normal":
        return token_bytes(kind, model.hidden, model.experts.top_k, precision)
    name = "cached_dispatch" if kind == "dispatch" else kind
    return token_bytes(name, model.hidden, 0, precision)


def gather_s(
    topology: Topology, library: str, tensor: int, size_bytes: float, assume: Assumptions = EVERYTHING
) -> float:
    """An all-gather (or reduce-scatter) of `size_bytes` in all among each `tensor` GPUs of a host, all at once.

    library : preset or TOML of the collective library; without overheads only bytes count

    Raises NetsimError when the GPUs of a group are not of one host.
    """
    if tensor == 1:
        return 0.0
    if topology.gpus_per_host % tensor:
        raise NetsimError(f"tensor = {tensor}: must divide the {topology.gpus_per_host} GPUs of a host")
    setup = Setup(topology, load(ProtocolSpec, "protocol", library), topology.spec.routing)
    chosen = setup.library.choose("all_gather", 1, tensor, size_bytes)
    flows = spread(chosen.plan.transfers, groups_of(topology.gpus, tensor))
    drained = drain_transfers(topology, flows, setup.routing)
    if not assume.overheads:
        return drained.seconds * chosen.plan.repeats * size_bytes
    fixed = setup.library.fixed_s(chosen, Paths(drained.local_latency_s, drained.remote_latency_s))
    return fixed + max(chosen.least_s, drained.seconds * chosen.moved_bytes)
