"""Run published training rows: what netsim says of each, beside what was measured, or why it cannot say anything.

A step of many micro-batches is simulated at two smaller counts and continued along their line: once every stage is
busy, each further round of `pp` micro-batches takes the same time (exact to rounding, which a test holds). Rows that
ask the same question are simulated once. Rows run in `jobs` processes; the answers do not depend on how many.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from netsim.analysis.uncertainty.evidence import Kind
from netsim.analysis.uncertainty.factors import worth
from netsim.analysis.uncertainty.kinds import kind_of
from netsim.errors import NetsimError
from netsim.specs.case import Case
from netsim.topologies import build
from netsim.training.result import step_time_s
from netsim.training.simulate import Step, lay_out, simulate_job
from netsim.validation import row_null, row_ranking
from netsim.validation.row_job import RowJob, row_job
from netsim.validation.training_row import TrainingRow
from netsim.workloads.model import flops_per_token
from netsim.workloads.plan import make_plan

#: micro-batches of the smaller question where there is no pipeline: two of them may overlap
_ALONE = 2


@dataclass(frozen=True)
class Answer:
    """A row, what netsim says of it, and what the null model says; `reason` where netsim says nothing."""

    row: TrainingRow
    simulated_s: float | None = None
    published_s: float | None = None
    null_s: float | None = None
    null_fitted: bool = False
    moe: bool = False
    reason: str = ""
    assumed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    point: row_null.Point | None = None
    kind: Kind | None = None
    """What is known of the job before its answer."""
    profile: str = ""
    """The compute profile that answered."""
    worth: Mapping[str, float] = field(default_factory=dict)
    """What each constant is worth to the step (`netsim.analysis.uncertainty.factors`)."""

    @property
    def error_pct(self) -> float | None:
        """simulated / published - 1, in percent."""
        return _error_pct(self.simulated_s, self.published_s)

    @property
    def null_error_pct(self) -> float | None:
        """The same of the null model; None for rows that set its constants."""
        return None if self.null_fitted else _error_pct(self.null_s, self.published_s)

    @property
    def noise_pct(self) -> float | None:
        """What cannot be told from a right answer: the greater of the spreads inside a run and between runs, halved."""
        known = [pct for pct in (self.row.within_pct, self.row.between_pct) if pct is not None]
        return max(known) / 2.0 if known else None


def _error_pct(value: float | None, published: float | None) -> float | None:
    return None if value is None or published is None else 100.0 * (value / published - 1.0)


def run_rows(
    rows: Sequence[TrainingRow], jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> list[Answer]:
    """The answer to each row, in order."""
    asked = [_ask(row) for row in rows]
    questions: dict[str, RowJob] = {_key(job): job for job in asked if isinstance(job, RowJob)}
    order = sorted(questions, key=lambda key: -_effort(questions[key]))
    seconds: dict[str, Simulated | str] = {}
    for key, found in zip(order, _simulated([questions[key] for key in order], jobs), strict=True):
        seconds[key] = found
        if progress:
            progress(len(seconds), len(order))
    answers = [
        Answer(row, reason=job, published_s=row.step_s)
        if isinstance(job, str)
        else _answer(row, job, seconds[_key(job)])
        for row, job in zip(rows, asked, strict=True)
    ]
    return _with_null(answers)


def _ask(row: TrainingRow) -> RowJob | str:
    try:
        return row_job(row)
    except NetsimError as error:
        return " ".join(str(error).split())


def _key(job: RowJob) -> str:
    return hashlib.sha256(f"{job.case.sha256()} {job.gpus}".encode()).hexdigest()


def _effort(job: RowJob) -> float:
    """How long a question takes, roughly: stages times layers."""
    plan = job.case.workload.parallelism
    return plan.pipeline**2 * (job.case.workload.schedule.virtual_stages or 1) + job.gpus / 1e6


class Simulated(NamedTuple):
    """Seconds of a step, and what each constant is worth to it."""

    seconds: float
    worth: dict[str, float]


def _simulated(jobs: Sequence[RowJob], processes: int) -> Iterable[Simulated | str]:
    if processes <= 1 or len(jobs) <= 1:
        yield from map(_seconds, jobs)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_seconds, jobs)


def _seconds(job: RowJob) -> Simulated | str:
    """Seconds of a step, or why there are none."""
    try:
        return simulated(job)
    except NetsimError as error:
        return " ".join(str(error).split())
    except Exception as error:  # a row of anybody's must not end the run of all others
        return " ".join(f"netsim failed: {type(error).__name__}: {error}".split())


def step_seconds(job: RowJob) -> float:
    """Seconds of a step."""
    return simulated(job).seconds


def simulated(job: RowJob) -> Simulated:
    """A step, continued from two smaller numbers of micro-batches where there are many."""
    plan, batch = job.case.workload.parallelism, job.case.workload.batch
    round_of = plan.pipeline if plan.pipeline > 1 else _ALONE
    least = round_of + batch.microbatches % plan.pipeline
    more = least + plan.pipeline
    if batch.microbatches <= more:
        step = _simulate(job, batch.microbatches)
        return Simulated(step_time_s(step), worth(step))
    first, step = step_time_s(_simulate(job, least)), _simulate(job, more)
    seconds = first + (step_time_s(step) - first) * (batch.microbatches - least) / plan.pipeline
    return Simulated(seconds, worth(step))


def _simulate(job: RowJob, microbatches: int) -> Step:
    """A part of the step, at the clock that the whole step holds."""
    workload = job.case.workload
    whole = workload.batch.microbatches
    batch = workload.batch.model_copy(update={"microbatches": microbatches})
    case: Case = replace(job.case, workload=workload.model_copy(update={"batch": batch}))
    plan = replace(make_plan(case.workload, job.gpus), load_microbatches=whole)
    topology = build(case.topology, case.hardware, job.gpus)
    return simulate_job(case, topology, lay_out(case, plan))


def _answer(row: TrainingRow, job: RowJob, found: Simulated | str) -> Answer:
    workload = job.case.workload
    length, batch = workload.batch.sequence_length, workload.batch
    flops = flops_per_token(workload.model, length, causal=True) * length
    published = row.step_s
    if published is None and row.tflops:
        published = flops * batch.sequences / row.gpus / (row.tflops * 1e12)
    share = flops * batch.microbatch_sequences / row.replica
    stages = workload.schedule.virtual_stages or 1
    work = row_null.work(batch.microbatches, row.pp or 1, stages, share)
    group = (workload.model.name, job.case.hardware.name, row.gpu, workload.compute.products)
    return Answer(
        row,
        simulated_s=None if isinstance(found, str) else found.seconds,
        published_s=published,
        moe=workload.model.moe is not None,
        reason=found if isinstance(found, str) else "" if published else "no measured step",
        assumed=tuple(job.assumed),
        ignored=tuple(job.ignored),
        point=row_null.Point(group, work, published, row.set_aside),
        kind=kind_of(job.case),
        profile=job.case.profile.name,
        worth={} if isinstance(found, str) else found.worth,
    )


def _with_null(answers: list[Answer]) -> list[Answer]:
    known = [n for n, answer in enumerate(answers) if answer.point is not None]
    found = row_null.predict([point for n in known if (point := answers[n].point) is not None])
    for n, null in zip(known, found, strict=True):
        if null is not None:
            answers[n] = replace(answers[n], null_s=null[0], null_fitted=null[1])
    return answers


def ranking(answers: Iterable[Answer]) -> list[row_ranking.Pair]:
    """Pairs of plans that one cluster ran, and whether netsim puts them in order."""
    return row_ranking.pairs(
        row_ranking.Ranked(a.row.id, _shared(a.row), _differs(a.row), a.published_s, a.simulated_s)
        for a in answers
        if a.published_s is not None and a.simulated_s is not None
    )


def _shared(row: TrainingRow) -> tuple[str, ...]:
    shared = (row.cluster, row.framework, row.model, row.gpus, row.global_batch, row.sequence_length)
    return tuple(map(str, shared))


def _differs(row: TrainingRow) -> tuple[str, ...]:
    plan = (row.tp, row.pp, row.cp, row.ep, row.etp, row.vp, row.fsdp, row.micro_batch, row.schedule, row.recompute,
            row.dispatcher, row.precision, row.tp_overlap, row.expert_overlap, row.cuda_graph)  # fmt: skip
    return tuple(map(str, plan))
