"""Seconds of compute and costs of transfers, by what a task does: the compute model and the plan, put together.

Modelled: every block by its operators, at its overlapped or its lone speed, times what layers take longer at the power
limit where the profile knows it (`power`: by kind of kernel; `sustained`: measured on whole layers);
bytes of every transfer's unit, the rate and set-up of the kernels that move tokens; the gradient norm,
whose scalars cost latency alone. SMs that communication takes: `overlap.sms`.
Left out: that GPUs cool down in a bubble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from netsim.compute import BlockTime, ComputeModel
from netsim.errors import SpecError
from netsim.specs.case import Case
from netsim.training.beside import block_parts, held_sms, reference_sms, scatter_s, slope
from netsim.training.power_limit import PowerLimit, power_limit
from netsim.training.program import TransferCost
from netsim.workloads.exchanges import tensor_bytes
from netsim.workloads.ffn import sorted_copies
from netsim.workloads.graph import Mark
from netsim.workloads.holding import StageParameters, own_share
from netsim.workloads.moe import token_bytes
from netsim.workloads.operators import PHASES, Operator, block_operators, blocks_of, optimizer_operators
from netsim.workloads.plan import Plan
from netsim.workloads.tasks import (
    EXPERT_TRANSFERS,
    Work,
)
from netsim.workloads.titan_kernels import fsdp_copies


@dataclass(frozen=True)
class Timing:
    """Seconds of compute and costs of transfers, by what a task does; remembers where each second came from.

    `most_sms` : the most SMs that a transfer takes while it is resident; 0 where they are left free all the time.
    """

    case: Case
    plan: Plan
    model: ComputeModel
    held: list[StageParameters]
    holders: tuple[tuple[int, ...], ...]
    norm_s: float
    free: frozenset[str]
    sustained_factor: float = 1.0
    most_sms: int = 0
    blocks: dict[Work, BlockTime] = field(default_factory=dict)

    def compute_s(self, work: Work) -> float:
        """Time of a block of compute, or of the host that launches it."""
        if work.name == "host":
            return float(getattr(self.case.workload.host, work.block)[work.phase == "B"])
        if work not in self.blocks:
            self.blocks[work] = self._block(work)
        return self.blocks[work].seconds

    def _block(self, work: Work) -> BlockTime:
        return self.model.block_time(self._operators(work), work.overlapped, self._stretch(work))

    def _stretch(self, work: Work) -> float | Callable[[Operator], float]:
        if self.limit is not None:
            return self.limit.stretch
        return 1.0 if work.name == "optimizer" else self.sustained_factor  # it streams, and was not measured

    @cached_property
    def limit(self) -> PowerLimit | None:
        """The power limit of the step, where the profile knows what kernels draw and nothing says the clock."""
        power, job, plan = self.case.profile.power, self.case.workload, self.plan
        if power is None or job.compute.clock is not None or job.compute.sustained is False:
            return None
        gpu, chunks = self.case.hardware.gpu, job.schedule.virtual_stages or 1
        bubble = (plan.pipeline - 1) / ((plan.load_microbatches or plan.microbatches) * chunks)
        return power_limit(power, self._average_work(), self.model, bubble, gpu.power, gpu.boost_clock)

    def _average_work(self) -> Iterator[tuple[float, Sequence[Operator]]]:
        """Operators of the average rank with how often they run a step."""
        return ((times, ops) for times, _, ops in self.average_phases())

    def average_phases(self) -> Iterator[tuple[float, str, Sequence[Operator]]]:
        """How often each block runs on the average rank a step, its phase (none: optimizer), and its operators."""
        model, plan = self.case.workload.model, self.plan
        layers = {"dense": model.dense_layers, "moe": model.moe_layers, "embedding": 1, "head": 1}
        for kind, count in layers.items():
            for block in blocks_of(kind) if count else ():
                for phase in PHASES:
                    times = count * (plan.load_microbatches or plan.microbatches) / plan.pipeline
                    yield times, phase, self._operators(Work(kind, block, phase))
        for stage in range(len(self.held)):
            yield 1.0 / plan.pipeline, "", self._operators(Work("optimizer", stage=stage))

    def lag_s(self, work: Work, other: Work, mark: Mark) -> float:
        """Seconds of a mark between a task and the exchange, or the block, that it is tied to."""
        chunks = self.case.workload.overlap.tensor_chunks
        if mark == "last_out":
            size = tensor_bytes(self.case.workload.model, self.plan, work.name, work.block, work.phase)
            return scatter_s(size, self.plan, self.case.hardware) / chunks
        block = other if mark in ("first_out", "keys", "first_gradients") else work
        parts = block_parts(self.model, self._operators(block), block.overlapped, self.sustained_factor)
        return parts.rest_s(mark, self.plan.tensor, chunks, self.plan.context)

    @property
    def slope(self) -> Callable[[Work], float] | None:
        """Share by which a block takes longer for each SM that transfers hold; none where they hold none."""
        if not self.most_sms:
            return None
        return lambda work: slope(self.model, self._operators(work), self.most_sms)

    def mlp_s(self, work: Work, rows: int) -> float:
        """Time of a block of compute when the rank's experts receive `rows` rows."""
        return self.model.block_time(self._layer(work, rows), work.overlapped, self._stretch(work)).seconds

    def require_known(self) -> None:
        """Refuse a step with operators that the profile has neither measured nor a model for.

        Raises DomainError (exit status 3) that names the first.
        """
        self.model.require_known([op for work in self.blocks for op in self._operators(work)])

    def missing_classes(self) -> str:
        """A line on the kernel classes of the step that the profile does not have; nothing where it has all."""
        found = self.model.missing_classes(op for work in self.blocks for op in self._operators(work))
        pairs = ", ".join(f"{kind} (answered by {other})" for kind, other in found.items())
        return f"profile {self.model.profile.name} has no kernel class {pairs}" if found else ""

    def operators(self, work: Work) -> Sequence[Operator]:
        """The operators of a block of compute, in launch order."""
        return self._operators(work)

    def stretch(self, work: Work, op: Operator) -> float:
        """What an operator of a block takes longer than on a GPU as it was measured: the power limit."""
        how = self._stretch(work)
        return how(op) if callable(how) else how

    def _operators(self, work: Work) -> Sequence[Operator]:
        if work.name == "optimizer":
            moved, kept = self.case.workload.communication, self.case.workload.storage
            return optimizer_operators(
                self._own_parameters(work.stage),
                kernels=self.case.workload.compute.kernels,
                gradient=moved.gradient,
                master=kept.master,
                moments=kept.moments,
                parameter=moved.parameter,
            )
        moe = self.case.workload.model.moe
        return self._layer(work, self.plan.own_tokens * moe.top_k if moe else 0)  # balanced routing

    def _layer(self, work: Work, rows: int) -> Sequence[Operator]:
        job, plan = self.case.workload, self.plan
        model, moe = job.model, job.model.moe
        copies = fsdp_copies(job, plan, work.name, work.block, work.phase)
        copies += sorted_copies(job, plan, work.name, work.block, work.phase, rows)
        return copies + block_operators(
            model, work.name, work.block, work.phase, plan.microbatch_tokens, plan.sequence_length,
            rows, moe.experts // plan.expert if moe else 0,
            products=job.compute.products, head=job.compute.head, core=job.compute.attention,
            core_kernel=job.compute.attention_kernel,
            recompute=job.storage.recompute,
            attention_bits=job.storage.attention_bits, adapter=job.adapter, stash=job.storage.stash,
            scattered_beside=plan.tensor > 1 and job.overlap.tensor,
            tensor=plan.tensor, context=plan.context, kernels=job.compute.kernels,
        )  # fmt: skip

    def _own_parameters(self, stage: int) -> float:
        """The parameters of a stage that a rank updates: its share, unless ZeRO leaves the optimizer whole."""
        held = self.held[stage]
        return own_share(held, self.plan, len(self.holders[stage])) if self.plan.zero else held.total

    def sms(self, work: Work) -> int:
        """SMs that a transfer holds while it is resident."""
        return held_sms(self.case.workload, work) if self.most_sms else 0

    def transfer_cost(self, work: Work) -> TransferCost | None:
        """Bytes of the unit, kernel rate and set-up of a transfer; None for a collective of the library."""
        spec, model = self.case.workload.communication, self.case.workload.model
        tokens = self.plan.own_tokens
        if work.name in self.free:
            return TransferCost(0.0, np.inf, 0.0)
        if work.name in EXPERT_TRANSFERS and spec.dispatcher == "deepep":
            precision = spec.dispatch if "dispatch" in work.name else spec.combine
            size = tokens * token_bytes(work.name, model.hidden, model.experts.top_k, precision)
            rate = self.model.transfer_rate(work.name, work.overlapped) / spec.slowdown
            return TransferCost(size, rate, self.model.transfer_setup_s(work.name, work.overlapped))
        if work.name == "grad_norm":
            return TransferCost(0.0, np.inf, self.norm_s)
        return None


