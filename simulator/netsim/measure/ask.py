"""`netsim measure`: which measurement a request asks for, and what it needs to be one."""

from __future__ import annotations

from netsim.errors import NetsimError
from netsim.measure.audience import Audience, Measured
from netsim.specs.question import Question
from netsim.specs.requests import MeasureRequest

#: what a field has an effect on; those not named here, on all kinds
SERVES = {
    "workload": "kernels soak step", "side_sms": "kernels soak", "budget_s": "kernels collectives",
    "only": "kernels", "quick": "kernels", "listing": "kernels", "framework": "kernels", "mix": "soak",
    "gpus": "collectives step", "sizes": "collectives", "backend": "collectives",
    "side": "soak", "soak": "soak step",
    "way": "step", "layers": "step", "eager": "step", "small": "step", "traces": "step", "sets": "step",
}  # fmt: skip


def kind_of(request: MeasureRequest) -> str:
    """Kernels, collectives, soak or step.

    Raises NetsimError for two at once.
    """
    if request.collectives and (request.step or request.soak is not None):
        raise NetsimError(f"--collectives and --{'step' if request.step else 'soak'}: choose one")
    if request.collectives:
        return "collectives"
    return "step" if request.step else "kernels" if request.soak is None else "soak"


def idle_rule(name: str, kind: str) -> str | None:
    """Why a field has no effect on this kind of measurement; None where it has one."""
    serves = SERVES.get(name, kind)
    if kind in serves:
        return None
    if "kernels" in serves:
        return f"has no effect with --{kind}"
    return f"has an effect only with --{' or --'.join(serves.split())}"


def measure(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Measure; the question has the workload, the seed and the overrides of a step.

    Raises NetsimError for a request that cannot be measured here.
    """
    kind = kind_of(request)
    if kind == "collectives":
        from netsim.measure.ask_collectives import measure_collectives

        return measure_collectives(question, request, audience)
    if kind == "step":
        from netsim.measure.ask_step import measure_step

        return measure_step(question, request, audience)
    if request.mix:
        from netsim.measure.ask_soak import measure_mix

        return measure_mix(question, request, audience)
    if kind == "soak":
        from netsim.measure.ask_soak import measure_soak

        return measure_soak(question, request, audience)
    from netsim.measure.ask_kernels import measure_kernels

    return measure_kernels(question, request, audience)
