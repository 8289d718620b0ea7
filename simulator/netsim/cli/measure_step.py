"""`netsim measure --step`: a real small cut of a workload on the GPUs at hand, and what the simulator says of it."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netsim.measure.step_cut import Cut


def measure_step(
    output: Path | None,
    workload: str,
    way: str | None,
    gpus: int | None,
    layers: int,
    soak_s: float,
    overrides: Mapping[str, Any],
    eager: bool,
    small: bool,
    traces: Path | None,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    """Run the cut, write its row, and print measured beside predicted."""
    from netsim.errors import NetsimError
    from netsim.measure import step_cut, step_session
    from netsim.specs.case import make_case

    if output is None:
        raise NetsimError("measure --step needs -o FILE.csv to write to")
    count = 1 if gpus is None else gpus
    given = dict(overrides)
    microbatches = int(given.pop("batch.microbatches", 1))
    spec = make_case(workload=workload, overrides=given).workload
    cut = step_cut.cut_of(
        spec, way or ("one" if count == 1 else "fsdp"), count, layers, microbatches=microbatches, compiled=not eager
    )  # fmt: skip
    cut = step_cut.checked(step_cut.tiny(cut)) if small else cut
    row, _ = step_session.run_cut(cut, soak_s, seed, output, traces)
    said = _beside(cut, row, spec.hardware, spec.profile) if not small else []
    if json:
        print(jsonlib.dumps({"output": str(output), "row": row, "beside": said}, indent=1))
    if not quiet:
        print(f"{cut.name}: {row['step_ms']} ms a step: {output}", file=sys.stderr)
        for line in said:
            measured, predicted = line["measured"], line["predicted"]
            error = f"{100 * (predicted / measured - 1):+.1f} %" if measured else ""
            print(
                f"{line['what']:<16}{measured:12.2f} measured{predicted:12.2f} predicted  {error}",
                file=sys.stderr,
            )


def _beside(cut: Cut, row: Mapping[str, str], hardware: str, profile: str) -> list[dict[str, Any]]:
    """Measured beside predicted: phases, step, clock, power, and milliseconds by class of kernel."""
    from netsim.measure.step_predict import predict

    found = predict(cut, hardware, profile)
    pairs = {
        name: getattr(found, name)
        for name in ("fwd_ms", "bwd_ms", "opt_ms", "step_ms", "clock_mhz", "power_w")
    }
    pairs |= {f"{name}_ms": ms for name, ms in found.by_class_ms.items()}
    return [
        {"what": name, "measured": float(row[name] or "nan"), "predicted": value}
        for name, value in pairs.items()
    ]
