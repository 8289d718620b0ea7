"""A profile from samples: class by class a fit, its residuals, and a constant-efficiency roofline beside it.

A class without samples keeps the model of the base profile, and its source says so. The structure of a model
(tiles, how they are picked, blocks on an SM) is a library's: it comes from the rules or from the base profile and
is not fitted. What samples are too few to tell apart stays as it started (`fit.free_parameters`); grouped products
start from the fit of dense ones.

Left out: choosing between structures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from netsim.calibration.about import About
from netsim.calibration.fit import (
    APART,
    Sample,
    Spread,
    constant_efficiency,
    cross_validate,
    domain,
    errors,
    fit,
    free_parameters,
    spread,
)
from netsim.calibration.least_squares import Vector
from netsim.calibration.observe import make_row
from netsim.compute.roofline import AXES, Device, overlap_factor
from netsim.specs.formats import PRODUCTS
from netsim.specs.profile import KINDS, ClassModel, OperatorRow, ProfileSpec

#: class -> the class whose fit it starts from where it has no structure of its own
HEIRS = {f"grouped_{role}_{word}": f"{role}_{word}" for role in ("gemm", "wgrad") for word in PRODUCTS}
#: weight gradients in BF16 run the kernels of the other products
HEIRS["wgrad_bf16"] = "gemm_bf16"
#: fewer samples than this are not cross-validated
ENOUGH = 10


@dataclass(frozen=True)
class ClassResult:
    """A fitted class: errors of fitted, cross-validated and held-out samples, and of the constant efficiency."""

    kind: str
    flavour: str
    model: ClassModel
    samples: tuple[Sample, ...]
    relative: Vector
    free: tuple[str, ...]
    fitted: Spread
    crossed: Spread | None
    held_out: Spread
    constant: Spread


def device_of(about: About) -> Device:
    """The device behind a calibration."""
    return Device(
        about.sms,
        about.gemm_sms,
        about.bf16_peak,
        about.fp8_peak,
        about.hbm_rate,
        about.peak_clock,
        about.fp4_peak,
    )


def fit_classes(
    samples: Mapping[str, Sequence[Sample]],
    starts: Mapping[str, ClassModel],
    about: About,
    flavours: Mapping[str, str],
    validate_folds: bool = True,
) -> dict[str, ClassResult]:
    """Every class that has samples, fitted to those that are not held out; clocks count where the facts say at
    which one the peaks hold.

    starts : class -> model whose structure and unfitted parameters hold
    """
    device, found = device_of(about), dict[str, ClassResult]()
    for kind in sorted(KINDS, key=_generation):
        mine = tuple(s if about.peak_clock else replace(s, clock_hz=None) for s in samples.get(kind, ()))
        if not [s for s in mine if not s.held_out]:
            continue
        start = starts[kind]
        heir = found.get(HEIRS.get(kind, ""))
        if heir is not None:
            learned = {name: getattr(heir.model, name) for name in heir.free}
            start = start.model_copy(update=learned)
        found[kind] = _fit_class(
            kind, flavours.get(kind, "trace"), mine, _at_clock(start, mine), device, validate_folds
        )
    return found


def _generation(kind: str) -> int:
    """How many classes its fit waits for.

    >>> _generation("grouped_wgrad_bf16"), _generation("norm")
    (2, 0)
    """
    return 1 + _generation(HEIRS[kind]) if kind in HEIRS else 0


def _at_clock(start: ClassModel, samples: Sequence[Sample]) -> ClassModel:
    clocks = [s.clock_hz for s in samples if s.clock_hz and not s.held_out]
    return start.model_copy(update={"clock": median(clocks) if clocks else None})


def _fit_class(
    kind: str, flavour: str, samples: tuple[Sample, ...], start: ClassModel, device: Device, folds: bool
) -> ClassResult:
    known = [s for s in samples if not s.held_out]
    hidden = [s for s in samples if s.held_out]
    free = free_parameters(kind, start, len(known))
    model = fit(known, start, device, free)
    plain = constant_efficiency(known, device)
    crossed = spread(cross_validate(known, start, device, free)) if folds and len(known) >= ENOUGH else None
    model = model.model_copy(update={"domain": domain(known, kind), "source": _source(flavour, known, free)})
    return ClassResult(
        kind,
        flavour,
        model,
        samples,
        errors(samples, model, device),
        free,
        spread(errors(known, model, device)),
        crossed,
        spread(errors(hidden, model, device)),
        spread(errors(hidden or known, plain, device)),
    )


def _source(flavour: str, known: Sequence[Sample], free: Sequence[str]) -> str:
    what = (
        f"{flavour}, {len(known)} samples" if len(known) > 3 else ", ".join(sorted({s.name for s in known}))
    )
    return f"{what}; fitted: {', '.join(free)}"


def trace_samples(rows: Sequence[OperatorRow], operators: Mapping[str, Any]) -> dict[str, list[Sample]]:
    """Samples by class from the rows of a trace: each in the context it ran in; classes that a transfer changes in
    kind (launches, persistent kernels) alone and beside apart."""
    found: dict[str, list[Sample]] = {}
    for row in rows:
        op, held_out = operators[row.name], row.split != "cal"
        apart = row.kind in APART and not held_out
        contexts = (
            [(row.alone, 0.0), (row.beside, 1.0)] if apart else [(row.overlapped, row.transport_share or 0.0)]
        )
        for seconds, share in contexts:
            if seconds is not None:
                sample = Sample(op, seconds * row.calls, share, None, row.name, held_out)
                found.setdefault(row.kind, []).append(sample)
    return found


def table_rows(results: Mapping[str, ClassResult], about: About) -> tuple[OperatorRow, ...]:
    """Measured rows that answer for any operator of their class and shape: products and attention."""
    device, rows = device_of(about), dict[str, OperatorRow]()
    for kind, result in results.items():
        if kind not in AXES or kind in ("index", "strided"):
            continue
        share = (
            about.transport_share if result.model.transport_share is None else result.model.transport_share
        )
        for sample in result.samples:
            if sample.held_out:
                continue
            name = f"{kind} {'x'.join(map(str, sample.op.shape))}"
            factor = overlap_factor(sample.op, result.model, device, share)
            rows[name] = make_row(
                name=name, kind=kind, shape=list(sample.op.shape), split="cal",
                overlapped=sample.seconds * factor, alone=sample.seconds,
            )  # fmt: skip
    return tuple(rows.values())


def assemble(
    about: About,
    base: ProfileSpec,
    results: Mapping[str, ClassResult],
    rows: Sequence[OperatorRow],
    sources: Mapping[str, str],
) -> ProfileSpec:
    """The profile: what was fitted, and the base's model for every class that was not measured."""
    kept = {
        kind: model.model_copy(update={"source": f"not measured: as profile {base.name} ({model.source})"})
        for kind, model in base.classes.items()
        if kind not in results
    }
    fitted = {kind: result.model for kind, result in results.items()}
    return ProfileSpec.model_construct(
        name=about.name,
        description=about.description,
        sources={**about.sources, **sources},
        device=about.device,
        sms=about.sms,
        gemm_sms=about.gemm_sms,
        bf16_peak=about.bf16_peak,
        fp8_peak=about.fp8_peak,
        fp4_peak=about.fp4_peak,
        hbm_rate=about.hbm_rate,
        peak_clock=about.peak_clock,
        clock=about.clock,
        sustained=about.sustained,
        transport_share=about.transport_share,
        gap=about.gap,
        transfers=base.transfers,
        classes={kind: {**fitted, **kept}[kind] for kind in KINDS if kind in fitted or kind in kept},
        operators=tuple(rows),
    )
