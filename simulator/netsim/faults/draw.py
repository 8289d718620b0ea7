"""Faults drawn by rate: a reliability table, times a factor, over one step.

Each kind of part fails as a Poisson process of rate `parts / mtbf`; which part and when is uniform, and it is back
after an exponential time of mean `repair`. At the real rates a step of seconds sees nothing nearly always, so the
table's rates are multiplied: `factor` 1 is as published. A GPU or host that is down stalls the step until it is back;
`software` breaks no part and draws nothing.

Left out: bursts, parts that fail together, and wear.
"""

from __future__ import annotations

import numpy as np

from netsim.errors import NetsimError
from netsim.specs.faults import FaultSpec
from netsim.specs.reliability import PARTS, ReliabilitySpec
from netsim.topologies import LinkKind, Topology
from netsim.topologies.parts import link_name, switch_names

#: the child of the seed that draws faults
CHILD = 0xFA17
#: faults in one step: each is also simulated alone
MOST = 50


def draw_faults(
    topology: Topology, table: ReliabilitySpec, factor: float, step_s: float, seed: int
) -> tuple[FaultSpec, ...]:
    """Faults over a step of `step_s` seconds, in order of time.

    Raises NetsimError when the factor makes more than `MOST` of them.
    """
    kinds = {kind: names for kind in table.parts() if (names := part_names(topology, kind))}
    rngs = {kind: np.random.default_rng([seed, CHILD, PARTS.index(kind)]) for kind in kinds}
    mean = {kind: len(names) * factor * step_s / table.parts()[kind].mtbf for kind, names in kinds.items()}
    all_of_them = sum(mean.values())
    count: dict[str, int] = {}
    if (
        all_of_them <= 100 * MOST
    ):  # no draw brings a larger mean down to MOST, and a generator takes no such mean
        count = {kind: int(rngs[kind].poisson(mean[kind])) for kind in kinds}
        all_of_them = sum(count.values())
    if all_of_them > MOST:
        rule = f"draws {all_of_them:.4g} faults from {table.name} in a step of {step_s:.3g} s, at most {MOST}"
        raise NetsimError(f"--fault-rate {factor:g}: {rule}: choose a smaller factor")
    found: list[tuple[float, FaultSpec]] = []
    for kind, names in kinds.items():
        rng = rngs[kind]
        for _ in range(count[kind]):
            at, lasting = float(rng.uniform(0, step_s)), float(rng.exponential(table.parts()[kind].repair))
            name = names[int(rng.integers(len(names)))]
            if lasting > 0:
                fault = FaultSpec(part=name, effect="down", at=f"{at:.6g} s", duration=f"{lasting:.6g} s")
                found.append((at, fault))
    return tuple(fault for _, fault in sorted(found, key=lambda pair: pair[0]))


def part_names(topology: Topology, kind: str) -> list[str]:
    """The name of every part of a kind that a reliability table may list."""
    per_host, nics = topology.gpus_per_host, topology.nics // topology.hosts
    if kind in ("gpu", "scale_up"):
        word = "gpu" if kind == "gpu" else "nvlink"
        return [f"{word} host{g // per_host}.{g % per_host}" for g in range(topology.gpus)]
    if kind == "host":
        return [f"host {n}" for n in range(topology.hosts)]
    if kind == "nic":
        return [f"nic host{n // nics}.{n % nics}" for n in range(topology.nics)]
    if kind == "switch":
        return [f"switch {name}" for name in switch_names(topology)]
    return cable_names(topology) if kind == "cable" else []


def cable_names(topology: Topology) -> list[str]:
    """The name of every cable: of NIC ports, then between switches."""
    first = topology.first(LinkKind.PORT_TX)
    words = [link_name(topology, first + e).split()[1] for e in range(topology.endpoints)]
    names, ups = switch_names(topology), topology.links(LinkKind.UP)
    seen: dict[tuple[int, int], int] = {}
    ends = []
    for link in ups:
        pair = (
            int(topology.link_src[link]) - topology.first_switch,
            int(topology.link_dst[link]) - topology.first_switch,
        )
        seen[pair] = seen.get(pair, -1) + 1
        ends.append((pair, seen[pair]))
    return [f"link {word}" for word in words] + [
        f"link {names[a]}-{names[b]}" + (f"#{n}" if seen[a, b] else "") for (a, b), n in ends
    ]
