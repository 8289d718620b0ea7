"""From a spec and a number of GPUs to a `Topology`: families by name, and what cannot be built.

A family is one entry of `FAMILIES`. `build` checks the request, lets the family size the switches, and puts
hosts and fabric into one graph. What cannot be built is one line that names the limit and what would fit.
"""

from __future__ import annotations

import math
from dataclasses import replace

from netsim.errors import SpecError, did_you_mean
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.assemble import assemble
from netsim.topologies.checks import check
from netsim.topologies.custom import CUSTOM
from netsim.topologies.dragonfly import DRAGONFLY
from netsim.topologies.fabric import Family
from netsim.topologies.fat_tree import by_rail, by_rail_limit, side_by_side, side_by_side_limit
from netsim.topologies.graph import Topology
from netsim.topologies.slim_fly import SLIM_FLY
from netsim.topologies.torus import TORUS
from netsim.topologies.tree_families import tree_family

#: name -> family; a new one is tested by being listed
FAMILIES: dict[str, Family] = {
    "mpft": tree_family(side_by_side, side_by_side_limit, tiers=(2, 3), one_plane=False),
    "mrft": tree_family(by_rail, by_rail_limit, tiers=(2, 3), one_plane=True),
    "mpft_ideal": tree_family(
        side_by_side, side_by_side_limit, tiers=(2, 3), one_plane=False, every_plane=True
    ),
    "rail_only": tree_family(side_by_side, side_by_side_limit, tiers=(1,), one_plane=False),
    "hpn": tree_family(by_rail, by_rail_limit, tiers=(2, 3), one_plane=False, every_plane=True),
    "ft2": tree_family(side_by_side, side_by_side_limit, tiers=(2,), one_plane=True),
    "ft3": tree_family(side_by_side, side_by_side_limit, tiers=(3,), one_plane=True),
    "slim_fly": SLIM_FLY,
    "dragonfly": DRAGONFLY,
    "torus": TORUS,
    "custom": CUSTOM,
}

#: GPUs of the largest fabric that is laid out; every cable is a row of an array
MOST_GPUS = 1 << 20
_RADIX_MAX = 4096  # of specs.topology.SwitchSpec


def build(spec: TopologySpec, hardware: HardwareSpec, gpus: int) -> Topology:
    """The cluster of `gpus` GPUs on a fabric, checked.

    Raises SpecError for an unknown family, widths that do not go together, and a size that cannot be built.
    """
    family = _family(spec)
    spec, one = bonded(spec, hardware)
    _check_size(spec, one, family, gpus)
    fabric = family.fabric(spec, one, gpus // hardware.gpus_per_host)
    topology = replace(assemble(spec, one, gpus, fabric), hardware=hardware)
    check(topology)
    return topology


def max_gpus(spec: TopologySpec, hardware: HardwareSpec) -> int:
    """The most GPUs that the fabric can hold."""
    spec, one = bonded(spec, hardware)
    return _family(spec).max_hosts(spec, one) * hardware.gpus_per_host


def bonded(spec: TopologySpec, hardware: HardwareSpec) -> tuple[TopologySpec, HardwareSpec]:
    """The same with the NICs of a GPU as one, where it has several: traffic is spread evenly over them.

    Four NICs of 100 Gb/s share a port of 400 Gb/s (a breakout cable). Where they need several ports, ports are taken
    together: a switch of 64 ports of 400 Gb/s is one of 32 for pairs of them, with as many cables in each.

    Raises SpecError where a switch has no whole number of such groups, or a list of cables is meant.
    """
    several = hardware.nics_per_gpu
    if several == 1:
        return spec, hardware
    line = several * hardware.nic.line_rate
    nic = hardware.nic.model_copy(update={"line_rate": line})
    one = hardware.model_copy(update={"nics_per_host": hardware.gpus_per_host, "nic": nic})
    if spec.family == "custom":
        return spec, one
    ports = math.ceil(line / spec.switch.port_rate - 1e-9)
    if ports == 1:
        return spec, one
    if spec.switch.radix % ports:
        rule = f"must be a multiple of the {ports} ports that the {several} NICs of a GPU need together"
        raise SpecError(spec.name, "switch.radix", spec.switch.radix, rule)
    grouped = {"radix": spec.switch.radix // ports, "port_rate": ports * spec.switch.port_rate}
    return spec.model_copy(update={"switch": spec.switch.model_copy(update=grouped)}), one


def _family(spec: TopologySpec) -> Family:
    if spec.family not in FAMILIES:
        rule = f"unknown family: {did_you_mean(spec.family, FAMILIES)}"
        raise SpecError(spec.name, "family", spec.family, rule)
    return FAMILIES[spec.family]


def _check_size(spec: TopologySpec, hardware: HardwareSpec, family: Family, gpus: int) -> None:
    per_host = hardware.gpus_per_host
    most = family.max_hosts(spec, hardware) * per_host
    if most < per_host:
        raise SpecError(spec.name, "switch.radix", spec.switch.radix, "too small for a single host")
    if gpus < 1:
        raise SpecError("--gpus", "gpus", gpus, f"must be at least {per_host}, one host")
    if gpus > most:
        raise SpecError("--gpus", "gpus", gpus, _too_many(spec, hardware, family, gpus))
    if gpus > MOST_GPUS:
        raise SpecError(
            "--gpus", "gpus", gpus, f"must be at most {MOST_GPUS:,}: a larger fabric is not laid out"
        )
    if gpus % per_host:
        lower = gpus // per_host * per_host
        near = " or ".join(str(n) for n in (lower, lower + per_host) if 1 <= n <= most)
        rule = f"must be a multiple of the {per_host} GPUs of a host: {near}"
        raise SpecError("--gpus", "gpus", gpus, rule)


def _too_many(spec: TopologySpec, hardware: HardwareSpec, family: Family, gpus: int) -> str:
    """Why the fabric ends, and the smallest radix that would fit."""
    most = family.max_hosts(spec, hardware) * hardware.gpus_per_host
    limit = f"too many for {spec.name}: {family.extent(spec, hardware)}, {most:,} GPUs at most"
    if _at_radix(spec, hardware, family, _RADIX_MAX) == most:
        return limit  # not the ports that limit it
    for radix in range(spec.switch.radix + 2, _RADIX_MAX + 1, 2):
        if _at_radix(spec, hardware, family, radix) >= gpus:
            return f"{limit}; switch.radix = {radix} would fit"
    return f"{limit}; no radix up to {_RADIX_MAX} would fit"


def _at_radix(spec: TopologySpec, hardware: HardwareSpec, family: Family, radix: int) -> int:
    larger = spec.model_copy(update={"switch": spec.switch.model_copy(update={"radix": radix})})
    return family.max_hosts(larger, hardware) * hardware.gpus_per_host
