"""Operators of the stages of a layer to seconds, and where the seconds go.

An operator takes what the compute model says, with the idle gap behind it. Decode attention has no class in a compute
profile: its time is a roofline with the efficiencies that its kernel was published with, and says so (`model` on the
GPU they were published for, else `extrapolated`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netsim.compute import ComputeModel
from netsim.compute.roofline import estimate, target_device
from netsim.specs.inference import AttentionKernelSpec
from netsim.specs.profile import ClassModel
from netsim.workloads.decode import CORE
from netsim.workloads.operators import Operator

#: stage -> part of the breakdown
PARTS = {
    "attn_0": "attention projections",
    "attn_1": "attention projections",
    "mlp": "dense FFN",
    "shared": "shared experts",
    "experts": "routed experts",
    "merge": "merge of expert outputs",
}
ATTENTION = "attention core"
GATHER = "attention gather"


@dataclass
class Tally:
    """Seconds of a part of the iteration on one GPU, by what bounds them and by where the number comes from."""

    seconds: float = 0.0
    by_bound: dict[str, float] = field(default_factory=dict)
    by_origin: dict[str, float] = field(default_factory=dict)

    def add(self, seconds: float, bound: str, origin: str) -> None:
        """Add some."""
        self.seconds += seconds
        self.by_bound[bound] = self.by_bound.get(bound, 0.0) + seconds
        self.by_origin[origin] = self.by_origin.get(origin, 0.0) + seconds

    @property
    def bound(self) -> str:
        """What most of it is bound by."""
        return max(self.by_bound, key=lambda name: self.by_bound[name]) if self.by_bound else ""


@dataclass(frozen=True)
class Stopwatch:
    """Times operators of one phase. `beside`: whether a transfer that takes SMs runs beside them; `free`: no operator
    takes any time."""

    model: ComputeModel
    attention: AttentionKernelSpec
    beside: bool
    free: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)

    def stages(
        self, layer: Mapping[str, Sequence[Operator]], part: str = "", times: int = 1
    ) -> dict[str, float]:
        """Seconds of each stage that has operators, tallied for `times` such layers; under one part of the breakdown
        where it is given."""
        return {
            stage: sum(self.operator(op, part or PARTS[stage], times) for op in ops)
            for stage, ops in layer.items()
            if ops
        }

    def operator(self, op: Operator, part: str, times: int = 1) -> float:
        """Seconds of one operator and the gap behind it."""
        if self.free:
            return 0.0
        core = op.kind == "attention_fwd"
        seconds, bound, origin = self._core(op) if op.name == CORE else self._plain(op)
        self.tally(ATTENTION if core and not part.startswith("MTP") else part).add(
            seconds * times, bound, origin
        )
        return seconds

    def tally(self, part: str) -> Tally:
        """The tally of a part."""
        return self.tallies.setdefault(part, Tally())

    def _plain(self, op: Operator) -> tuple[float, str, str]:
        found, gpu = self.model.operator_time(op, self.beside), self.model.hardware.gpu
        bound: str = found.bound
        if op.flops and bound != "launch":  # which side of the ridge: tiles and steps do not make it compute
            peak = target_device(self.model.profile, self.model.hardware).peak(op.kind)
            bound = "memory" if op.bytes / gpu.hbm_rate > op.flops / peak else "compute"
        return found.seconds + self.model.profile.gap * op.calls, bound, found.origin

    def _core(self, op: Operator) -> tuple[float, str, str]:
        kernel, gpu = self.attention, self.model.hardware.gpu
        roofline = ClassModel(
            efficiency=kernel.efficiency,
            hbm_efficiency=kernel.hbm_efficiency,
            source="decode attention kernel of the deployment",
        )
        found = estimate(op, roofline, target_device(self.model.profile, self.model.hardware))
        origin = "model" if gpu.name == kernel.device else "extrapolated"
        return found.seconds + kernel.call + self.model.profile.gap, found.bound, origin
