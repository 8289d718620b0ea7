"""What a trace of anybody's job holds, as tables of plain rows: classes, operators, layers, time, collectives, and what
could not be assigned. `netsim calibrate` prints them, writes them as CSV, and puts them into its JSON.

Milliseconds are of one step (the mean over the steps of the trace), microseconds of one call or kernel.

Left out: single kernels; a viewer of traces shows them.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from netsim.calibration.assign import Coverage
from netsim.calibration.check import Check, Pair
from netsim.calibration.idle import PhaseTime, host_per_launch_s, phase_times
from netsim.calibration.job import Job
from netsim.calibration.place import Placed
from netsim.calibration.seen import Call
from netsim.calibration.seen_collectives import collectives_of
from netsim.calibration.trace_events import shown
from netsim.specs.output import write_text_whole

Row = dict[str, Any]
PHASES = ("F", "B", "W", "opt", "")


def job_coverage(placed: Sequence[Placed]) -> Coverage:
    """Kernel time summed over streams, and what of it has a class and a phase."""
    missing: Counter[str] = Counter()
    for p in placed:
        if not p.complete:
            why = "no kernel rule" if not p.kind else "no phase"
            missing[f"{shown(p.kernel.name, 100)} ({why})"] += p.kernel.duration_us  # type: ignore[assignment]
    busy = sum(p.kernel.duration_us for p in placed)
    lost = tuple((name, float(us)) for name, us in missing.most_common())
    return Coverage(busy, busy - sum(missing.values()), lost)


def tables(job: Job) -> dict[str, list[Row]]:
    """All tables of a job, by name."""
    return {
        "classes": _classes(job),
        "operators": _operators(job),
        "layers": _layers(job),
        "time": _time(job),
        "collectives": [row.cells() for row in collectives_of(job.placed)[0]],
        "unassigned": [
            {"kernel": name, "total_ms": us / 1e3} for name, us in job_coverage(job.placed).missing
        ],
    }


def _classes(job: Job) -> list[Row]:
    """By class and phase: time in a step, share of all kernel time, and how much of it has dimensions."""
    groups: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    for p in job.placed:
        groups[p.kind or "unknown", p.phase].append(p)
    shaped: dict[tuple[str, str], float] = defaultdict(float)
    for call, place in zip(job.calls, _places(job.placed), strict=True):
        shaped[place] += call.seconds if call.op is not None else 0.0
    busy = sum(p.kernel.duration_us for p in job.placed)
    rows = [
        {
            "class": kind, "phase": phase, "kernels": len(mine) / job.steps,
            "busy_ms": us / 1e3 / job.steps, "share_pct": 100 * us / busy,
            "mean_us": us / len(mine), "with_dimensions_pct": 100 * shaped[kind, phase] * 1e6 / us if us else 0.0,
            "rules": "+".join(sorted({p.rule.name for p in mine if p.rule})),
        }
        for (kind, phase), mine in groups.items()
        if (us := sum(p.kernel.duration_us for p in mine)) >= 0
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["busy_ms"], row["class"], row["phase"]))


def _places(placed: Sequence[Placed]) -> list[tuple[str, str]]:
    """Class and phase of each call, in the order of calls."""
    return list({p.unit: (p.kind, p.phase) for p in placed if p.kind and not p.transfer}.values())


def _operators(job: Job) -> list[Row]:
    """By class, operator, phase and dimensions: calls in a step, time of one, and the rates that it makes."""
    groups: dict[tuple[Any, ...], list[Call]] = defaultdict(list)
    for call in job.calls:
        known = call.key[1:] if call.op is not None else ()
        groups[call.kind, call.name, call.phase, known].append(call)
    rows = []
    for (kind, name, phase, _), mine in groups.items():
        mean, op = fmean(call.seconds for call in mine), mine[0].op
        rows.append({
            "class": kind, "operator": shown(name, 100), "phase": phase,
            "shape": "x".join(map(str, op.shape)) if op else "", "calls": len(mine) / job.steps,
            "total_ms": mean * len(mine) * 1e3 / job.steps, "mean_us": mean * 1e6,
            "median_us": median(call.seconds for call in mine) * 1e6, "min_us": min(c.seconds for c in mine) * 1e6,
            "tflops": op.flops / mean / 1e12 if op and mean else 0.0,
            "hbm_GBps": op.bytes / mean / 1e9 if op and mean else 0.0,
            "beside_transfer_pct": 100 * fmean(call.share for call in mine),
        })  # fmt: skip
    return sorted(
        rows, key=lambda row: (-row["total_ms"], row["class"], row["operator"], row["phase"], row["shape"])
    )


def _layers(job: Job) -> list[Row]:
    """By layer and phase: kernel time and kernels of a step; no number is outside all layers."""
    spent: dict[tuple[int, str], list[float]] = defaultdict(list)
    for p in job.placed:
        spent[-1 if p.layer is None else p.layer, p.phase].append(p.kernel.duration_us)
    return [
        {"layer": "" if layer < 0 else layer, "phase": phase, "busy_ms": sum(times) / 1e3 / job.steps,
         "kernels": len(times) / job.steps}
        for (layer, phase), times in sorted(spent.items(), key=lambda item: (item[0][0], PHASES.index(item[0][1])))
    ]  # fmt: skip


def _time(job: Job) -> list[Row]:
    """By phase: what the GPU did in a step, and why it was idle."""
    times, launches = phase_times(job.placed), host_per_launch_s(job.placed)
    known = {phase: times[phase] for phase in PHASES if phase in times}
    rows = [_time_row(phase, mine, job.steps, launches.get(phase)) for phase, mine in known.items()]
    total = PhaseTime(
        *(sum(getattr(t, name) for t in times.values()) for name in PhaseTime.__dataclass_fields__)
    )
    return [*rows, _time_row("all", total, job.steps, None)]


def _time_row(phase: str, mine: PhaseTime, steps: int, per_launch: float | None) -> Row:
    each = 1e3 / steps
    return {
        "phase": phase, "compute_ms": mine.compute_s * each, "exposed_transfer_ms": mine.exposed_s * each,
        "transfer_ms": mine.transfer_s * each, "idle_host_ms": mine.host_s * each,
        "idle_queued_ms": mine.queued_s * each, "launches": mine.launches / steps,
        "host_us_per_launch": per_launch * 1e6 if per_launch is not None else None,
    }  # fmt: skip


def said(job: Job) -> list[str]:
    """What a reader must know of this trace: what it lacks, and what was done about it."""
    notes = []
    if not job.trace.shapes:
        notes.append(
            "The trace has no input dimensions (record_shapes=True records them): classes and totals only; no class "
            "was fitted from operators that need them."
        )
    if not job.trace.threads:
        notes.append(
            "The trace has no operators of the host: forward and backward cannot be told apart by their threads."
        )
    if job.trace.unlaunched:
        notes.append(f"{job.trace.unlaunched} kernels have no launch and no operator; they are left out.")
    if graphed := sum(p.kernel.graphed for p in job.placed):
        notes.append(
            f"{graphed} kernels ran in CUDA graphs: no operators, and phases only where a name says it."
        )
    if not any(p.layer is not None for p in job.placed):
        notes.append("No repeating part was found: no layers.")
    lost_s, lost = collectives_of(job.placed)[1:]
    if lost:
        notes.append(
            f"{lost} kernels of transfers ({lost_s * 1e3:.3f} ms) name no message; they are in no row of collectives."
        )
    left = sum(call.seconds for call in job.calls if call.op is None)
    if job.trace.shapes and left > 0.01 * job.compute_s:
        notes.append(
            f"{left * 1e3:.3f} ms of {job.compute_s * 1e3:.3f} ms of kernels have no dimensions that netsim reads."
        )
    return notes


def check_rows(found: Check) -> list[Row]:
    """Measured beside predicted: all, by phase, by class."""
    parts: list[tuple[str, str, Pair]] = [("all", "", found.total)]
    parts += [("phase", phase, found.phases[phase]) for phase in PHASES if phase in found.phases]
    parts += [
        ("class", kind, pair) for kind, pair in sorted(found.kinds.items(), key=lambda kv: -kv[1].measured_s)
    ]
    return [
        {
            "trace": Path(found.source).name, "of": of, "name": name, "calls": pair.calls,
            "measured_ms": pair.measured_s * 1e3, "predicted_ms": pair.predicted_s * 1e3,
            "error_pct": 100 * pair.error,
            "from_measured_rows_pct": 100 * pair.from_rows_s / pair.predicted_s if pair.predicted_s else 0.0,
        }
        for of, name, pair in parts
    ]  # fmt: skip


def write_tables(found: Mapping[str, Sequence[Row]], profile: Path) -> list[Path]:
    """CSVs beside a profile, named after it; tables without rows are not written.

    Raises NetsimError when a file cannot be written.
    """
    files = []
    for name, rows in found.items():
        if not rows:
            continue
        path = profile.with_name(f"{profile.stem}_{name}.csv")
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
        files.append(write_text_whole(path, text.getvalue()))
    return files


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    # a spreadsheet must not take a name for a formula
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
