"""A fabric as its owner has it: named nodes, ports and cables, whatever file they come from.

Every reader of a fabric ends here: `Cable`s between named ends. What follows is the same for all: which nodes are
hosts, tiers by structure, mistakes in the cabling (`netsim.importers.cabling`), and the list of cables that
`netsim run --topology` takes (`netsim.importers.fabric`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from netsim.importers.words import natural


class End(NamedTuple):
    """One end of a cable: a node, and its port (a NIC of a host) as written."""

    node: str
    port: str


class Cable(NamedTuple):
    """A cable as found. rate : bytes/s at which it runs; dead : whether it carries nothing"""

    a: End
    b: End
    rate: float
    dead: bool = False


@dataclass
class Found:
    """What a file says of a fabric.

    cables : each once; hosts : nodes that are hosts; ports : of a switch, where the file says how many there are
    full_rate : bytes/s that a cable could run at, where the file says so (a degraded link)
    """

    cables: list[Cable] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    ports: dict[str, int] = field(default_factory=dict)
    full_rate: dict[frozenset[End], float] = field(default_factory=dict)

    @property
    def live(self) -> list[Cable]:
        """Cables that carry something."""
        return [cable for cable in self.cables if not cable.dead]

    @property
    def switches(self) -> set[str]:
        """Nodes that are no hosts."""
        return {end.node for cable in self.cables for end in (cable.a, cable.b)} - self.hosts

    def nics(self) -> dict[str, dict[str, list[Cable]]]:
        """Host -> NIC -> its cables with the host's end first; NICs in the order of their names."""
        found: dict[str, dict[str, list[Cable]]] = defaultdict(lambda: defaultdict(list))
        for cable in self.live:
            for near, far in ((cable.a, cable.b), (cable.b, cable.a)):
                if near.node in self.hosts and far.node not in self.hosts:
                    found[near.node][near.port].append(Cable(near, far, cable.rate))
        return {
            host: {nic: found[host][nic] for nic in sorted(found[host], key=natural)}
            for host in sorted(found, key=natural)
        }

    def between(self) -> dict[tuple[str, str], list[Cable]]:
        """Cables between switches by the names of both."""
        found: dict[tuple[str, str], list[Cable]] = defaultdict(list)
        for cable in self.live:
            if cable.a.node not in self.hosts and cable.b.node not in self.hosts:
                one, two = sorted((cable.a.node, cable.b.node), key=natural)
                found[one, two].append(cable)
        return dict(found)


def tiers(found: Found) -> dict[str, int]:
    """Tier of each switch by structure: 1 where hosts are plugged in, and one more than the nearest below elsewhere.

    Switches that reach no host have tier 0.
    """
    tier = {cable.b.node: 1 for nics in found.nics().values() for cables in nics.values() for cable in cables}
    beside: dict[str, set[str]] = defaultdict(set)
    for one, two in found.between():
        beside[one].add(two)
        beside[two].add(one)
    front = set(tier)
    while front:
        ahead = {peer for name in front for peer in beside[name]} - tier.keys()
        level = 1 + max(tier[name] for name in front)
        tier |= dict.fromkeys(ahead, level)
        front = ahead
    return {name: tier.get(name, 0) for name in sorted(found.switches, key=natural)}
