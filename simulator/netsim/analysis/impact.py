"""What faults cost: the step without any, with each alone, and with all of them; and where the bytes went instead.

added time        step with the fault minus the fault-free step
rerouted bytes    what went over another path than the fault-free one
standing          time in which at least one flow under way stood still on a path that was down
detour            links that carry more than in the fault-free step
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.errors import StalledError
from netsim.faults.history import Strike, resolve
from netsim.faults.states import BLOCKED, MOVED
from netsim.routing.paths import ROUTERS
from netsim.specs.case import Case
from netsim.specs.faults import FaultSpec
from netsim.topologies import Topology, build
from netsim.topologies.parts import link_name
from netsim.training.simulate import Job, Step, is_touched, lay_out, simulate_job
from netsim.workloads.plan import Scaling, make_plan

#: cables by what they join, in the order of the link kinds
KINDS = ("nvlink", "pcie", "nic", "switch")


@dataclass(frozen=True)
class Effect:
    """One or several faults on a step: whether they touch it, the step (None when it stalls), and why it stalls."""

    strikes: tuple[Strike, ...]
    touched: bool
    step: Step | None
    stalled: str = ""

    @property
    def step_s(self) -> float:
        """Time of the step; inf when it stalls."""
        return np.inf if self.step is None else float(self.step.execution.end_s.max())

    @property
    def rerouted_bytes(self) -> float:
        """Bytes that went another way."""
        return _counted(self.step, MOVED, "link_bytes") if self.step else 0.0

    @property
    def standing_s(self) -> float:
        """Time in which some flow stood still."""
        return _counted(self.step, BLOCKED, "link_busy_s") if self.step else np.inf


@dataclass(frozen=True)
class Impact:
    """Without faults, with each alone, with all."""

    without: Step
    each: tuple[Effect, ...]
    together: Effect

    @property
    def without_s(self) -> float:
        """Time of the fault-free step."""
        return float(self.without.execution.end_s.max())


@dataclass(frozen=True)
class Detour:
    """Links of one kind that carry more: how many, the one that carries most, its extra bytes, and those over its
    fault-free bytes (None where there were none)."""

    kind: str
    links: int
    link: str
    extra_bytes: float
    relative: float | None


def impact(
    case: Case,
    gpus: int,
    faults: Sequence[FaultSpec],
    *,
    scaling: Scaling = "weak",
    seed: int = 0,
    folded: bool = True,
    draw: Callable[[Topology, float], Sequence[FaultSpec]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Impact:
    """Simulate the step without faults, with each of them, and with all.

    `draw` makes more of them, given the fabric and the time of the fault-free step.

    Raises NetsimError for a fault in a part that does not exist, saying what does; a step that stalls is an answer.
    """
    topology = build(case.topology, case.hardware, gpus)
    job = lay_out(case, make_plan(case.workload, gpus, scaling))
    resolve(topology, faults, 1.0)  # mistakes before the work
    without = simulate_job(case, topology, job, seed=seed, folded=folded, progress=progress)
    step_s = float(without.execution.end_s.max())
    strikes = resolve(topology, [*faults, *(draw(topology, step_s) if draw else ())], step_s)

    def effect(struck: tuple[Strike, ...]) -> Effect:
        return _effect(case, topology, job, without, struck, progress)

    each = tuple(effect((strike,)) for strike in strikes)
    return Impact(without, each, each[0] if len(strikes) == 1 else effect(strikes))


def _effect(
    case: Case,
    topology: Topology,
    job: Job,
    without: Step,
    strikes: tuple[Strike, ...],
    progress: Callable[[int, int], None] | None,
) -> Effect:
    if not is_touched(without, strikes):
        return Effect(strikes, False, without)
    try:
        step = simulate_job(
            case, topology, job, seed=without.seed, folded=without.folded, strikes=strikes, progress=progress
        )
    except StalledError as error:
        return Effect(strikes, True, None, str(error))
    return Effect(strikes, True, step)


def _counted(step: Step, which: int, column: str) -> float:
    """Bytes or busy time of a counting link, over all states."""
    layers = step.traffic.layers
    if layers is None:
        return 0.0
    values = getattr(step.fluid, column)
    return float(values[layers.link_class[:, layers.states.n_links - 2 + which]].sum())


def link_bytes(step: Step) -> NDArray[np.float64]:
    """(n_links,) bytes that each link of the fabric carried."""
    traffic = step.traffic
    classes = traffic.link_class[None, :] if traffic.layers is None else traffic.layers.link_class
    return carried_by_links(step.topology, classes[:, : traffic.link_class.size], step.fluid.link_bytes)


def carried_by_links(
    topology: Topology, link_class: NDArray[np.int64], carried: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n_links,) bytes over all states; what a trunk carried is spread over its cables in equal parts.

    link_class : (states, links and trunks) entry of `carried` of each, -1 for one that nobody crosses.
    """
    total = np.append(carried, 0.0)[link_class].sum(axis=0)
    trunks = ROUTERS[type(topology.structure)].trunks(topology)
    size, n_links = trunks.size, topology.n_links
    if total.size >= n_links + size.size and size.size:  # hashed and static paths use no trunks
        cable = np.repeat(trunks.first - np.cumsum(size) + size, size) + np.arange(size.sum())
        np.add.at(total, cable, np.repeat(total[n_links : n_links + size.size] / size, size))
    return np.asarray(total[:n_links])


def detour_links(found: Impact) -> list[Detour]:
    """The links that carry more than without faults, by kind; the kind of the largest extra first."""
    step = found.together.step
    if step is None or not found.together.touched:
        return []
    before, after = link_bytes(found.without), link_bytes(step)
    extra, rows = after - before, []
    kinds = step.topology.link_kind // 2  # both directions
    for number, kind in enumerate(KINDS):
        mine = np.flatnonzero((kinds == number) & (extra > 1e-9 * before.max()))
        if mine.size:
            link = int(mine[extra[mine].argmax()])
            relative = float(extra[link] / before[link]) if before[link] else None
            rows.append(Detour(kind, mine.size, link_name(step.topology, link), float(extra[link]), relative))
    return sorted(rows, key=lambda row: -row.extra_bytes)
