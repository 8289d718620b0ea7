"""Marks of a block and the exchanges beside it in seconds, and how its compute slows for SMs that those hold.

An exchange is cut into chunks, and so is the product that needs or makes them: with c chunks, a product of p seconds
and an exchange of e take max(p + e/c, e + p/c) together. A gathered input has a chunk a rank, the rank's own there from
the start; a scattered output has `overlap.tensor_chunks`. Ring attention has a part a context rank.

The products taken are those before and those behind the middle of a block (attention, or the activation of an FFN); all
else of the block counts between them, in whatever order it runs.

SMs: with `reference_sms` held all the time, products and attention take as much longer as they are short of SMs, and
kernels that HBM bounds none; the slope spreads that evenly over those SMs. Waves of tiles on fewer SMs are not counted,
since a kernel of NCCL rarely stays for a whole product.

Left out: that products in chunks are less efficient than whole ones, copies of the rank's own part, and the memory rate
that an exchange takes: its bytes are a tenth of what HBM moves meanwhile.

Source: Wang et al., ASPLOS 2023 (decomposed collectives beside products); TransformerEngine, userbuffers; Liu et al.
2023, arXiv 2310.01889 (ring attention).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.compute import ComputeModel
from netsim.specs.hardware import HardwareSpec
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.graph import Mark
from netsim.workloads.kernels import Operator
from netsim.workloads.plan import Plan
from netsim.workloads.tasks import EXPERT_TRANSFERS, TENSOR_TRANSFERS, Work


@dataclass(frozen=True)
class Parts:
    """Seconds of a block: all, its products before and behind the middle, all before attention, attention."""

    total_s: float
    first_s: float
    last_s: float
    before_s: float
    core_s: float

    def rest_s(self, mark: Mark, ranks: int, chunks: int, context: int) -> float:
        """What is still to do behind a mark, or what is done at it, as the mark says.

        >>> block = Parts(total_s=10.0, first_s=4.0, last_s=2.0, before_s=5.0, core_s=2.0)
        >>> block.rest_s("gathered", 4, 2, 1), block.rest_s("first_out", 4, 2, 1)  # all but 3 s; until 1 s is left
        (7.0, 9.0)
        """
        match mark:
            case "gathered":
                return self.total_s - self.first_s * (1.0 - 1.0 / ranks)
            case "first_out":
                return self.total_s - self.last_s * (1.0 - 1.0 / chunks)
            case "keys":
                return self.before_s
            case "all_keys":
                return self.total_s - self.before_s - self.core_s * (1.0 - 1.0 / context)
            case "first_gradients":
                return self.before_s + self.core_s / context
            case _:  # all_gradients
                return self.total_s - self.before_s - self.core_s


def block_parts(model: ComputeModel, ops: Sequence[Operator], beside: bool, stretch: float) -> Parts:
    """The parts of a block by its operators in launch order."""

    def seconds(some: Sequence[Operator]) -> float:
        return model.block_time(some, beside, stretch).seconds

    middle = [n for n, op in enumerate(ops) if op.kind.startswith("attention") or op.kind == "act"]
    first, last = (middle[0], middle[-1]) if middle else (len(ops), -1)
    core = [op for op in ops if op.kind.startswith("attention")]
    return Parts(
        total_s=seconds(ops),
        first_s=seconds([op for op in ops[:first] if "gemm" in op.kind]),
        last_s=seconds([op for op in ops[last + 1 :] if "gemm" in op.kind]),
        before_s=seconds(ops[:first]) if core else 0.0,
        core_s=seconds(core),
    )


def scatter_s(unit_bytes: float, plan: Plan, hardware: HardwareSpec) -> float:
    """Time of a tensor exchange alone on the host (or its NICs, where the ranks are on several)."""
    rate = hardware.scale_up.achieved_rate
    if plan.tensor > hardware.gpus_per_host:
        rate = hardware.nic.line_rate * hardware.nic.goodput_fraction * hardware.nics_per_host
        rate /= hardware.gpus_per_host
    return unit_bytes * (plan.tensor - 1) / plan.tensor / rate


def held_sms(job: WorkloadSpec, work: Work) -> int:
    """SMs that the kernel of an exchange takes from compute while it is resident."""
    how = job.overlap
    if work.name in EXPERT_TRANSFERS and job.communication.dispatcher == "deepep":
        return job.communication.sms
    return how.tensor_sms if work.name in TENSOR_TRANSFERS and how.tensor else how.nccl_sms


def reference_sms(job: WorkloadSpec) -> int:
    """The most SMs that one kernel takes; none where they are left free all the time."""
    how = job.overlap
    if how.sms == "always":
        return 0
    return max(how.tensor_sms, how.nccl_sms, job.communication.sms if job.model.moe else 0)


def slope(model: ComputeModel, ops: Sequence[Operator], sms: int) -> float:
    """Share by which operators take longer for each SM held beside them, from `sms` held all the time."""
    seconds = [(model.model_time(op, False).seconds, op.flops > 0.0) for op in ops]
    total = sum(one for one, _ in seconds)
    computed = sum(one for one, computes in seconds if computes)
    left = 1.0 - sms / model.hardware.gpu.sms
    return computed / total * (1.0 / left - 1.0) / sms if total else 0.0
