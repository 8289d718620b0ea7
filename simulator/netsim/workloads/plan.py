"""How a job divides its GPUs: tensor, context, expert, data and pipeline parallelism, and micro-batches.

Ranks are numbered in Megatron's order: tensor parallelism is fastest, then context, then data, then pipeline.
`tensor` x `context` ranks work on one micro-batch together; each has `own_tokens` of it between the products that are
divided. Experts are spread over the same ranks, across tensor, context and data parallelism alike (whole experts:
they are not divided by tensor parallelism), so an expert-parallel group is `expert` consecutive ranks.

A *stage group* is the ranks of one pipeline rank that exchange something in every layer and therefore move in step:
the larger of an expert-parallel group and `tensor` x `context`, of which one must be a multiple of the other. The
cluster is `pipeline` x `groups` stage groups of `group` ranks each.

Weak scaling keeps the micro-batches of a pipeline, so the batch grows with the cluster; strong scaling keeps
the sequences of a step, so the micro-batches shrink.

Source: Narayanan et al., SC 2021, arXiv 2104.04473, and Megatron-LM's parallel_state (the order tp-cp-ep-dp-pp); Liu
et al. 2025, arXiv 2504.14960, for experts over tensor, context and data ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from netsim.errors import SpecError, did_you_mean
from netsim.specs import WorkloadSpec
from netsim.workloads.division import check_division

Scaling = Literal["weak", "strong"]


@dataclass(frozen=True)
class Plan:
    """A placed-out job, in counts.

    `data` replicas of `tensor` x `context` ranks share one pipeline rank, in `groups` stage groups of `group` ranks.
    """

    gpus: int
    pipeline: int
    expert: int
    data: int
    groups: int
    microbatches: int
    microbatch_tokens: int
    sequence_length: int
    tensor: int = 1
    context: int = 1
    zero: int = 1
    scaling: Scaling = field(default="weak", compare=False)  # the counts say all that runs
    load_microbatches: int | None = (
        None  # of the longer step that this is a part of, whose load sets the clock
    )

    @property
    def group(self) -> int:
        """Ranks of a stage group."""
        return max(self.expert, self.tensor * self.context)

    @property
    def own_tokens(self) -> int:
        """Tokens of a micro-batch that are one rank's own between the divided products."""
        return self.microbatch_tokens // (self.tensor * self.context)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of the whole batch."""
        return self.data * self.microbatches * self.microbatch_tokens

    def describe(self) -> str:
        """The parallelism in the field's shorthand.

        >>> Plan(2048, 16, 64, 128, 2, 120, 4096, 4096).describe()
        'PP16 EP64 DP128'
        >>> Plan(16384, 16, 1, 128, 128, 16, 8192, 8192, tensor=8).describe()
        'TP8 PP16 DP128'
        """
        optional = (("TP", self.tensor), ("CP", self.context))
        parts = [f"{name}{size}" for name, size in optional if size > 1] + [f"PP{self.pipeline}"]
        parts += [f"EP{self.expert}"] * (self.expert > 1) + [f"DP{self.data}"]
        return " ".join(parts + [f"ZeRO-{self.zero}"] * (self.zero != 1))


def make_plan(workload: WorkloadSpec, gpus: int, scaling: Scaling = "weak") -> Plan:
    """Divide `gpus` as the workload says.

    Raises SpecError when the plan does not divide the GPUs, the experts or the batch.
    """
    spec = workload.parallelism
    replica = spec.tensor * spec.context
    check_division(workload.model, spec.tensor, spec.context, workload.batch.sequence_length)
    _check_experts(workload, replica)
    group = max(spec.expert, replica)
    _check_division(gpus, workload, group)
    data = gpus // (spec.pipeline * replica)
    return Plan(
        gpus=gpus,
        pipeline=spec.pipeline,
        expert=spec.expert,
        data=data,
        groups=gpus // (spec.pipeline * group),
        microbatches=_microbatches(workload, data, scaling),
        microbatch_tokens=workload.batch.microbatch_sequences * workload.batch.sequence_length,
        sequence_length=workload.batch.sequence_length,
        tensor=spec.tensor,
        context=spec.context,
        zero=spec.zero,
        scaling=scaling,
    )


def _check_experts(workload: WorkloadSpec, replica: int) -> None:
    expert, moe = workload.parallelism.expert, workload.model.moe
    if (moe.experts if moe else 1) % expert:
        rule = f"must divide the {moe.experts} experts" if moe else "must be 1: the model has no experts"
        raise SpecError(workload.name, "parallelism.expert", expert, rule)
    if expert % replica and replica % expert:
        rule = f"must be a multiple or a divisor of tensor x context = {replica}: experts share those ranks"
        raise SpecError(workload.name, "parallelism.expert", expert, rule)


def _check_division(gpus: int, workload: WorkloadSpec, group: int) -> None:
    spec = workload.parallelism
    unit = spec.pipeline * group
    if gpus % unit:
        below = gpus // unit * unit
        near = f"{below} or {below + unit}" if below else str(unit)
        inner = "expert" if group == spec.expert else "tensor x context"
        rule = (
            f"must be a multiple of pipeline x {inner} = {spec.pipeline} x {group} = {unit}; nearest: {near}"
        )
        if not below:
            rule += "; --set parallelism.pipeline and parallelism.expert make a smaller plan"
        raise SpecError("--gpus", "gpus", gpus, rule)


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
