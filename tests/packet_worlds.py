"""Small fabrics for the packet engine: one GPU and NIC a host, 400 Gb/s, 0.5 us a link."""

from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.packets import PacketsSpec
from netsim.topologies import build

ALONE = {"gpus_per_host": 1, "nics_per_host": 1}
HOP = {"latency.endpoint": "0.5 us", "latency.switch_hop": "0.5 us"}


def tree(endpoints, radix=16, **overrides):
    """A full two-layer tree: half of each leaf's ports face down."""
    of_host = {key: value for key, value in overrides.items() if key.startswith("nic.")}
    of_fabric = {key: value for key, value in overrides.items() if key not in of_host}
    spec = load(TopologySpec, "topology", "ft2", HOP | {"switch.radix": radix} | of_fabric)
    return build(spec, load(HardwareSpec, "hardware", "h800", ALONE | of_host), endpoints)


def transport(name, **overrides):
    """A preset; `switch__queue` is the key switch.queue."""
    return load(PacketsSpec, "transport", name, {k.replace("__", "."): v for k, v in overrides.items()})
