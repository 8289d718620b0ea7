"""How a job divides its GPUs: pipeline ranks, expert-parallel groups, data parallelism, micro-batches.

A *stage group* is one expert-parallel group at one pipeline rank: the ranks that exchange tokens in every
layer and therefore move in step. The cluster is `pipeline` x `groups` stage groups of `expert` ranks each.

Weak scaling keeps the micro-batches of a pipeline, so the batch grows with the cluster; strong scaling keeps
the sequences of a step, so the micro-batches shrink.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from netsim.errors import NetsimError, SpecError, did_you_mean
from netsim.specs import WorkloadSpec

Scaling = Literal["weak", "strong"]


@dataclass(frozen=True)
class Plan:
    """A placed-out job, in counts.

    `data` ranks share one pipeline rank, in `groups` expert-parallel groups of `expert` ranks.
    """

    gpus: int
    pipeline: int
    expert: int
    data: int
    groups: int
    microbatches: int
    microbatch_tokens: int
    sequence_length: int

    @property
    def tokens_per_step(self) -> int:
        """Tokens of the whole batch."""
        return self.data * self.microbatches * self.microbatch_tokens

    def describe(self) -> str:
        """The parallelism in the field's shorthand.

        >>> Plan(2048, 16, 64, 128, 2, 120, 4096, 4096).describe()
        'PP16 EP64 DP128'
        """
        return f"PP{self.pipeline} EP{self.expert} DP{self.data}"


def make_plan(workload: WorkloadSpec, gpus: int, scaling: Scaling = "weak") -> Plan:
    """Divide `gpus` as the workload says.

    Raises SpecError when the plan does not divide the GPUs, the experts or the batch.
    """
    pipeline, expert = workload.parallelism.pipeline, workload.parallelism.expert
    _check_division(gpus, pipeline, expert)
    experts = workload.model.moe.experts if workload.model.moe else 1
    if experts % expert:
        raise SpecError(
            workload.name,
            "parallelism.expert",
            expert,
            f"must divide the {experts} experts"
            if workload.model.moe
            else "must be 1: the model has no experts",
        )
    data = gpus // pipeline
    return Plan(
        gpus=gpus,
        pipeline=pipeline,
        expert=expert,
        data=data,
        groups=data // expert,
        microbatches=_microbatches(workload, data, scaling),
        microbatch_tokens=workload.batch.microbatch_sequences * workload.batch.sequence_length,
        sequence_length=workload.batch.sequence_length,
    )


def refuse_idle(keys: Iterable[str], scaling: str) -> None:
    """Overrides of the batch that the scaling in use does not read.

    Raises NetsimError naming the first.
    """
    idle = "batch.sequences" if scaling == "weak" else "batch.microbatches"
    for key in keys:
        if key.removeprefix("workload.") == idle:
            raise NetsimError(f"--set {idle}: has no effect under {scaling} scaling")


def _check_division(gpus: int, pipeline: int, expert: int) -> None:
    unit = pipeline * expert
    if gpus % unit:
        below = gpus // unit * unit
        near = f"{below} or {below + unit}" if below else str(unit)
        raise SpecError(
            "--gpus",
            "gpus",
            gpus,
            f"must be a multiple of pipeline x expert = {pipeline} x {expert} = {unit}; nearest: {near}",
        )


def _microbatches(workload: WorkloadSpec, data: int, scaling: Scaling) -> int:
    if scaling not in get_args(Scaling):
        raise SpecError("--scaling", "scaling", scaling, did_you_mean(scaling, get_args(Scaling)))
    batch = workload.batch
    if scaling == "weak":
        return batch.microbatches
    share = data * batch.microbatch_sequences
    if batch.sequences % share:
        rule = (
            f"must be a multiple of {data} pipelines x {batch.microbatch_sequences} sequences a micro-batch"
        )
        raise SpecError(workload.name, "batch.sequences", batch.sequences, rule + " under strong scaling")
    return batch.sequences // share
