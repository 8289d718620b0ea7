"""Fat-trees as families: which widths a spec may ask for, and the tree as a `Fabric`."""

from __future__ import annotations

from collections.abc import Callable

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies.fabric import Fabric, Family
from netsim.topologies.fat_tree import Seats, Widths, grow, in_every_plane
from netsim.topologies.tree import Tree, cables, switch_columns


def tree_family(
    seats: Callable[[Widths, int], Seats],
    limit: Callable[[Widths], int],
    tiers: tuple[int, ...],
    one_plane: bool,
    every_plane: bool = False,
) -> Family:
    """The family of trees that seats endpoints in one way, the tiers it may have, in one plane or many.

    every_plane : a NIC has a port in each plane, of an equal part of its rate; else it is in one of them
    """

    def widths(spec: TopologySpec, hardware: HardwareSpec) -> Widths:
        _check_tiers(spec, tiers)
        _check_planes(spec, hardware, one_plane, every_plane)
        _check_oversubscription(spec)
        planes = 1 if every_plane else spec.planes  # planes that the NICs of a host are dealt out over
        return Widths(hardware.nics_per_host, planes, spec.tiers, spec.switch.radix, spec.oversubscription)

    def max_hosts(spec: TopologySpec, hardware: HardwareSpec) -> int:
        return limit(widths(spec, hardware))

    def extent(spec: TopologySpec, hardware: HardwareSpec) -> str:
        found = widths(spec, hardware)
        plane = " a plane" if spec.planes > 1 else ""
        endpoints = found.max_leaves * found.down
        tiers = f"{found.tiers} tiers" if found.tiers > 1 else "1 tier"
        return f"{tiers} of radix {found.radix} hold{'s' * (found.tiers == 1)} {endpoints:,} endpoints{plane}"

    def fabric(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
        choices = _leaf_choices(widths(spec, hardware), limit, hosts)
        return min((_fabric(spec, found, hosts) for found in choices), key=lambda f: f.switch_tier.size)

    def _fabric(spec: TopologySpec, found: Widths, hosts: int) -> Fabric:
        taken = seats(found, hosts)
        if not every_plane:
            return tree_fabric(grow(found, taken))
        return tree_fabric(
            grow(found._replace(planes=spec.planes), in_every_plane(taken, spec.planes))
        )._replace(nic_ports=spec.planes)

    return Family(max_hosts, extent, fabric)


def _leaf_choices(found: Widths, limit: Callable[[Widths], int], hosts: int) -> list[Widths]:
    """Ways to divide the ports of a leaf: the fewest leaves need not make the fewest switches.

    A leaf with a prime number of uplinks can only be wired to as many spines; giving up a port or two divides better.
    Without oversubscription half of the ports face down, as everywhere.
    """
    if found.tiers == 1 or found.oversubscription[0] == 1.0:
        return [found]
    fewer = range(found.down - 1, found.down * 3 // 4, -1)
    return [found, *(w for d in fewer if hosts <= limit(w := found._replace(leaf_ports=d)))]


def tree_fabric(tree: Tree) -> Fabric:
    """The switches and cables of a tree."""
    tier, plane, pod = switch_columns(tree)
    lower, upper = cables(tree)
    leaf = tree.endpoint_plane * tree.leaves + tree.endpoint_leaf
    hops = (1, 3, 5)[: tree.tiers]
    return Fabric(tree.endpoint_plane, leaf, tier, plane, pod, lower, upper, tree.tiers, tree, hops)


def _check_tiers(spec: TopologySpec, tiers: tuple[int, ...]) -> None:
    if spec.tiers not in tiers:
        allowed = " or ".join(str(t) for t in tiers)
        raise SpecError(spec.name, "tiers", spec.tiers, f"family {spec.family} has {allowed}")


def _check_planes(spec: TopologySpec, hardware: HardwareSpec, one_plane: bool, every_plane: bool) -> None:
    nics, planes = hardware.nics_per_host, spec.planes
    if every_plane:
        return
    if one_plane and planes != 1:
        raise SpecError(spec.name, "planes", planes, f"family {spec.family} is one fabric; mpft has planes")
    if nics % planes:
        fits = ", ".join(str(n) for n in range(1, nics + 1) if nics % n == 0)
        rule = f"must divide the {nics} NICs of a host ({hardware.name}): {fits}"
        raise SpecError(spec.name, "planes", planes, rule)


def _check_oversubscription(spec: TopologySpec) -> None:
    if len(spec.oversubscription) != spec.tiers - 1:
        rule = f"{spec.tiers} tiers have {spec.tiers - 1}: one for each tier below the top"
        raise SpecError(spec.name, "oversubscription", list(spec.oversubscription), rule)
