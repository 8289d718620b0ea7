"""One question to one step and its record: what `netsim run` answers, with faults or without.

question -> case, faults                   netsim.specs.question, netsim.analysis.fault_cost
         -> step                           netsim.training.simulate
         -> record                         netsim.training.step_record
         -> intervals                      netsim.analysis.uncertainty
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.analysis.fault_cost import FaultRequest, step_with_faults
from netsim.analysis.uncertainty.interval import add_intervals, how_sure
from netsim.errors import DomainError, NetsimError
from netsim.specs.case import Case
from netsim.specs.idle import FAILOVER
from netsim.specs.question import Question
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract


def case_of(question: Question) -> Case:
    """The checked specs of a question, before anything is run.

    Raises NetsimError for a wrong name, key or value, and for what has no effect.
    """
    return question.checked_case(*FAILOVER)  # FaultRequest knows more about these


def answer(
    question: Question, progress: Callable[[int, int], None] | None = None, case: Case | None = None
) -> tuple[Step, dict[str, Any]]:
    """The step that is asked for, and its record.

    progress : told (done, all) tasks; case : of `case_of`, where the caller has it already

    Raises NetsimError for what cannot be built or has no effect, StalledError for a step that never ends.
    """
    case = case or case_of(question)
    options: dict[str, Any] = {
        "scaling": question.scaling, "seed": question.seed, "folded": question.folded, "progress": progress,
    }  # fmt: skip
    asked = FaultRequest.of(question, case.topology.routing)
    if asked is not None:
        step, record = step_with_faults(case, question.gpus, asked, **options)
    else:
        step = simulate(case, question.gpus, **options)
        record = contract(step)
    add_intervals(record, how_sure(step))
    return step, record


def add_explanation(step: Step, question: Question, record: dict[str, Any]) -> None:
    """Add to a record where the step goes, its bubble by cause, and what a variation adds to each pipeline rank."""
    from netsim.analysis.bubble import bubble_by_cause
    from netsim.analysis.explain.explain import explain
    from netsim.analysis.spread import spread

    record["step"]["bubble_by_cause_s"] = bubble_by_cause(
        step.case, step.plan, question.seed, question.folded
    )
    record["explain"] = explain(step)
    if step.ranks is not None:
        record["skew"]["added_by_pipeline_rank"] = spread(step)


def refuse_doubts(step: Step, record: dict[str, Any]) -> None:
    """Under --strict: no plan that does not fit, and no compute time beyond what was measured or modelled."""
    if outside := record["uncertainty"]["outside"]:
        raise DomainError(f"--strict: {outside[0]}")
    if beyond := step.timing.missing_classes():
        raise DomainError(f"--strict: {beyond}")
    if record["warnings"]:
        raise NetsimError(f"--strict: {record['warnings'][0]}")
    try:
        step.timing.require_known()
    except DomainError as error:
        share = record["provenance"]["compute_origin"]["extrapolated"]
        raise DomainError(f"--strict: {share:.1%} of the compute time is extrapolated: {error}") from None
