"""The goodput of a workload on a fabric: parts, slow-downs, closed form, samples and the best checkpoint interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim.errors import NetsimError
from netsim.reliability import closed_form
from netsim.reliability.parts import PartClass, part_classes
from netsim.reliability.sampled import HOST, RESTART, WAIT, Run, sample
from netsim.specs.case import Case
from netsim.specs.question import Scaling
from netsim.specs.reliability import ReliabilitySpec
from netsim.topologies import build
from netsim.training.result import step_time_s
from netsim.training.simulate import simulate
from netsim.workloads.model import total_parameters
from netsim.workloads.moe import value_bytes

DAY_S = 86400.0
_KINDS = {"restart": RESTART, "host": HOST, "wait": WAIT}
#: what all hosts together write to storage; arXiv 2407.21783, section 3.3.1: 2 TB/s sustained (7 TB/s peak)
STORAGE_BYTES_PER_S = 2e12


@dataclass(frozen=True)
class Policy:
    """What the operator decides: work between checkpoints (None: the best), their length, restart, spares."""

    interval_s: float | None
    write_s: float | None
    restart_s: float
    spares: int


@dataclass(frozen=True)
class GoodputRequest:
    """A policy over a time, on a workload and its fabric."""

    case: Case
    gpus: int
    table: ReliabilitySpec
    policy: Policy
    days: int
    runs: int
    seed: int
    scaling: Scaling = "weak"


def goodput(request: GoodputRequest, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """The answer as a nested record; see `netsim goodput`.

    Raises NetsimError (SpecError) for a fabric or plan that cannot be built.
    """
    q = request
    fabric = build(q.case.topology, q.case.hardware, q.gpus)
    classes = part_classes(fabric, q.table)
    if not classes:
        raise NetsimError(f"{q.table.name}: no part that this cluster has ever fails")
    write_s = checkpoint_write_s(q.case) if q.policy.write_s is None else q.policy.write_s
    rate = sum(c.rate_per_s for c in classes if c.effect != "slows")
    best_s = closed_form.best_interval_s(write_s, rate) if rate and write_s else None
    interval_s = q.policy.interval_s or best_s
    if interval_s is None:
        raise NetsimError(
            "--checkpoint-interval auto: needs failures and checkpoints that take time; give a time"
        )
    whole_s, speeds = _speeds(q, classes, progress)
    run = as_run(classes, speeds, q.policy, interval_s, write_s)
    expected = expected_goodput(run)
    steps_per_day = DAY_S / whole_s
    return {
        "schema": 1,
        "topology": {
            "name": fabric.name,
            "gpus": fabric.gpus,
            "hosts": fabric.hosts,
            "planes": fabric.planes,
        },
        "workload": {"name": q.case.workload.name, "step_s": whole_s, "steps_per_day": steps_per_day},
        "policy": {
            "checkpoint_interval_s": interval_s,
            "checkpoint_s": write_s,
            "restart_s": q.policy.restart_s,
            "spares": q.policy.spares,
            "forwarding": fabric.spec.failover.forwarding,
        },
        "parts": [_part(c, speed) for c, speed in zip(classes, speeds, strict=True)],
        "stops": {"mtbf_h": 1 / rate / 3600 if rate else None, "per_day": rate * DAY_S},
        "goodput": expected | {"steps_per_day": expected["total"] * steps_per_day},
        "sampled": _sampled(run, q),
        "best_interval_s": _intervals(write_s, rate),
        "by_spares": [
            {"spares": n, "goodput": expected_goodput(_with_spares(run, n))["total"]}
            for n in sorted({0, 1, 2, 4, 8, 16, q.policy.spares})
        ],
        "provenance": {
            "seed": q.seed,
            "spec_sha256": q.case.sha256(),
            "reliability": q.table.name,
            "sources": dict(sorted(q.table.sources.items())),
        },
    }


def checkpoint_write_s(case: Case) -> float:
    """Master weights and moments of the whole model at the storage's rate."""
    storage = case.workload.storage
    held = value_bytes(storage.master) + 2 * value_bytes(storage.moments)
    return total_parameters(case.workload.model) * held / STORAGE_BYTES_PER_S


