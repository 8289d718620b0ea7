"""Small fabrics for tests of collectives: real presets, and hosts of one GPU on a network without latency."""

from functools import lru_cache

from netsim.collectives.sweep import Setup
from netsim.specs import HardwareSpec, Routing, TopologySpec, load
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import build

NIC = 50e9 * 0.896  # bytes/s that a NIC achieves
NVLINK = 160e9
IDLE = {"latency.endpoint": "0 us", "latency.switch_hop": "0 us"}


@lru_cache(maxsize=64)
def preset(
    fabric: str,
    gpus: int,
    protocol: str = "verbs",
    width: int = 8,
    idle: bool = True,
    routing: Routing = "adaptive",
) -> Setup:
    """A fabric preset with hosts of `width` GPUs and NICs; `idle` takes its latency away."""
    hardware = load(
        HardwareSpec,
        "hardware",
        "h800",
        {"gpus_per_host": width, "nics_per_host": width, **({"scale_up.latency": "0 us"} if idle else {})},
    )
    spec = load(
        TopologySpec,
        "topology",
        fabric,
        {**(IDLE if idle else {}), "planes": width if fabric == "mpft" else 1},
    )
    return Setup(build(spec, hardware, gpus), load(ProtocolSpec, "protocol", protocol), routing)
