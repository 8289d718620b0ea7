"""`netsim measure --step`: a real small cut of a workload on the GPUs at hand, and what the simulator says of it."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
    if json:
        print(jsonlib.dumps({"output": str(output), "row": row}, indent=1))
    if not quiet:
        print(f"{cut.name}: {row['step_ms']} ms a step: {output}", file=sys.stderr)