def _speeds(
    q: GoodputRequest, classes: list[PartClass], progress: Callable[[int, int], None] | None
) -> tuple[float, list[float]]:
    """Seconds of the whole step, and the speed of the job with one part of each class away."""
    found: list[float] = []
    whole_s = step_time_s(simulate(q.case, q.gpus, scaling=q.scaling, seed=q.seed))
    for n, one in enumerate(classes):
        speed = 1.0
        if one.left:
            away = simulate(q.case, q.gpus, scaling=q.scaling, seed=q.seed, degraded=one.left)
            speed = min(1.0, whole_s / step_time_s(away))
        found.append(speed)
        if progress is not None:
            progress(n + 1, len(classes))
    return whole_s, found


def as_run(
    classes: list[PartClass], speeds: list[float], policy: Policy, interval_s: float, write_s: float
) -> Run:
    """Rates, repairs and speeds as the sampling and the closed form take them."""
    return Run(
        interval_s=interval_s,
        write_s=write_s,
        restart_s=policy.restart_s,
        spares=policy.spares,
        stops=[(c.rate_per_s, c.part.repair, _KINDS[c.effect]) for c in classes if c.effect != "slows"],
        slows=[
            (c.rate_per_s, c.part.repair, speed)
            for c, speed in zip(classes, speeds, strict=True)
            if c.effect == "slows"
        ],
    )


def _with_spares(run: Run, spares: int) -> Run:
    return Run(run.interval_s, run.write_s, run.restart_s, spares, run.stops, run.slows)


def expected_goodput(run: Run) -> dict[str, float]:
    """Running, saved and speed, and their product, in closed form."""
    rate = sum(r for r, _, _ in run.stops)
    load = sum(r * repair for r, repair, kind in run.stops if kind == HOST)
    waits = sum(r * repair for r, repair, kind in run.stops if kind == WAIT)
    running = closed_form.running_fraction(run.spares, load, waits)
    saved = closed_form.saved_fraction(run.interval_s, run.write_s, run.restart_s, rate)
    speed = closed_form.mean_speed([(r * repair, v) for r, repair, v in run.slows])
    return {"running": running, "saved": saved, "speed": speed, "total": running * saved * speed}


def _sampled(run: Run, q: GoodputRequest) -> dict[str, Any]:
    """Mean and spread of the goodput after each day over all runs."""
    marks = np.arange(1, q.days + 1, dtype=np.float64) * DAY_S
    done = sample(run, marks, q.runs, q.seed) / marks
    last = done[:, -1]
    low, middle, high = np.percentile(done, [5, 50, 95], axis=0).tolist()
    error = float(last.std(ddof=1) / np.sqrt(q.runs)) if q.runs > 1 else None
    return {
        "runs": q.runs,
        "days": q.days,
        "mean": float(last.mean()),
        "standard_error": error,
        "p5": low,
        "p50": middle,
        "p95": high,
    }


def _part(one: PartClass, speed: float) -> dict[str, Any]:
    return {
        "part": one.name,
        "count": one.count,
        "mtbf_days": one.part.mtbf / DAY_S,
        "failures_per_day": one.rate_per_s * DAY_S,
        "repair_h": one.part.repair / 3600,
        "mean_away": one.mean_down,
        "effect": one.effect,
        "speed_while_away": speed if one.effect == "slows" else 0.0,
        "status": one.part.status,
        "source": one.part.source,
    }


def _intervals(write_s: float, rate: float) -> dict[str, float] | None:
    if not rate or not write_s:
        return None
    return {
        "young": closed_form.young_interval_s(write_s, rate),
        "daly": closed_form.daly_interval_s(write_s, rate),
        "exact": closed_form.best_interval_s(write_s, rate),
    }
