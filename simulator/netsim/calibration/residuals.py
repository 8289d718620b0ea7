"""What the shipped profiles are worth, as rows: predicted against measured where nothing was fitted.

* `trace_residuals`: operators of a profile of a training job that its class models were not fitted to, each in
  the context it ran in, and the blocks they make.
* `table_residuals`: rows of the set holdout of a kernel table, at their own clock.
* `transfer_residuals`: a profile of one GPU asked about the kernel table of another.
* `scorecard`: all of it for the shipped profiles, as rows of `netsim validate`.

Left out: rows that were fitted (the reports of `netsim calibrate` show them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netsim.calibration.fit import Sample, Spread, predict, spread
from netsim.calibration.rules import load_rules
from netsim.calibration.tables import read_tables
from netsim.compute.device import measured_device, target_device
from netsim.compute.roofline import estimate
from netsim.compute.table import measured_operator
from netsim.specs import HardwareSpec, WorkloadSpec, catalog, load
from netsim.specs.profile import ProfileSpec
from netsim.workloads.operators import PHASES, Operator, block_operators

#: the timing overhead of the shipped tables; workloads/compute/measured/h200_deepgemm.toml
EVENT_OVERHEAD_S = 2.9e-6
#: tables of the shipped profiles that were measured, not read from a trace
TABLES = {"h200": ("h200.csv", "h200_deepgemm.csv"), "h100": ("h100.csv",)}
LONG_S = 20e-6
STREAMS = (
    "quant",
    "cast_transpose",
    "norm",
    "rope",
    "copy",
    "strided",
    "act",
    "permute",
    "gather_transpose",
    "weight_transpose",
    "elementwise",
)


@dataclass(frozen=True)
class Residual:
    """A kernel measured and predicted. Seconds of all `calls`; `fitted` tells whether the model saw it."""

    name: str
    kind: str
    place: str
    measured_s: float
    predicted_s: float
    fitted: bool
    calls: int = 1

    @property
    def error(self) -> float:
        """Predicted over measured less one."""
        return self.predicted_s / self.measured_s - 1.0


def spread_of(rows: Sequence[Residual]) -> Spread:
    """Absolute errors of residuals."""
    return spread(np.array([row.error for row in rows]))


def workload_operators(workload: WorkloadSpec) -> dict[str, Operator]:
    """Operators of a MoE layer of a workload with balanced experts, by name."""
    batch, moe = workload.batch, workload.model.experts
    tokens, local = (
        batch.microbatch_sequences * batch.sequence_length,
        max(1, moe.experts // workload.parallelism.expert),
    )
    made = (
        block_operators(
            workload.model, "moe", block, phase, tokens, batch.sequence_length, tokens * moe.top_k, local
        )
        for block in ("attn", "mlp")
        for phase in PHASES
    )
    return {op.name: op for ops in made for op in ops}


def trace_residuals(profile: ProfileSpec, workload: WorkloadSpec) -> tuple[Residual, ...]:
    """Class models against every measured operator of a job, overlapped for the share that was measured."""
    device, operators = measured_device(profile), workload_operators(workload)
    rows = []
    for row in profile.operators:
        op = operators.get(row.name)
        known = measured_operator(row, op) if op else None
        if known is None:
            continue
        model = profile.classes[row.kind]
        share = profile.transport_share if row.transport_share is None else row.transport_share
        predicted = estimate(known, model, device, share).seconds
        rows.append(
            Residual(
                row.name,
                row.kind,
                f"{row.block}({row.phase})",
                row.overlapped * row.calls,
                predicted,
                row.split == "cal",
                row.calls,
            )
        )
    return tuple(rows)


def block_residuals(rows: Sequence[Residual]) -> tuple[Residual, ...]:
    """Sums of the kernels of each block."""
    found: dict[str, list[Residual]] = defaultdict(list)
    for row in rows:
        found[row.place].append(row)
    return tuple(
        Residual(
            place, "block", place, sum(r.measured_s for r in mine), sum(r.predicted_s for r in mine), False
        )
        for place, mine in found.items()
    )


def table_samples(
    paths: Sequence[Path], mode: str = "cool", overhead_s: float = EVENT_OVERHEAD_S
) -> dict[str, list[Sample]]:
    """Samples of kernel tables by class, as the shipped rules choose them."""
    table = read_tables(paths, load_rules().flavours, None, mode, overhead_s)
    return {kind: list(samples) for kind, samples in table.samples.items()}


def table_residuals(profile: ProfileSpec, samples: dict[str, list[Sample]]) -> tuple[Residual, ...]:
    """Class models against rows of a kernel table of the same GPU, at each row's clock."""
    device = measured_device(profile)
    return tuple(
        Residual(s.name, kind, s.op.kind, s.seconds, float(seconds), not s.held_out)
        for kind, mine in samples.items()
        for s, seconds in zip(mine, predict(mine, profile.classes[kind], device), strict=True)
    )


