"""Congestion packet by packet: `netsim packets` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.api.arguments import Name, count, plain
from netsim.congestion.result import PacketResult
from netsim.errors import NetsimError


def packets(
    traffic: str = "all_to_all",
    topology: Name = "ft2",
    gpus: int = 64,
    *,
    transport: Name = "eqds",
    size_bytes: int = 1_000_000,
    ranks: int | None = None,
    hardware: Name = "h800",
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    sampled: bool = True,
) -> PacketResult:
    """Send messages packet by packet, as `netsim packets` does.

    traffic : a name of `netsim.congestion.workloads`; transport : a preset or a TOML file; ranks : GPUs that take part,
    the first ones; overrides : keys as of `--set` (`transport.` for those of the transport); sampled : whether queues
    are looked at over time

    Raises NetsimError for a name, key or value that is wrong.
    """
    from netsim.congestion.simulate import simulate
    from netsim.congestion.workloads import pattern
    from netsim.specs import HardwareSpec, TopologySpec, load
    from netsim.specs.case import sort_overrides
    from netsim.specs.idle import PACKETS, refuse_unread
    from netsim.specs.packets import PacketsSpec
    from netsim.topologies import build

    rest, of_transport = plain(overrides) or {}, {}
    for key in list(rest):
        if key.startswith("transport."):
            of_transport[key.partition(".")[2]] = rest.pop(key)
    given = sort_overrides(rest)
    refuse_unread(given, PACKETS, "a packet simulation")
    spec = load(PacketsSpec, "transport", str(transport), of_transport)
    fabric = build(
        load(TopologySpec, "topology", str(topology), given["topology"]),
        load(HardwareSpec, "hardware", str(hardware), given["hardware"]),
        count("gpus", gpus),
    )
    taking = fabric.gpus if ranks is None else count("ranks", ranks)
    if taking > fabric.gpus:
        raise NetsimError(f"--ranks {taking}: must be at most the {fabric.gpus} GPUs")
    messages = pattern(traffic, taking, count("size_bytes", size_bytes), count("seed", seed))
    return simulate(fabric, messages, spec, seed=seed, sampled=sampled)
