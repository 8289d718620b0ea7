"""A step with faults as a record: what each costs alone, all together, and which links carry the detour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netsim.errors import NetsimError, StalledError
from netsim.faults.draw import draw_faults
from netsim.specs.base import load
from netsim.specs.case import Case
from netsim.specs.faults import FaultSpec, read_faults
from netsim.specs.question import Question
from netsim.specs.reliability import ReliabilitySpec
from netsim.training.simulate import Step
from netsim.training.step_record import contract
from netsim.workloads.plan import Scaling

if TYPE_CHECKING:
    from netsim.analysis.impact import Effect, Impact


@dataclass(frozen=True)
class FaultRequest:
    """Faults by name, and by rate: a factor on the rates of a table."""

    faults: tuple[FaultSpec, ...]
    rate: float
    table: ReliabilitySpec | None

    @staticmethod
    def of(question: Question, routing: str) -> FaultRequest | None:
        """What the question asks for, on a fabric under `routing`; None for nothing.

        Raises NetsimError for a fault that cannot be read, and for options without effect.
        """
        rate, table = question.fault_rate, question.reliability
        if rate is not None and not 0.0 <= rate < float("inf"):
            raise NetsimError(f"--fault-rate {rate:g}: must be at least 0, and finite")
        if table is not None and rate is None:
            raise NetsimError(f"--reliability {table}: has no effect without --fault-rate")
        if not question.faults and rate is None:
            idle = next(
                (key for key in question.overrides if key.removeprefix("topology.").startswith("failover.")),
                None,
            )
            if idle is not None:
                raise NetsimError(f"--set {idle}: has no effect without --fault or --fault-rate")
            return None
        found = read_faults(list(question.faults))
        for key in question.overrides:
            _refuse_idle(key, found if rate is None else None, routing)
        known = load(ReliabilitySpec, "reliability", table or "llama3") if rate is not None else None
        return FaultRequest(found, rate or 0.0, known)


def _refuse_idle(key: str, faults: Sequence[FaultSpec] | None, routing: str) -> None:
    """A key of failover that these faults (None: any may be drawn) or this routing do not read."""
    unread, rule = key.removeprefix("topology."), ""
    if not unread.startswith("failover."):
        return
    down = None if faults is None else [fault for fault in faults if fault.effect == "down"]
    if unread == "failover.recompute" and routing != "static":
        rule = f"with {routing} routing, only with static"
    elif down == []:
        rule = "where no part is down: traffic is not sent around what is slow"
    elif down and unread != "failover.forwarding" and not any(fault.changes for fault in down):
        rule = "on faults that are there from the start and stay"
    if rule:
        raise NetsimError(f"--set {key}: has no effect {rule}")


def step_with_faults(
    case: Case,
    gpus: int,
    asked: FaultRequest,
    *,
    scaling: Scaling = "weak",
    seed: int = 0,
    folded: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Step, dict[str, Any]]:
    """The step with all faults, and its record with `faults`.

    Raises StalledError when it can never end.
    """
    from netsim.analysis.impact import impact

    table, rate = asked.table, asked.rate
    found = impact(
        case, gpus, asked.faults, scaling=scaling, seed=seed, folded=folded, progress=progress,
        draw=None if table is None else lambda topology, s: draw_faults(topology, table, rate, s, seed),
    )  # fmt: skip
    if found.together.step is None:
        raise StalledError(found.together.stalled)
    record = contract(found.together.step)
    record["faults"] = fault_record(found)
    record["warnings"] += _too_late(found)
    if table is not None:
        record["faults"]["rate"] = {
            "table": table.name,
            "factor": rate,
            "drawn": len(found.each) - len(asked.faults),
        }
        record["provenance"]["evidence"]["reliability"] = dict(sorted(table.sources.items()))
    return found.together.step, record


def fault_record(found: Impact) -> dict[str, Any]:
    """The record of an impact; times in seconds, None for a step that stalls."""
    failover = found.without.case.topology.failover
    from netsim.analysis.impact import detour_links

    return {
        "step_without_s": found.without_s,
        "together": _effect(found.together, found.without_s),
        "each": [
            {
                "fault": str(effect.strikes[0].fault),
                "start_s": effect.strikes[0].start_s,
                "end_s": None if effect.strikes[0].end_s == float("inf") else effect.strikes[0].end_s,
                **_effect(effect, found.without_s),
            }
            for effect in found.each
        ],
        "detour": [vars(link) for link in detour_links(found)],
        "failover": failover.model_dump(mode="json"),
    }


def _too_late(found: Impact) -> list[str]:
    """Faults that begin when the step is over."""
    end_s = found.together.step_s
    return [
        f"fault {strike.fault}: begins at {strike.start_s:g} s, after the end of the step at {end_s:.6g} s"
        for strike in found.together.strikes
        if strike.start_s >= end_s
    ]


def _effect(effect: Effect, without_s: float) -> dict[str, Any]:
    stalls = effect.step is None
    return {
        "touched": effect.touched,
        "stalled": effect.stalled,
        "step_s": None if stalls else effect.step_s,
        "added_s": None if stalls else effect.step_s - without_s,
        "slowdown": None if stalls else effect.step_s / without_s,
        "rerouted_bytes": effect.rerouted_bytes,
        "standing_s": None if stalls else effect.standing_s,
    }
