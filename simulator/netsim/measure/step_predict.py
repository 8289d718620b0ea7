"""What the simulator says of a cut that was measured: phases, whole step and clock, beside what the GPUs did.

The cut becomes a job of a partial host (`step_cut.as_workload`) with the kernels of plain PyTorch; forward, backward
and optimizer are the sums of their blocks on the average rank, without exchanges; the step is what the executor says.
Kernels by class are those of the same operators at the same clock. Left out: time that the host adds where it launches
slower than the GPU runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netsim.compute.power import group_of
from netsim.measure.step_cut import Cut, as_workload
from netsim.specs.case import Case, make_case
from netsim.training.simulate import Step, simulate
from netsim.workloads.operators import PHASES, Operator, block_operators, optimizer_operators

#: exchanges of two GPUs beside nothing: how each way of a cut overlaps, as torch runs it
_OVERLAP = {"dp": {"gradient": True}, "fsdp": {"gradient": True, "parameter": True}}


@dataclass(frozen=True)
class Predicted:
    """Milliseconds of the phases and classes of a step, its time, and the clock."""

    fwd_ms: float
    bwd_ms: float
    opt_ms: float
    step_ms: float
    clock_mhz: float
    power_w: float
    by_class_ms: Mapping[str, float]


def case_of(cut: Cut, hardware: str, profile: str) -> Case:
    """The question that a cut asks."""
    case = make_case("ft2", "llama-3.1-405b", hardware=hardware, profile=profile)
    workload = as_workload(cut, case.workload)
    overlap = workload.overlap.model_copy(
        update={"streams": "each", "sms": "resident", **_OVERLAP.get(cut.way, {})}
    )
    return replace(case, workload=workload.model_copy(update={"overlap": overlap}))


def predict(cut: Cut, hardware: str = "h200", profile: str = "h200") -> Predicted:
    """Simulate a cut on GPUs of one host.

    Raises NetsimError where the simulator cannot run it.
    """
    return of_step(simulate(case_of(cut, hardware, profile), cut.gpus))


def of_step(step: Step) -> Predicted:
    """The phases of a simulated step, of the average rank; embedding and head whole on each rank, as a cut has them."""
    timing, sums = step.timing, {"F": 0.0, "B": 0.0, "W": 0.0, "": 0.0}
    classes: dict[str, float] = {}
    limit, undivided_ms = timing.limit, 0.0
    undivided = list(_undivided(step))
    for i, (times, phase, ops) in enumerate([*timing.average_phases(), *undivided]):
        for op in ops:
            stretch = 1.0 if limit is None else limit.stretch(op)
            ms = times * timing.model.operator_time(op, False).seconds * stretch * 1e3
            sums[phase] += ms
            classes[class_of(op)] = classes.get(class_of(op), 0.0) + ms
            undivided_ms += ms * (i >= step_blocks(step))
    return Predicted(
        sums["F"], sums["B"] + sums["W"], sums[""], float(step.execution.end_s.max()) * 1e3 + undivided_ms,
        limit.state.clock_hz / 1e6 if limit else float("nan"), limit.state.mean_w if limit else float("nan"), classes,
    )  # fmt: skip


def step_blocks(step: Step) -> int:
    """How many blocks the average rank runs, apart from what `_undivided` adds."""
    return sum(1 for _ in step.timing.average_phases())


def _undivided(step: Step) -> Iterator[tuple[float, str, tuple[Operator, ...]]]:
    """What a rank does beyond its share of embedding and head under tensor parallelism: whole operators, and the
    divided ones taken off again."""
    job, plan = step.case.workload, step.plan
    if plan.tensor == 1:
        return
    for kind in ("embedding", "head"):
        for phase in PHASES:
            for times, tensor in ((1.0, 1), (-1.0, plan.tensor)):
                yield times * plan.microbatches, phase, block_operators(
                    job.model, kind, kind, phase, plan.microbatch_tokens, plan.sequence_length,
                    tensor=tensor, products=job.compute.products, recompute=(), attention_bits=16, kernels="torch",
                )  # fmt: skip
    more = 2.0 * job.model.vocabulary * job.model.hidden * (1.0 - 1.0 / plan.tensor)
    states: Any = {"gradient": "bf16", "master": "bf16", "moments": "bf16", "kernels": "torch"}
    yield 1.0, "", optimizer_operators(more, **states)


def class_of(op: Operator) -> str:
    """The class that a trace of the kernel would be counted in."""
    if op.kind.startswith("optimizer"):
        return "optimizer"
    group = group_of(op.kind)
    if group == "memory":
        return "elementwise"
    return "attention" if group.startswith("attention") else "product"
