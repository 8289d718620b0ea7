"""The ways to a profile: from a trace, and from a kernel table. What `netsim calibrate` runs.

    trace   read -> assign kernels -> observe operators -> fit classes -> profile with a row for each operator
            (blocks of a layer annotated), or
            read -> place kernels -> calls -> fit classes -> profile with a row for each product and attention shape
            (any other trace, `job`)
    table   read -> samples by class -> fit classes -> profile with a row for each product and attention shape

Left out: merging several inputs into one profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.calibration.about import About, about_from, load_about
from netsim.calibration.assign import Coverage, assign, block_busy_us, coverage, has_blocks
from netsim.calibration.beside import collectives_beside
from netsim.calibration.build import ClassResult, assemble, device_of, fit_classes, table_rows, trace_samples
from netsim.calibration.check import Check, check
from netsim.calibration.facts import hardware_of
from netsim.calibration.fit import Spread
from netsim.calibration.job import Job, calibrate_job, read_job
from netsim.calibration.job_tables import check_rows, job_coverage, said, tables
from netsim.calibration.kineto import DEFAULT_LIMIT, Trace, read_trace
from netsim.calibration.observe import observe
from netsim.calibration.rates import check_rates
from netsim.calibration.rules import Rules, load_rules
from netsim.calibration.seen_collectives import collectives_of
from netsim.calibration.tables import KernelTable, read_tables
from netsim.compute.stand_in import stand_in
from netsim.errors import NetsimError
from netsim.specs import WorkloadSpec, catalog, load
from netsim.specs.profile import ClassModel, ProfileSpec


@dataclass(frozen=True)
class Calibration:
    """A profile and what it is worth. Traces also say what they cover, by block, and what was not found."""

    source: str
    profile: ProfileSpec
    about: About
    classes: Mapping[str, ClassResult]
    coverage: Coverage | None = None
    blocks_us: Mapping[tuple[str, int], float] | None = None
    absent: tuple[str, ...] = ()
    unused: Mapping[str, int] | None = None
    job: Job | None = None
    checks: tuple[Check, ...] = ()
    collectives: tuple[Mapping[str, Any], ...] = ()

    @property
    def writes_profile(self) -> bool:
        """Whether anything was fitted: a trace without dimensions gives tables alone."""
        return self.job is None or self.job.trace.shapes


@dataclass(frozen=True)
class Asked:
    """What is asked of a job's trace besides its profile: other traces of the same GPU to predict, and a fabric to time
    its collectives on, with hosts of a hardware preset."""

    others: tuple[Path, ...] = ()
    topology: str | None = None
    hardware: str | None = None


def calibrate_trace(
    path: Path,
    base: str | None = None,
    workload: str | None = None,
    rules: Path | None = None,
    about: Path | None = None,
    name: str = "calibrated",
    fit_all: bool = False,
    limit_bytes: int = DEFAULT_LIMIT,
    asked: Asked = Asked(),
) -> Calibration:
    """A profile from a profiler trace of a training step.

    workload : the job whose operators annotated blocks hold; other traces name their operators themselves
    fit_all : class models may be fitted to every operator of annotated blocks, instead of those that the rules name
    limit_bytes : most that a trace may hold once decompressed

    Raises NetsimError for a trace that cannot be read or holds nothing that the rules know, and for options that have
    no effect on it.
    """
    known = load_rules(rules)
    trace = read_trace(path, limit_bytes)
    if not has_blocks(trace, known):
        for option, given in (("--workload", workload is not None), ("--fit-all", fit_all)):
            if given:
                raise NetsimError(
                    f"{path}: {option} has no effect: no annotation is a block of a layer, see --rules"
                )
        return _of_job(trace, base, rules, about, name, limit_bytes, asked)
    if asked != Asked():
        raise NetsimError(
            f"{path}: --check, --topology and --hardware have no effect on annotated blocks of a workload"
        )
    start = load(ProfileSpec, "profile", base or "h800")
    facts = load_about(about) if about else about_from(start, name, trace.device, str(path))
    found = assign(trace, known)
    job = load(WorkloadSpec, "workload", workload or "deepseek-v3")
    seen = observe(found, job, () if fit_all else known.fit)
    samples = trace_samples(seen.rows, seen.operators)
    results = fit_classes(samples, start.classes, facts, {}, validate_folds=False)
    sources = {"trace": f"{path.name}: {len(trace.kernels)} kernels of {trace.device}", "rules": known.name}
    profile = assemble(facts, start, results, seen.rows, sources)
    return Calibration(
        str(path), profile, facts, results, coverage(found), block_busy_us(found), seen.absent, _unused(trace)
    )


def _of_job(
    trace: Trace,
    base: str | None,
    rules: Path | None,
    about: Path | None,
    name: str,
    limit_bytes: int,
    asked: Asked,
) -> Calibration:
    known = load_rules(rules, general=True)
    job = read_job(trace, known)
    if asked.others and not trace.shapes:
        raise NetsimError(
            f"{trace.source}: --check has no effect: without dimensions there is no profile to ask"
        )
    profile, facts, results = calibrate_job(job, known, base, about, name)
    checks = []
    for path in asked.others:
        other = read_trace(path, limit_bytes)
        if other.device != trace.device:
            raise NetsimError(
                f"--check {path}: measured on {other.device}, and the profile is of {trace.device}"
            )
        checks.append(check(profile, str(path), read_job(other, known).calls))
    return Calibration(
        trace.source, profile, facts, results, job_coverage(job.placed), unused=_unused(trace), job=job,
        checks=tuple(checks), collectives=_collectives(job, asked),
    )  # fmt: skip


def _collectives(job: Job, asked: Asked) -> tuple[Mapping[str, Any], ...]:
    """The collectives of a job beside netsim's on the fabric that was asked for; none where none was."""
    if asked.topology is None:
        if asked.hardware is not None:
            raise NetsimError("--hardware has no effect without --topology")
        return ()
    hardware = asked.hardware or hardware_of(job.trace.device)
    if hardware is None:
        raise NetsimError(
            f"{job.trace.source}: no hardware preset is of {job.trace.device}: name one with --hardware"
        )
    rows = collectives_of(job.placed)[0]
    return tuple(collectives_beside(rows, asked.topology, hardware, job.trace.world))


