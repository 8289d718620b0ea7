"""From a spec and a number of GPUs to a `Topology`: families by name, and what cannot be built.

A family is one entry of `FAMILIES`. `build` checks the request, lets the family size the switches, and puts hosts and
fabric into one graph. Raises SpecError, one line that names the limit and what would fit.
"""

from __future__ import annotations

from netsim.errors import SpecError, did_you_mean
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.assemble import assemble
from netsim.topologies.checks import check
from netsim.topologies.fat_tree import (
    Family,
    Widths,
    by_rail,
    by_rail_limit,
    side_by_side,
    side_by_side_limit,
)
from netsim.topologies.graph import Topology

#: name -> family; a new one is tested by being listed
FAMILIES: dict[str, Family] = {
    "mpft": Family(side_by_side, side_by_side_limit, tiers=(2, 3), one_plane=False),
    "mrft": Family(by_rail, by_rail_limit, tiers=(2, 3), one_plane=True),
    "ft2": Family(side_by_side, side_by_side_limit, tiers=(2,), one_plane=True),
    "ft3": Family(side_by_side, side_by_side_limit, tiers=(3,), one_plane=True),
}

_RADIX_MAX = 4096  # of specs.topology.SwitchSpec


def build(spec: TopologySpec, hardware: HardwareSpec, gpus: int) -> Topology:
    """The cluster of `gpus` GPUs on a fabric, checked.

    Raises SpecError for an unknown family, widths that do not go together, and a size that cannot be built.
    """
    family = _family(spec)
    widths = _widths(spec, hardware, family)
    _check_size(spec, hardware, family, widths, gpus)
    tree = family.tree(widths, gpus // hardware.gpus_per_host)
    topology = assemble(spec, hardware, gpus, tree)
    check(topology)
    return topology


def max_gpus(spec: TopologySpec, hardware: HardwareSpec) -> int:
    """The most GPUs that the fabric can hold."""
    family = _family(spec)
    return family.limit(_widths(spec, hardware, family)) * hardware.gpus_per_host


def _family(spec: TopologySpec) -> Family:
    if spec.family not in FAMILIES:
        raise SpecError(
            spec.name, "family", spec.family, f"unknown family: {did_you_mean(spec.family, FAMILIES)}"
        )
    return FAMILIES[spec.family]


def _widths(spec: TopologySpec, hardware: HardwareSpec, family: Family) -> Widths:
    nics, planes = hardware.nics_per_host, spec.planes
    if spec.tiers not in family.tiers:
        allowed = " or ".join(str(t) for t in family.tiers)
        raise SpecError(spec.name, "tiers", spec.tiers, f"family {spec.family} has {allowed}")
    if family.one_plane and planes != 1:
        raise SpecError(spec.name, "planes", planes, f"family {spec.family} is one fabric; mpft has planes")
    if nics % planes:
        rule = f"must divide the {nics} NICs of a host ({hardware.name})"
        raise SpecError(spec.name, "planes", planes, rule)
    if len(spec.oversubscription) != spec.tiers - 1:
        rule = f"{spec.tiers} tiers have {spec.tiers - 1}: one for each tier below the top"
        raise SpecError(spec.name, "oversubscription", list(spec.oversubscription), rule)
    for ratio in spec.oversubscription:
        if int(spec.switch.radix * ratio / (1.0 + ratio) + 1e-9) >= spec.switch.radix:
            rule = f"leaves no port up on switches of radix {spec.switch.radix}"
            raise SpecError(spec.name, "oversubscription", ratio, rule)
    return Widths(nics, planes, spec.tiers, spec.switch.radix, spec.oversubscription)


def _check_size(
    spec: TopologySpec, hardware: HardwareSpec, family: Family, widths: Widths, gpus: int
) -> None:
    per_host = hardware.gpus_per_host
    most = family.limit(widths) * per_host
    if gpus < 1:
        raise SpecError("--gpus", "gpus", gpus, f"must be at least {per_host}, one host")
    if gpus > most:
        raise SpecError("--gpus", "gpus", gpus, _too_many(spec, family, widths, -(-gpus // per_host), most))
    if gpus % per_host:
        lower, upper = gpus // per_host * per_host, (gpus // per_host + 1) * per_host
        near = " or ".join(f"{n}" for n in (lower, upper) if 1 <= n <= most)
        raise SpecError(
            "--gpus", "gpus", gpus, f"must be a multiple of the {per_host} GPUs of a host: {near}"
        )


def _too_many(spec: TopologySpec, family: Family, widths: Widths, hosts: int, most: int) -> str:
    """Why the fabric ends, and the smallest radix that would fit."""
    endpoints = widths.max_leaves * widths.down
    plane = " a plane" if widths.planes > 1 else ""
    limit = (
        f"too many for {spec.name}: {widths.tiers} tiers of radix {widths.radix} hold {endpoints:,} endpoints{plane}, "
        f"at most {most} GPUs"
    )
    for radix in range(widths.radix + 2, _RADIX_MAX + 1, 2):
        if family.limit(widths._replace(radix=radix)) >= hosts:
            return f"{limit}; --set switch.radix={radix} would fit"
    return f"{limit}; no radix up to {_RADIX_MAX} fits"