def make_timing(
    case: Case,
    norm_s: float,
    plan: Plan,
    held: Sequence[StageParameters],
    holders: tuple[tuple[int, ...], ...],
    free: frozenset[str] = frozenset(),
) -> Timing:
    """The timing of a job.

    norm_s : of the gradient norm; held, holders : per stage; free : transfers that move nothing and take no time

    Raises SpecError for SMs of communication or an SM clock that nothing is known about.
    """
    sms, most = communication_sms(case), reference_sms(case.workload)
    resident = case.workload.overlap.sms == "resident"
    model = ComputeModel(case.profile, case.hardware, sustained_clock_hz(case), 0 if resident else sms)
    return Timing(case, plan, model, list(held), holders, norm_s, free, sustained_factor(case), most)


def sustained_clock_hz(case: Case) -> float | None:
    """SM clock that the GPUs hold while they train, where the job says.

    Raises SpecError for one above what the GPU can do, or with a profile that does not know at which clock it holds.
    """
    clock, limit = case.workload.compute.clock, case.hardware.gpu.boost_clock
    if clock is None:
        return None
    rule = ""
    if clock > limit:
        rule = f"must not exceed the boost clock of {case.hardware.gpu.name}, {limit / 1e9:g} GHz"
    elif case.profile.peak_clock is None:
        rule = f"profile {case.profile.name} does not say at which clock it was measured; h100 and h200 do"
    if rule:
        raise SpecError(case.workload.name, "compute.clock", f"{clock / 1e9:g} GHz", rule)
    return clock


def sustained_factor(case: Case) -> float:
    """How much longer compute takes than the profile measured, because a training step runs at the power limit.

    Raises SpecError where the workload asks for one that the profile does not know.
    """
    wanted, known = case.workload.compute.sustained, case.profile.sustained
    if known is None and case.profile.power is None and wanted:
        rule = f"profile {case.profile.name} knows no speed under load; set compute.clock instead"
        raise SpecError(case.workload.name, "compute.sustained", "true", rule)
    if known is None or case.profile.power is not None:
        return 1.0
    if wanted is False or case.workload.compute.clock is not None:
        return 1.0
    return known.factor


def communication_sms(case: Case) -> int:
    """SMs of communication kernels, which matrix products leave alone.

    Raises SpecError for fewer than dispatch and combine were measured with: how much slower they are is not known.
    """
    sms, profile = case.workload.communication.sms, case.profile
    if case.workload.model.moe and profile.transfers and sms < profile.transfer_sms:
        rule = (
            f"profile {profile.name} measured dispatch and combine with {profile.transfer_sms} SMs, not fewer"
        )
        raise SpecError(case.workload.name, "communication.sms", sms, rule)
    return sms