def _unused(trace: Trace) -> dict[str, int]:
    return {"kernels without a launch": trace.unlaunched} if trace.unlaunched else {}


def calibrate_table(
    paths: Sequence[Path],
    base: str | None = None,
    rules: Path | None = None,
    about: Path | None = None,
    name: str = "calibrated",
    columns: Mapping[str, str] | None = None,
    mode: str | None = None,
    layout: str = "netsim",
    unit: str | None = None,
) -> Calibration:
    """A profile from kernel tables of one device, such as `netsim measure` writes.

    base : profile of the device; left out: the one that is of the table's device (of the facts', where they are given)

    Raises NetsimError for a table that cannot be read, holds no usable row or rows that its device cannot reach, and
    for a device that nobody named.
    """
    known, named = load_rules(rules), load(ProfileSpec, "profile", base) if base else None
    told = load_about(about) if about else None
    table = read_tables(
        paths,
        known.flavours,
        columns,
        mode or (told.mode if told else "cool"),
        told.overhead if told else 0.0,
        layout,
        unit,
    )
    start = named or load(ProfileSpec, "profile", _base_of(table, told))
    facts = told or about_from(start, name, table.device, table.source)
    if table.device and table.device != facts.device:
        raise NetsimError(f"{table.source}: measured on {table.device}, and the facts are of {facts.device}")
    check_rates(table.source, table.samples, device_of(facts), facts.device)
    asked = {**{kind: _stand_in(kind, start) for kind in table.samples}, **start.classes}
    starts = {kind: _start(kind, model, known, table, facts) for kind, model in asked.items()}
    results = fit_classes(table.samples, starts, facts, table.flavours)
    count = sum(len(s) for s in table.samples.values())
    sources = {"table": f"{', '.join(path.name for path in paths)}: {count} rows used"}
    profile = assemble(facts, start, results, table_rows(results, facts), sources)
    return Calibration(table.source, profile, facts, results, unused=table.unused)


def _base_of(table: KernelTable, told: About | None) -> str:
    """The shipped profile of a table's device; another one lends only where facts were given."""
    if told is not None:
        return "h800"
    if not table.device:
        raise NetsimError(f"{table.source}: names no device (column gpu): say which with --base or --about")
    of = {load(ProfileSpec, "profile", name).device: name for name in catalog.names("profile")}
    if table.device not in of:
        raise NetsimError(
            f"{table.source}: measured on {table.device}, and no profile is of it ({', '.join(sorted(of))}): give the "
            "facts of the device with --about"
        )
    return of[table.device]


def _stand_in(kind: str, start: ProfileSpec) -> ClassModel:
    """The model of the class that answers for one in a base profile."""
    other = stand_in(kind, start.classes)
    return start.classes[other] if other else ClassModel(source="")


def _start(kind: str, model: ClassModel, rules: Rules, table: KernelTable, about: About) -> ClassModel:
    """The structure that a class is fitted in: its library's, with nothing of the base's kernels but slow-downs."""
    slowdown = about.slowdown.get(kind, table.slowdown.get(kind, model.slowdown))
    flavour = table.flavours.get(kind)
    if flavour is None:
        return model
    structure = rules.structures.get(flavour)
    fields: dict[str, Any] = dict(structure) if structure else {}
    return ClassModel(source="", **fields, slowdown=round(slowdown, 3))


def summary(found: Calibration) -> dict[str, Any]:
    """What was found, as data: the JSON of `netsim calibrate`."""
    rows = [
        {
            "kind": kind, "flavour": r.flavour, "free": list(r.free), "fitted": _spread(r.fitted),
            "cross_validated": _spread(r.crossed), "held_out": _spread(r.held_out),
            "constant_efficiency": _spread(r.constant),
        }
        for kind, r in found.classes.items()
    ]  # fmt: skip
    data: dict[str, Any] = {
        "schema": 1, "source": found.source, "profile": found.profile.name, "device": found.profile.device,
        "rows": len(found.profile.operators), "classes": rows, "unused": dict(found.unused or {}),
    }  # fmt: skip
    if found.coverage is not None:
        data["coverage"] = {
            "busy_ms": found.coverage.busy_us / 1e3, "assigned": found.coverage.share,
            "missing": [{"kernel": name, "ms": us / 1e3} for name, us in found.coverage.missing[:20]],
        }  # fmt: skip
    if found.job is not None:
        data["job"] = _job(found.job)
        data["checks"] = [check_rows(check) for check in found.checks]
        data["job"]["collectives"] = [*found.collectives] or data["job"]["collectives"]
    elif found.coverage is not None:
        data["blocks"] = [
            {"block": place, "layer": layer, "busy_ms": us / 1e3}
            for (place, layer), us in (found.blocks_us or {}).items()
        ]
        data["absent"] = list(found.absent)
    return data


def _job(job: Job) -> dict[str, Any]:
    return {"steps": job.steps, "dimensions": job.trace.shapes, "notes": said(job), **tables(job)}


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None or not spread.samples:
        return None
    return {
        "samples": spread.samples, "median_pct": 100 * spread.median, "p90_pct": 100 * spread.p90,
        "worst_pct": 100 * spread.worst,
    }  # fmt: skip
