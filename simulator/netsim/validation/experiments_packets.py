"""Published results of other packet simulators and of multi-plane NICs, on netsim's packet engine.

`all_to_all` : one GPU and NIC a host, 400 Gb/s, 0.5 us a hop, a full two-layer tree with a port a rank, as htsim builds
it: k^2 / 2 ranks on switches of k ports (64 ranks: 8 leaves of 8). `victim` : seven to one, and a flow from beside the
senders to beside the receiver, 10 MB each, a mean over seeds. `lost_port` : one message over a NIC with a port in every
plane, of which one has failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netsim.congestion.messages import Messages
from netsim.congestion.simulate import simulate
from netsim.congestion.workloads import Ask, all_to_all, incast
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.packets import PacketsSpec
from netsim.topologies import Topology, build

Where = Mapping[str, Any]
_ALONE = {"gpus_per_host": 1, "nics_per_host": 1}
_HOP = {"latency.endpoint": "0.5 us", "latency.switch_hop": "0.5 us"}


def packets(where: Sequence[Where]) -> list[float | None]:
    """Microseconds of an all-to-all, or per cent of its goodput that a flow keeps."""
    kinds = {"all_to_all": _all_to_all, "victim": _victim, "lost_port": _lost_port}
    return [kinds[w["kind"]](w) for w in where]


def tree(endpoints: int, radix: int) -> Topology:
    """A full two-layer tree."""
    spec = load(TopologySpec, "topology", "ft2", _HOP | {"switch.radix": radix})
    return build(spec, load(HardwareSpec, "hardware", "h800", _ALONE), endpoints)


def htsim_transport(where: Where) -> PacketsSpec:
    """A transport with the packets and queues of htsim's defaults, both counted in packets there."""
    size, queue = int(where["packet"]), int(where["queue"])
    keys = {
        "packet.payload": f"{size - 64} B",
        "packet.header": "64 B",
        "switch.queue": f"{queue * size} B",
        "credit.initial": f"{int(where['window']) * size} B",
        "spread.by": where["spread"],
    }
    return load(PacketsSpec, "transport", where["transport"], keys)


def _all_to_all(where: Where) -> float:
    ranks, spec = int(where["ranks"]), htsim_transport(where)
    fabric, messages = tree(ranks, 16), all_to_all(Ask(ranks, 1_000_000))
    times = [
        simulate(fabric, messages, spec, seed=seed).seconds for seed in range(int(where.get("seeds", 1)))
    ]
    return float(np.mean(times)) * 1e6


def _victim(where: Where) -> float:
    spec = load(PacketsSpec, "transport", where["transport"])
    fabric, messages = tree(64, 16), incast(Ask(64, 10_000_000, senders=7))
    runs = (simulate(fabric, messages, spec, seed=seed) for seed in range(int(where["seeds"])))
    return float(np.mean([run.ideal_s[-1] / run.finish_s[-1] for run in runs])) * 100.0


def _lost_port(where: Where) -> float:
    planes = int(where["ports"])
    spec = load(PacketsSpec, "transport", "eqds", {"sender.timeout": "60 us", "failover.nic": "1 us"})
    of_fabric = load(TopologySpec, "topology", "mpft_ideal", {"planes": planes})
    fabric = build(of_fabric, load(HardwareSpec, "hardware", "h800", _ALONE), 4)
    message = Messages.of(0, 1, 20_000_000)
    whole, hurt = (simulate(fabric, message, spec, faults=f).seconds for f in ((), ("port 1.0 down at 0us",)))
    return whole / hurt * 100.0
