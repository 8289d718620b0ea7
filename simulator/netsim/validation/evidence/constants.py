"""How well the constants of the compute and network models are known, from rows that they were not set on.

    classes   held-out kernels by profile and class: operators of the H800 trace (each by its time there), rows of the
              kernel tables of H100, H200 and Blackwell
    repeats   the same kernel measured again: 10th to 90th percentile of the table of the H200, over 2.56
    power     slowdowns of measured mixes at the power limit that the fit did not see
    nic, kernels, nvlink, latency   published exchanges

An error is ln(measured / modelled) for times. Files that an installed wheel lacks are done without.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from netsim.analysis.uncertainty.evidence import Spread
from netsim.calibration.residuals import TABLES, Residual, table_residuals, table_samples, trace_residuals
from netsim.compute.power import Load, group_of, slowdown, steady
from netsim.measure.mix import ROUND_S, MixPart, calls, parse_mix
from netsim.measure.mix_table import read_parts
from netsim.specs import WorkloadSpec, catalog, load
from netsim.specs.profile import ProfileSpec
from netsim.validation.experiments_kernels import held_out_errors
from netsim.validation.validate import Check

#: a standard normal has so much between its 10th and 90th percentile
_TENTHS = 2.563
_TIMES = ("us", "ms", "s")
#: kernels shorter than this are mostly launch, which the table times with its own error
_LONG_US = 20.0
#: fewer held-out kernels of a class say nothing by themselves
LEAST_ROWS = 4
#: tables that timed another kernel under the name of a class: grouped products in BF16
OTHER_KERNELS = (("h100", "grouped_gemm_fp8"),)
#: the published ratio of one job on two fabrics
RATIO = "isca25_table4.mrft_over_mpft"
#: the published numbers of a service in production
SERVICE = "deepseek_online"
MIXES = "h200_mixes_held_out.csv"
#: mixes whose kernels were seen by the fit (tests/test_compute_power.py)
SEEN = ("attn_bwd:bf16:16384x16x256", "attn_fwd:bf16:16384x64x64", "residual_add:16384x8192")
#: constant of the network -> published sets that it was not set on
EXCHANGES: Mapping[str, Sequence[str]] = {
    "nic": ("isca25_fig5", "simai_all_to_all"),
    "kernels": ("isca25_fig7", "deepep_h800"),
    "nvlink": ("isca25_fig7",),
    "latency": ("isca25_fig6",),
}


def spread_of(errors: Sequence[float], source: str, weights: Sequence[float] | None = None) -> Spread:
    """Mean and standard deviation of errors.

    >>> spread_of([0.0, 0.2], "two rows").spread
    0.1
    """
    mean = float(np.average(errors, weights=weights))
    deviation = float(np.sqrt(np.average((np.array(errors) - mean) ** 2, weights=weights)))
    return Spread(rows=len(errors), bias=round(mean, 5), spread=round(deviation, 5), source=source)


def class_spreads() -> dict[str, dict[str, Spread]]:
    """Spreads of kernel classes by profile; `all` over all profiles, `any` over all classes."""
    found: dict[str, dict[str, Spread]] = {}
    every: dict[str, list[float]] = defaultdict(list)
    for name, source, rows in _held_out():
        by_class: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for kind, error, weight in rows:
            by_class[kind].append((error, weight))
            every[kind].append(error)
            every["any"].append(error)
        found[name] = {
            kind: spread_of([e for e, _ in mine], source, [w for _, w in mine])
            for kind, mine in sorted(by_class.items())
            if len(mine) >= LEAST_ROWS
        }
    found["all"] = {
        kind: spread_of(errors, "held-out kernels of all profiles")
        for kind, errors in sorted(every.items())
        if len(errors) >= LEAST_ROWS
    }
    return found


def _held_out() -> Iterable[tuple[str, str, list[tuple[str, float, float]]]]:
    """(profile, source, rows of (class, error, weight))."""
    h800, job = load(ProfileSpec, "profile", "h800"), load(WorkloadSpec, "workload", "deepseek-v3")
    trace = [row for row in trace_residuals(h800, job) if not row.fitted]
    yield "h800", "operators of the H800 trace, held out", [_error(row, row.measured_s) for row in trace]
    folder = catalog.folder("profile") / "measured"
    for name, files in sorted(TABLES.items()):
        samples = table_samples([folder / file for file in files])
        residuals = table_residuals(load(ProfileSpec, "profile", name), samples)
        rows = [row for row in residuals if not row.fitted and (name, row.kind) not in OTHER_KERNELS]
        yield name, f"kernel table of the {name.upper()}, held out", [_error(row, 1.0) for row in rows]
    by_gpu: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for (gpu, kind), errors in held_out_errors().items():
        by_gpu[gpu] += [(kind, float(-np.log1p(error / 100.0)), 1.0) for error in errors]
    for gpu, known in sorted(by_gpu.items()):
        yield gpu, f"public kernel tables of the {gpu.upper()}, held out", known


def _error(row: Residual, weight: float) -> tuple[str, float, float]:
    return row.kind, float(np.log(row.measured_s / row.predicted_s)), weight


def constant_spreads(checks: Sequence[Check]) -> dict[str, Spread]:
    """Spreads of repeats, the power limit, and the constants of the network."""
    errors: dict[str, list[float]] = defaultdict(list)
    for check in checks:
        name = check.id.split(".")[0]
        if check.kind == "predicted" and check.published and check.simulated > 0.0:
            longer = 1.0 if check.unit in _TIMES else -1.0  # the others are rates
            judged = check.tolerance_pct is not None or name == "simai_all_to_all"
            if judged:
                errors[name].append(longer * float(np.log(check.published / check.simulated)))
    found = {"repeats": _repeats(), "power": _power(), **_fabrics(checks), **_serving(checks)}
    for constant, sets in EXCHANGES.items():
        mine = [error for name in sets for error in errors[name]]
        if mine:
            found[constant] = spread_of(mine, f"predicted rows of {', '.join(sets)}")
    return found


def _fabrics(checks: Sequence[Check]) -> dict[str, Spread]:
    """What a ratio of steps on two fabrics is off where both were measured."""
    errors = [float(np.log(c.published / c.simulated)) for c in checks if c.id == RATIO and c.published]
    if not errors:
        return {}
    spread = float(np.sqrt(np.mean(np.square(errors)) / 2.0))  # a ratio holds two of them
    return {"fabrics": Spread(rows=len(errors), bias=0.0, spread=round(spread, 6), source=RATIO)}


def _serving(checks: Sequence[Check]) -> dict[str, Spread]:
    """What a service reached: every published number is a rate."""
    mine = [c for c in checks if c.id.startswith(f"{SERVICE}.") and c.published and c.simulated > 0.0]
    errors = [float(np.log(c.simulated / c.published)) for c in mine if c.published]
    return {"serving": spread_of(errors, f"rows of {SERVICE}")} if errors else {}


def _repeats() -> Spread:
    path = catalog.folder("profile") / "measured" / "h200.csv"
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    widths = [
        float(np.log(float(row["p90_us"]) / float(row["p10_us"])) / _TENTHS)
        for row in rows
        if row["p10_us"] and float(row["time_us"]) >= _LONG_US
    ]
    return Spread(
        rows=len(widths),
        bias=0.0,
        spread=round(float(np.median(widths)), 5),
        source="kernels of the H200's table measured again: median over kernels",
    )


def _power() -> Spread:
    """Slowdowns at the power limit: measured over modelled."""
    power = load(ProfileSpec, "profile", "h200").power
    assert power is not None, "the H200's profile knows what kernels draw"
    errors = []
    rows = read_parts(catalog.folder("profile") / "measured" / MIXES)
    for mix, some in groupby(rows, key=lambda row: (row.mix, row.power_w)):
        parts = list(some)
        if mix[0] in SEEN:
            continue
        loads, idle_s = loads_of(parts)
        clock = steady(power, loads, idle_s, 700.0, 1.98e9).clock_hz
        errors += [
            float(np.log(part.hot_us / part.cold_us / slowdown(power, one, clock)))
            for one, part in zip(loads, parts, strict=True)
        ]
    return spread_of(errors, "mixes held on an H200 at its power limit, not used by the fit")


def loads_of(parts: list[MixPart]) -> tuple[list[Load], float]:
    """The loads of a round of a mix, and its pause."""
    plan = parse_mix(parts[0].mix)
    cold = {part.part: part.cold_us * 1e-6 for part in parts}
    counts = calls(plan, [cold.get(part.name, 0.0) for part in plan])
    loads = [
        Load(group_of(part.shape.kind), n * cold[part.name], n * part.shape.flops, n * part.shape.bytes, 1.0)
        for part, n in zip(plan, counts, strict=True)
        if part.shape is not None
    ]
    return loads, sum(part.share for part in plan if part.shape is None) * ROUND_S