def transfer_residuals(
    profile: ProfileSpec, hardware: HardwareSpec, samples: dict[str, list[Sample]]
) -> tuple[Residual, ...]:
    """Class models of one GPU, asked about another, against that one's table."""
    device = target_device(profile, hardware)
    return tuple(
        Residual(s.name, kind, s.op.kind, s.seconds, float(seconds), False)
        for kind, mine in samples.items()
        for s, seconds in zip(mine, predict(mine, profile.classes[kind], device), strict=True)
    )


def scorecard() -> list[dict[str, Any]]:
    """Rows as `netsim validate` prints them: percent errors of the shipped profiles where nothing was fitted."""
    h800, h200, h100 = (load(ProfileSpec, "profile", name) for name in ("h800", "h200", "h100"))
    job = load(WorkloadSpec, "workload", "deepseek-v3")
    folder = catalog.folder("profile") / "measured"
    trace = trace_residuals(h800, job)
    hidden = [row for row in trace if not row.fitted]
    rows = _pair(
        "calibration.h800.operators", "H800 trace, operators not calibrated", spread_of(hidden), 8.0, 20.0
    )
    long = [row for row in hidden if row.measured_s / row.calls >= LONG_S]
    rows += _pair(
        "calibration.h800.operators_above_20us", "the same, above 20 us", spread_of(long), 8.0, 20.0
    )
    rows += [_row(f"calibration.h800.{r.name}", "H800 trace, block by class models", "time", 100 * r.error, 5.0, "ms",
                  r.measured_s * 1e3, r.predicted_s * 1e3) for r in block_residuals(trace)]  # fmt: skip
    tables = {
        name: table_samples([folder / file for file in files], overhead_s=EVENT_OVERHEAD_S)
        for name, files in TABLES.items()
    }
    rows += _held_out(
        "h200", h200, tables["h200"], ("gemm_fp8", "gemm_bf16", "grouped_gemm_fp8", "attention")
    )
    rows += _held_out("h100", h100, tables["h100"], ("gemm_fp8", "gemm_bf16", "attention"))
    published = table_samples([folder / "deepgemm_h800.csv"], overhead_s=0.0)
    moved = transfer_residuals(h200, load(HardwareSpec, "hardware", "h800"), published)
    rows += _pair(
        "calibration.transfer", "DeepGEMM README, H800, from profile h200", spread_of(moved), 10.0, 30.0
    )
    moved = transfer_residuals(h200, load(HardwareSpec, "hardware", "h100"), tables["h100"])
    for name, kinds, least_s in (*_MATRIX[1::2], _STREAMING):
        mine = [row for row in moved if row.kind in kinds and row.measured_s >= least_s]
        rows += _pair(
            f"calibration.transfer_h100.{name}",
            "H100 kernels, from profile h200",
            spread_of(mine),
            10.0,
            30.0,
        )
    return rows


#: name, kernel classes, shortest time that counts; the second and fourth come from the same library on every GPU
_MATRIX = (
    ("gemm_fp8", ("gemm_fp8",), 0.0),
    ("gemm_bf16", ("gemm_bf16",), 0.0),
    ("grouped_gemm_fp8", ("grouped_gemm_fp8",), 0.0),
    ("attention", ("attention_fwd", "attention_bwd"), 0.0),
)
_STREAMING = ("memory_above_20us", STREAMS, LONG_S)
_LIMITS = {"attention": (5.0, 10.0)}  # median and 90th percentile, percent; the others 5 and 15


def _held_out(
    name: str, profile: ProfileSpec, samples: dict[str, list[Sample]], matrix: Sequence[str]
) -> list[dict[str, Any]]:
    """A profile against the rows of its own tables that it was not fitted to."""
    table = [row for row in table_residuals(profile, samples) if not row.fitted]
    rows = []
    for group, kinds, least_s in (*(m for m in _MATRIX if m[0] in matrix), _STREAMING):
        mine = [row for row in table if row.kind in kinds and row.measured_s >= least_s]
        median, p90 = _LIMITS.get(group, (5.0, 15.0))
        label = f"{name.upper()} kernels held out"
        rows += _pair(f"calibration.{name}.{group}", label, spread_of(mine), median, p90)
    return rows


def _pair(name: str, source: str, found: Spread, median: float, p90: float) -> list[dict[str, Any]]:
    return [
        _row(f"{name}.median", f"{source} ({found.samples})", "median error", 100 * found.median, median),
        _row(f"{name}.p90", f"{source} ({found.samples})", "90th percentile of errors", 100 * found.p90, p90),
    ]


def _row(
    name: str,
    source: str,
    metric: str,
    error: float,
    tolerance: float,
    unit: str = "%",
    published: float = 0.0,
    simulated: float | None = None,
) -> dict[str, Any]:
    return {
        "id": name, "source": source, "metric": metric, "unit": unit, "published": published,
        "simulated": error if simulated is None else simulated, "error_pct": error, "tolerance_pct": tolerance,
        "kind": "predicted", "ok": abs(error) <= tolerance,
    }  # fmt: skip
