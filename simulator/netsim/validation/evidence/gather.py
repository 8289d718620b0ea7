"""The file of netsim's own errors: from the checks and training rows of `netsim validate` to `reports/errors.json`.

Steps are those of training sets and of the papers that publish one (`PAPERS`). What constants explain of a step's error
is what each is worth to it times how well it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import netsim
from netsim.analysis.uncertainty.evidence import Evidence, StepError
from netsim.analysis.uncertainty.factors import from_worth, total, worth
from netsim.analysis.uncertainty.kinds import kind_of
from netsim.specs import load
from netsim.specs.case import make_case
from netsim.specs.profile import ProfileSpec
from netsim.training.simulate import simulate
from netsim.validation.evidence.constants import class_spreads, constant_spreads
from netsim.validation.row_run import Answer
from netsim.validation.validate import Check

COMMAND = "netsim validate -o reports"
_VERSION = 1
#: 5th to 95th percentile, halved, of a normal over its standard deviation
_NOISE = 1.645


class Paper(NamedTuple):
    """A published step outside the training sets: the row, the machine that ran it, GPUs, case, and whether a rate."""

    row: str
    cluster: str
    gpus: int
    asked: dict[str, Any]
    rate: bool = False


_LLAMA = {"topology": "ft3", "workload": "llama-3.1-405b"}
PAPERS = (
    Paper("isca25_table4.mpft.step", "DeepSeek, 2,048 H800", 2048, {"topology": "mpft"}),
    Paper("isca25_table4.mrft.step", "DeepSeek, 2,048 H800", 2048, {"topology": "mrft"}),
    Paper("h800_trace.simulated", "DeepSeek, trace of an H800", 2048, {"topology": "mpft"}),
    Paper("llama3_table4.8192.tp8_pp16_dp64", "Meta, H100", 8192, _LLAMA, True),
    Paper("llama3_table4.16384.tp8_pp16_dp128", "Meta, H100", 16384, _LLAMA, True),
)


def gather(checks: Sequence[Check], answers: Iterable[Answer]) -> Evidence:
    """Everything that is known of netsim's errors."""
    found = Evidence(
        schema_version=_VERSION,
        version=netsim.__version__,
        made_by=COMMAND,
        steps=[],
        classes=class_spreads(),
        constants=constant_spreads(checks),
    )
    steps = [_paper(paper, checks, found) for paper in PAPERS]
    steps += [_row(answer, found) for answer in answers]
    known = sorted((step for step in steps if step is not None), key=lambda step: step.id)
    return found.model_copy(update={"steps": known})


def _row(answer: Answer, found: Evidence) -> StepError | None:
    if answer.simulated_s is None or answer.published_s is None or answer.kind is None:
        return None
    row = answer.row
    profile = load(ProfileSpec, "profile", answer.profile)
    return StepError(
        id=row.id,
        cluster=row.cluster or row.source,
        kind=answer.kind,
        gpus=row.gpus,
        job=f"{row.model}, {row.framework}",
        error=_rounded(math.log(answer.published_s / answer.simulated_s)),
        constants=_rounded(total(from_worth(answer.worth, found, profile))),
        noise=_rounded((answer.noise_pct or 0.0) / 100.0 / _NOISE),
        sets_constant=row.sets_constant,
    )


def _paper(paper: Paper, checks: Sequence[Check], found: Evidence) -> StepError | None:
    check = next((check for check in checks if check.id == paper.row), None)
    if check is None or not check.published:
        return None
    case = make_case(**paper.asked)
    worths = worth(simulate(case, paper.gpus, scaling="strong" if paper.rate else "weak"))
    error = math.log(check.published / check.simulated)
    return StepError(
        id=paper.row,
        cluster=paper.cluster,
        kind=kind_of(case),
        gpus=paper.gpus,
        job=case.workload.model.name,
        error=_rounded(-error if paper.rate else error),
        constants=_rounded(total(from_worth(worths, found, case.profile))),
        sets_constant=check.kind == "calibrated",
    )


def _rounded(value: float) -> float:
    return round(value, 6)
