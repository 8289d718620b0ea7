"""`netsim measure --step`: a real small cut of a workload on the GPUs at hand, and what the simulator says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.measure import step_cut, step_session
from netsim.measure.audience import Audience, Measured, table_of
from netsim.measure.step_predict import predict
from netsim.specs.case import make_case
from netsim.specs.question import Question
from netsim.specs.requests import MeasureRequest


def measure_step(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Run the cut, write its row, and say measured beside predicted."""
    output = table_of(request.output, "measure --step")
    count = 1 if request.gpus is None else request.gpus
    given = dict(question.overrides)
    microbatches = int(given.pop("batch.microbatches", 1))
    spec = make_case(workload=question.workload, overrides=given).workload
    cut = step_cut.cut_of(
        spec, request.way or ("one" if count == 1 else "fsdp"), count, request.layers, microbatches=microbatches,
        compiled=not request.eager,
    )  # fmt: skip
    cut = step_cut.checked(step_cut.tiny(cut)) if request.small else cut
    soak_s = 12.0 if request.soak is None else request.soak
    row, _ = step_session.run_cut(cut, soak_s, question.seed, output, request.traces)
    said = [] if request.small else _beside(cut, row, spec.hardware, spec.profile)
    audience.say(f"{cut.name}: {row['step_ms']} ms a step: {output}")
    for line in said:
        measured, predicted = line["measured"], line["predicted"]
        error = f"{100 * (predicted / measured - 1):+.1f} %" if measured else ""
        audience.say(f"{line['what']:<16}{measured:12.2f} measured{predicted:12.2f} predicted  {error}")
    return Measured({"output": str(output), "row": row, "beside": said})


def _beside(cut: step_cut.Cut, row: Mapping[str, str], hardware: str, profile: str) -> list[dict[str, Any]]:
    """Measured beside predicted: phases, step, clock, power, and milliseconds by class of kernel."""
    found = predict(cut, hardware, profile)
    parts = ("fwd_ms", "bwd_ms", "opt_ms", "step_ms", "clock_mhz", "power_w")
    pairs = {name: getattr(found, name) for name in parts}
    pairs |= {f"{name}_ms": ms for name, ms in found.by_class_ms.items()}
    return [
        {"what": name, "measured": float(row[name] or "nan"), "predicted": value}
        for name, value in pairs.items()
    ]
