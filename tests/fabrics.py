"""Fabrics of H800 hosts by family, with keys as `--set` has them."""

from collections.abc import Mapping
from typing import Any

from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.topologies import Topology, build

H800 = load(HardwareSpec, "hardware", "h800")


def spec_of(family: str, overrides: Mapping[str, Any] | None = None, /, **more: Any) -> TopologySpec:
    """A fabric preset; `more` overrides are keys with a double underscore for the dot."""
    dotted = {key.replace("__", "."): value for key, value in more.items()}
    return load(TopologySpec, "topology", family, {**(overrides or {}), **dotted})


def fabric(family: str, gpus: int, overrides: Mapping[str, Any] | None = None, /, **more: Any) -> Topology:
    """A fabric preset for so many GPUs."""
    return build(spec_of(family, overrides, **more), H800, gpus)
