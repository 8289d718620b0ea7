"""One question to one step and its record: what `netsim run` answers, with faults or without.

question -> case, faults                   netsim.specs.question, netsim.analysis.fault_cost
         -> step                           netsim.training.simulate
         -> record                         netsim.training.step_record
         -> intervals                      netsim.analysis.uncertainty
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.analysis.bubble import bubble_by_cause
from netsim.analysis.explain.explain import explain
from netsim.analysis.fault_cost import FaultRequest, step_with_faults
from netsim.analysis.spread import spread
from netsim.analysis.uncertainty.interval import add_intervals, how_sure
from netsim.specs.idle import FAILOVER
from netsim.specs.question import Question
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract


def answer(
    question: Question, progress: Callable[[int, int], None] | None = None
) -> tuple[Step, dict[str, Any]]:
    """The step that is asked for, and its record; `progress` is told (done, all) tasks.

    Raises NetsimError for what cannot be built or has no effect, StalledError for a step that never ends.
    """
    case = question.checked_case(*FAILOVER)  # FaultRequest knows more about these
    asked = FaultRequest.of(question, case.topology.routing)
    options: dict[str, Any] = {
        "scaling": question.scaling, "seed": question.seed, "folded": question.folded, "progress": progress,
    }  # fmt: skip
    if asked is not None:
        step, record = step_with_faults(case, question.gpus, asked, **options)
    else:
        step = simulate(case, question.gpus, **options)
        record = contract(step)
    add_intervals(record, how_sure(step))
    return step, record


def add_explanation(step: Step, question: Question, record: dict[str, Any]) -> None:
    """Add to a record where the step goes, its bubble by cause, and what a variation adds to each pipeline rank."""
    record["step"]["bubble_by_cause_s"] = bubble_by_cause(
        step.case, step.plan, question.seed, question.folded
    )
    record["explain"] = explain(step)
    if step.ranks is not None:
        record["skew"]["added_by_pipeline_rank"] = spread(step)
