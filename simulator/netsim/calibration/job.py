"""From a trace of anybody's job to a profile: `place` its kernels, take its calls for samples, fit the classes.

    read -> place kernels -> calls with dimensions -> samples by class -> fit -> profile with a row for each product and
    attention shape

The profile is of the GPU under that job's load: its clock, its libraries, its fusions. What the trace does not hold
keeps the base profile's model, and says so.

Left out: how layers of the job become blocks of netsim's; the base profile's kernels of dispatch and combine stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from netsim.calibration.about import About
from netsim.calibration.build import ClassResult, assemble, fit_classes
from netsim.calibration.facts import at_clock_of, base_profile, facts_of
from netsim.calibration.fit import Sample
from netsim.calibration.idle import usual_gap_s
from netsim.calibration.kineto import Trace
from netsim.calibration.observe import make_row
from netsim.calibration.place import Placed, place
from netsim.calibration.rules import Rules, Structure
from netsim.calibration.seen import Call, calls_of, samples_of
from netsim.calibration.trace_events import shown
from netsim.compute.roofline import AXES
from netsim.compute.stand_in import stand_in
from netsim.errors import NetsimError
from netsim.specs.profile import ClassModel, OperatorRow, ProfileSpec

#: kernel class -> the library whose tiles its products choose from
STRUCTURES = {
    "gemm_bf16": "gemm:bf16", "wgrad_bf16": "gemm:bf16", "grouped_gemm_bf16": "grouped_gemm:bf16",
    "grouped_wgrad_bf16": "grouped_wgrad:bf16", "gemm_fp8_tensor": "gemm:fp8_tensor",
    "wgrad_fp8_tensor": "gemm_wgrad:fp8_tensor",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A trace that was placed: its kernels, the calls behind them, and how many steps it holds."""

    trace: Trace
    placed: tuple[Placed, ...]
    calls: tuple[Call, ...]

    @property
    def steps(self) -> int:
        """Steps of the trace."""
        return max((p.step for p in self.placed), default=0) + 1

    @property
    def compute_s(self) -> float:
        """Kernel time of all calls; transfers are none."""
        return sum(call.seconds for call in self.calls)


def read_job(trace: Trace, rules: Rules) -> Job:
    """Place a trace's kernels.

    Raises NetsimError when no kernel name matches any rule.
    """
    placed = place(trace, rules)
    if not any(p.rule for p in placed):
        longest = max(trace.kernels, key=lambda k: k.duration_us, default=None)
        raise NetsimError(
            f"{trace.source}: no kernel name matches any of {len(rules.kernels)} kernel rules; the longest is "
            f"{shown(longest.name if longest else '')!r}: add rules with --rules"
        )
    return Job(trace, placed, calls_of(placed))


def calibrate_job(
    job: Job, rules: Rules, base: str | None, about: Path | None, name: str
) -> tuple[ProfileSpec, About, dict[str, ClassResult]]:
    """The profile of a job's GPU, its facts, and the fits of its classes.

    Raises NetsimError when a GPU's peaks are not known.
    """
    start = base_profile(job.trace.device, base)
    facts = facts_of(job.trace, start, name, about)
    start = at_clock_of(start, facts)
    gap = usual_gap_s(job.placed)
    share = transport_share(job.calls)
    facts = facts.model_copy(
        update={"transport_share": round(share, 4), "gap": facts.gap if gap is None else gap}
    )
    samples = samples_of(job.calls)
    starts = {kind: _start(kind, start, rules, mine) for kind, mine in samples.items()}
    results = fit_classes(samples, {**start.classes, **starts}, facts, {}, validate_folds=False)
    path = Path(job.trace.source).name
    sources = {
        "trace": f"{path}: {len(job.placed)} kernels of {shown(job.trace.device)}, {job.steps} steps",
        "rules": rules.name,
        "load": "times under the load of that job; no factor for the power limit is added",
    }
    return assemble(facts, start, results, rows_of(job.calls), sources), facts, results


def _start(kind: str, base: ProfileSpec, rules: Rules, samples: Sequence[Sample]) -> ClassModel:
    """What a class is fitted from: the base's model of it, else the structure of its library. No launch takes longer
    than the shortest call that was seen."""
    structure: Structure | None = rules.structures.get(STRUCTURES.get(kind, ""))
    other = stand_in(kind, base.classes)
    if kind in base.classes or (structure is None and other is not None):
        model = base.classes[other or kind]
    else:
        model = ClassModel(source="", **(dict(structure) if structure else {}))
    call = min(model.call, *(sample.seconds / sample.op.calls for sample in samples))
    late = model.call_beside
    return model.model_copy(update={"call": call, "call_beside": None if late is None else max(call, late)})


def transport_share(calls: Sequence[Call]) -> float:
    """Share of compute time with a transfer beside it."""
    total = sum(call.seconds for call in calls)
    return sum(call.seconds * call.share for call in calls) / total if total else 0.0


def rows_of(calls: Sequence[Call]) -> tuple[OperatorRow, ...]:
    """Measured rows that answer for any operator of their class and shape: products and attention."""
    groups: dict[tuple[str, tuple[int, ...]], list[Call]] = {}
    for call in calls:
        if (
            call.op is not None
            and call.seconds > 0
            and call.kind in AXES
            and call.kind not in ("index", "strided")
        ):
            groups.setdefault((call.kind, call.op.shape), []).append(call)
    return tuple(_row(kind, shape, mine) for (kind, shape), mine in groups.items())


def _row(kind: str, shape: tuple[int, ...], mine: Sequence[Call]) -> OperatorRow:
    each = [(call.seconds / (call.op.calls if call.op else 1), call.share) for call in mine]
    alone = [seconds for seconds, share in each if share <= 0.5]
    beside = [seconds for seconds, share in each if share > 0.5]
    return make_row(
        name=f"{kind} {'x'.join(map(str, shape))}",
        kind=kind,
        shape=list(shape),
        split="cal",
        overlapped=fmean(seconds for seconds, _ in each),
        alone=fmean(alone) if alone else None,
        beside=fmean(beside) if beside else None,
        transport_share=round(fmean(share for _, share in each), 3),
    )
