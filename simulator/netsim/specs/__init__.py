"""TOML presets and files as strict models: what a user may write, with units and rules."""

from netsim.specs.base import Preset, Strict, all_keys, has_key, load, put, read_toml, validate
from netsim.specs.hardware import HardwareSpec
from netsim.specs.topology import Routing, TopologySpec
from netsim.specs.workload import ModelSpec, WorkloadSpec

__all__ = [
    "HardwareSpec",
    "ModelSpec",
    "Preset",
    "Routing",
    "Strict",
    "TopologySpec",
    "WorkloadSpec",
    "all_keys",
    "has_key",
    "load",
    "put",
    "read_toml",
    "validate",
]
