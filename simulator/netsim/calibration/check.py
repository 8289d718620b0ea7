"""A profile asked about another trace of its GPU: kernel time predicted beside measured, by class and by phase.

Each call of the trace is timed as `netsim.compute` times any operator: from the profile's measured rows where class and
shape are there, else by the model of its class. Calls without dimensions cannot be asked about: they are left out of
both sides, and their time is said.

Left out: transfers (a network's answer), idle time, and the clock: both traces run as they ran.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from netsim.calibration.seen import Call
from netsim.compute.model import ComputeModel
from netsim.specs import HardwareSpec, load
from netsim.specs.profile import ProfileSpec
from netsim.workloads.operators import Operator


@dataclass
class Pair:
    """Seconds measured and predicted, and of the predicted those from measured rows."""

    measured_s: float = 0.0
    predicted_s: float = 0.0
    from_rows_s: float = 0.0
    calls: int = 0

    @property
    def error(self) -> float:
        """Predicted over measured less one; 0 for nothing."""
        return self.predicted_s / self.measured_s - 1.0 if self.measured_s else 0.0


@dataclass(frozen=True)
class Check:
    """A trace under a profile: all of it, by class, by phase; and the seconds that could not be asked about."""

    source: str
    total: Pair
    kinds: dict[str, Pair] = field(default_factory=dict)
    phases: dict[str, Pair] = field(default_factory=dict)
    left_out_s: float = 0.0


def check(profile: ProfileSpec, source: str, calls: Sequence[Call]) -> Check:
    """Predict every call of a trace whose dimensions are known."""
    model = ComputeModel(profile, _hardware(profile))
    found = Check(source, Pair(), defaultdict(Pair), defaultdict(Pair))
    known: dict[tuple[Any, ...], tuple[float, bool]] = {}
    left_out = 0.0
    for call in calls:
        if call.op is None:
            left_out += call.seconds
            continue
        key = (*call.key, call.share > 0.5)
        if key not in known:
            known[key] = _ask(model, call.op, call.share > 0.5)
        seconds, from_rows = known[key]
        for pair in (found.total, found.kinds[call.kind], found.phases[call.phase]):
            pair.measured_s += call.seconds
            pair.predicted_s += seconds
            pair.from_rows_s += seconds if from_rows else 0.0
            pair.calls += 1
    return Check(source, found.total, dict(found.kinds), dict(found.phases), left_out)


def _ask(model: ComputeModel, op: Operator, beside: bool) -> tuple[float, bool]:
    time = model.operator_time(op, beside)
    return time.seconds, time.origin == "table"


def _hardware(profile: ProfileSpec) -> HardwareSpec:
    """A host of the profile's own GPU; the network of it is not asked."""
    base = load(HardwareSpec, "hardware", "h800")
    facts = {
        "name": profile.device, "sms": profile.sms, "bf16_peak": profile.bf16_peak, "fp8_peak": profile.fp8_peak,
        "hbm_rate": profile.hbm_rate,
    }  # fmt: skip
    return base.model_copy(update={"gpu": base.gpu.model_copy(update=facts)})
