"""The constants behind an answer, how well each is known, and what that makes of the step.

A factor is a constant that may be off by a share, 1 + its spread; factors are independent of each other, and what is
answered by one factor is off as one (all kernels of a class together):

    class of kernels   times that its model answers: held-out residuals of the profile's class, bias and spread
    measured kernels   times that the table answers: repeated measurements
    power limit        what compute takes longer at the power limit: measured slowdowns of mixes
    kernels            rate of dispatch and combine: rows that they were not set on
    nic, nvlink        rates of links: all-to-all rows that they were not set on
    latency            fixed cost of exchanges: rows of small messages

Each is moved by one standard deviation, the executed graph is run again with the durations that follow
(`execution.recorded`), and half the difference between up and down is what the step is worth to it. Errors of different
factors add as squares. Left out: second order, and what transfers do to each other when they get slower together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy, anatomy
from netsim.analysis.explain.operators import times_run
from netsim.analysis.explain.sensitivity import by_block
from netsim.analysis.uncertainty.evidence import Evidence, Spread
from netsim.compute.stand_in import for_each_expert, stand_in
from netsim.specs.profile import ProfileSpec
from netsim.training.simulate import Step

Floats = NDArray[np.float64]
#: durations and marks of the tasks that follow from a factor by a size (in ln)
Move = Callable[[float], tuple[Floats, Floats | None]]
#: constants of the network by name: the resource behind a transfer's time
NETWORK = ("kernels", "nic", "nvlink", "latency")
MEASURED, POWER = "measured kernels", "power limit"
#: how far a factor is moved where its spread is not asked for
_FEW = 0.03
#: factors that can move the step by no more are left out: a hundredth of a percent, a thousandth of the factor
_NONE, _LITTLE = 1e-4, 1e-3
#: the chain that sets the step may hold so many times the mean rank's share of something
_CHAIN = 2.0


@dataclass(frozen=True)
class Factor:
    """A constant and who says how well it is known.

    spread, bias : standard deviation and mean of ln(how much longer things take); effect : what one standard deviation
    adds to ln(step)
    """

    name: str
    spread: float
    bias: float
    effect: float
    source: str


def class_spread(evidence: Evidence, profile: ProfileSpec, kind: str) -> Spread:
    """What a class of kernels of a profile is known to; of all profiles together where its own has no rows."""
    own = evidence.classes.get(profile.name, {})
    name = stand_in(kind, profile.classes) or kind
    every = evidence.classes["all"]
    return own.get(name) or every.get(name) or every["any"]


def factors(found: Anatomy, evidence: Evidence) -> list[Factor]:
    """Every factor that moves the step, the largest effect first."""
    profile, made = found.step.case.profile, []
    for name, most, move in _moves(found):
        known = known_of(evidence, profile, name)
        if most * known.spread > _NONE:
            made.append(
                Factor(name, known.spread, known.bias, _effect(found, move, known.spread), known.source)
            )
    return sorted((f for f in made if f.effect), key=lambda f: (-abs(f.effect), f.name))


def known_of(evidence: Evidence, profile: ProfileSpec, name: str) -> Spread:
    """What a factor is known to."""
    constant = {MEASURED: "repeats", POWER: "power"}.get(name, name)
    return evidence.constants.get(constant) or class_spread(evidence, profile, name)


def worth(step: Step) -> dict[str, float]:
    """What each factor is worth to a step: d ln(step) / d ln(factor), at a few percent of the factor."""
    found = anatomy(step)
    return {name: _effect(found, move, _FEW) / _FEW for name, most, move in _moves(found) if most > _LITTLE}


def from_worth(worths: Mapping[str, float], evidence: Evidence, profile: ProfileSpec) -> list[Factor]:
    """Factors from what each is worth to a step."""
    known = {name: known_of(evidence, profile, name) for name in worths}
    return [
        Factor(n, known[n].spread, known[n].bias, each * known[n].spread, known[n].source)
        for n, each in worths.items()
    ]


def total(made: Sequence[Factor]) -> float:
    """One standard deviation of ln(step) for all factors together."""
    return math.sqrt(sum(factor.effect**2 for factor in made))


def shares_and_parts(found: Anatomy) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """What factors act on: shares of blocks (works,) by factor of compute, seconds of transfers (n,) by constant."""
    parts = {name: _part(found, name) for name in NETWORK}
    return _shares(found), {name: part for name, part in parts.items() if part.any()}


def _moves(found: Anatomy) -> list[tuple[str, float, Move]]:
    """Every factor, the most that it can be worth to the step, and the durations that follow from a size (in ln)."""
    moves: list[tuple[str, float, Move]] = []
    runs = times_run(found) * found.block_s / found.step_s
    for name, share in _shares(found).items():
        moves.append((name, _CHAIN * float((runs * share).sum()), partial(_slower, found, share)))
    ranks = float(len(found.groups_in))
    for name in NETWORK:
        part = _part(found, name)
        if most := float(part.sum()) / ranks / found.step_s:
            moves.append((name, _CHAIN * most, partial(_longer, found, part)))
    return moves


def _effect(found: Anatomy, move: Move, size: float) -> float:
    """Half the difference between the step with a factor up and down by a size, in ln."""
    up, down = (found.graph.end_s(*move(way * size)) for way in (1.0, -1.0))
    return math.log(up / down) / 2.0


def _shares(found: Anatomy) -> dict[str, Floats]:
    """(works,) share of each block's time that goes with a factor of compute."""
    works, step = found.works, found.step
    model, profile = step.timing.model, step.case.profile
    shares: dict[str, Floats] = defaultdict(lambda: np.zeros(len(works)))
    for number, work in enumerate(works):
        block = step.timing.blocks.get(work)
        if block is None or not block.seconds:
            continue
        for op in step.timing.operators(work):
            time, slower = model.operator_time(op, work.overlapped), step.timing.stretch(work, op)
            kind = for_each_expert(op, profile.classes).kind
            name = MEASURED if time.origin == "table" else stand_in(kind, profile.classes) or kind
            share = time.seconds * slower / block.seconds
            shares[name][number] += share
            if slower != 1.0:
                shares[POWER][number] += share
    return dict(shares)


def _slower(found: Anatomy, share: Floats, size: float) -> tuple[Floats, Floats]:
    """Durations and marks with a share of each block `size` (in ln) longer."""
    return by_block(found, 1.0 + share * math.expm1(size))


def _part(found: Anatomy, name: str) -> Floats:
    """(n,) seconds of each transfer that go with a constant of the network."""
    if name == "latency":
        return np.where(found.computes, 0.0, found.latency_s)
    alone = found.moved_s - found.shared_s
    if name == "kernels":
        return np.where(found.by_experts, alone, 0.0)
    library = np.where(found.by_experts, 0.0, alone)
    links = np.where(np.isin(found.bound, ["nvlink"]) == (name == "nvlink"), found.shared_s, 0.0)
    return links + (library if name == "nic" else 0.0)


def _longer(found: Anatomy, part: Floats, size: float) -> tuple[Floats, Floats | None]:
    return found.graph.own_s + part * math.expm1(size), None
