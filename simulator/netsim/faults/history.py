"""From faults to the history of a fabric: which state it is in at every instant, and how fast its GPUs compute.

A fault takes effect on capacities at once. Switches and hosts learn of a part that is down `reaction` later: they
detect it (`failover.detection`), and under static routing a new table must be computed (`failover.recompute`). Until
then flows on it stand still. When it is back they return as much later; a fault that is over before anybody has
reacted moves nothing. What is broken when the step starts is known. Degraded links and congestion never move a flow.

Left out: transports that give up. A retransmission timer that runs out before the part is back ends a real job; here
the flow waits and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.execution.executor import Speed
from netsim.specs import Routing, TopologySpec
from netsim.specs.faults import FaultSpec
from netsim.topologies import Topology
from netsim.topologies.parts import Part, find_part

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Strike(NamedTuple):
    """A fault on a built fabric: its part, and when it starts and ends (inf: never)."""

    fault: FaultSpec
    part: Part
    start_s: float
    end_s: float

    @property
    def left(self) -> float:
        """What is left of the capacity of its links."""
        amount = self.fault.amount or 0.0
        return {"down": 0.0, "degraded": amount, "congestion": 1.0 - amount, "slow": 1.0}[self.fault.effect]

    @property
    def speed(self) -> float:
        """What is left of the speed of its GPUs."""
        amount = self.fault.amount or 0.0
        return {"down": 0.0, "slow": 1.0 - amount}.get(self.fault.effect, 1.0)


@dataclass(frozen=True)
class History:
    """States of a fabric in time.

    strikes : what happens
    time_s, state : (changes,) from when on, which state; state 0 holds at the start
    left : (states, n_links) part of the capacity that is left
    lost : (states, n_links) links that routing knows to be down
    """

    strikes: tuple[Strike, ...]
    time_s: Floats
    state: Ints
    left: Floats
    lost: Bools

    @property
    def states(self) -> int:
        return len(self.left)


def resolve(topology: Topology, faults: Sequence[FaultSpec], step_s: float) -> tuple[Strike, ...]:
    """The faults on a built fabric; percentages of time are of a step of `step_s`.

    Raises NetsimError for a part that does not exist, saying what does, and for a fault that ends before it starts.
    """
    return tuple(Strike(f, find_part(topology, f.part), *f.span_s(step_s)) for f in faults)


def reaction_s(spec: TopologySpec, routing: Routing) -> float:
    """How long flows stay on a path that is down."""
    return spec.failover.detection + (spec.failover.recompute if routing == "static" else 0.0)


def make_history(topology: Topology, strikes: Sequence[Strike], reaction: float) -> History:
    """Every state, and when it holds."""
    known = [_known(strike, reaction) for strike in strikes]
    times = {0.0, *(t for s in strikes for t in (s.start_s, s.end_s)), *(t for span in known for t in span)}
    found: dict[bytes, int] = {}
    left, lost, state = [], [], []
    when = sorted(t for t in times if t < np.inf)
    for now in when:
        share, gone = np.ones(topology.n_links), np.zeros(topology.n_links, dtype=bool)
        for strike, (seen, forgotten) in zip(strikes, known, strict=True):
            if strike.start_s <= now < strike.end_s:
                share[strike.part.links] *= strike.left
            if strike.left == 0.0 and seen <= now < forgotten:
                gone[strike.part.links] = True
        key = share.tobytes() + gone.tobytes()
        if key not in found:
            found[key] = len(found)
            left.append(share)
            lost.append(gone)
        state.append(found[key])
    return History(tuple(strikes), np.array(when), np.array(state), np.array(left), np.array(lost))


def _known(strike: Strike, reaction: float) -> tuple[float, float]:
    """From when to when routing goes around a part that is down."""
    if strike.left > 0.0 or (strike.start_s > 0 and strike.end_s - strike.start_s <= reaction):
        return np.inf, np.inf
    return (strike.start_s + reaction if strike.start_s > 0 else 0.0), strike.end_s + reaction


def group_speeds(strikes: Sequence[Strike], gpus: Ints) -> dict[int, Speed]:
    """Speeds of the stage groups with a struck GPU: a group computes as fast as its slowest GPU.

    gpus : (groups, GPUs of one)
    """
    strikes = [s for s in strikes if s.speed < 1.0 and s.part.gpus.size]
    when = sorted({t for s in strikes for t in (s.start_s, s.end_s) if t < np.inf})
    found = {}
    for group in np.flatnonzero(
        np.isin(gpus, np.concatenate([[-1], *(s.part.gpus for s in strikes)])).any(axis=1)
    ):
        factor = []
        for now in when:
            speed = np.ones(gpus.shape[1])
            for strike in strikes:
                if strike.start_s <= now < strike.end_s:
                    speed[np.isin(gpus[group], strike.part.gpus)] *= strike.speed
            factor.append(float(speed.min()))
        found[int(group)] = Speed(tuple(when), tuple(factor))
    return found


def speed_colours(speeds: dict[int, Speed], shape: tuple[int, int, int]) -> Ints | None:
    """(pipeline, groups) one colour for the stage groups that compute alike; None when all do."""
    if not speeds:
        return None
    known = {speed: n for n, speed in enumerate(dict.fromkeys(speeds.values()), start=1)}
    colours = [known[speeds[g]] if g in speeds else 0 for g in range(shape[0] * shape[1])]
    return np.array(colours).reshape(shape[:2])
