"""A question and what is asked of its service to a deployment, and the deployment to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netsim.errors import DomainError, NetsimError, did_you_mean
from netsim.inference.deployment import make_deployment, refuse_idle
from netsim.inference.exchange import EVERYTHING, IDEAL
from netsim.inference.inference_record import PHASES, at_largest_batch, infer
from netsim.inference.iteration import Deployment, Iteration
from netsim.inference.service import Service
from netsim.specs.question import Question
from netsim.specs.requests import ServeRequest
from netsim.units import whole


@dataclass(frozen=True)
class Served:
    """An answer: the record, the deployment that it is of, an iteration a phase, and the requests if any were asked."""

    record: dict[str, Any]
    deployment: Deployment
    iterations: tuple[Iteration, ...]
    service: Service | None


def deployment_of(question: Question, request: ServeRequest) -> Deployment:
    """The checked specs; a field of the request and an override of the same key are a mistake.

    Raises NetsimError for that, for a wrong name, key or value, and for what has no effect on the phase.
    """
    _refuse_of_other_phase(request)
    overrides = dict(question.overrides)
    for option, (key, value) in _keys(question, request).items():
        if value is None:
            continue
        clash = {key, f"inference.{key}", key.removeprefix("topology.")} & overrides.keys()
        if clash:
            raise NetsimError(f"{option} {value}: also given by --set {clash.pop()}")
        overrides[key] = value
    found = make_deployment(
        question.topology, question.workload, preset=request.deployment, hardware=question.hardware,
        profile=question.profile, overrides=overrides, seed=question.seed,
        assume=IDEAL if request.ideal else EVERYTHING,
    )  # fmt: skip
    if request.mtp_acceptance is not None and not found.spec.speculative.draft_tokens:
        raise NetsimError("--mtp-acceptance: has no effect without drafted tokens")
    refuse_idle(question.overrides, request.phase, request.rate, found)
    return found


def serve(deployment: Deployment, request: ServeRequest) -> Served:
    """Simulate it; `deployment` : of `deployment_of`."""
    if request.batch == "max":
        deployment = at_largest_batch(deployment)
    record, iterations, service = infer(
        deployment, request.phase, request.gpus, request.prefill_gpus, request.rate
    )
    return Served(record, deployment, tuple(iterations), service)


def refuse_doubts(record: dict[str, Any]) -> None:
    """Under --strict: nothing that does not fit, and no compute time beyond what was measured or modelled."""
    if record["warnings"]:
        raise NetsimError(f"--strict: {record['warnings'][0]}")
    for phase, origin in record["provenance"]["compute_origin"].items():
        if share := origin.get("extrapolated"):
            raise DomainError(f"--strict: {share:.1%} of the compute time of {phase} is extrapolated")


def _keys(question: Question, request: ServeRequest) -> dict[str, tuple[str, Any]]:
    """Options that stand for a key."""
    batch = None if request.batch == "max" else _whole(request.batch)
    return {
        "--ep": (f"{request.phase}.expert", request.ep),
        "--batch": ("decode.batch", batch),
        "--context": ("decode.context", request.context),
        "--prompt": ("prefill.prompt", request.prompt),
        "--cached-share": ("prefill.cached_share", request.cached_share),
        "--mtp-acceptance": ("speculative.acceptance", request.mtp_acceptance),
        "--draft-tokens": ("speculative.draft_tokens", request.draft_tokens),
        "--requests": ("requests.count", request.requests),
        "--routing": ("topology.routing", question.routing),
    }


def _refuse_of_other_phase(request: ServeRequest) -> None:
    phase = request.phase
    if phase not in PHASES:
        raise NetsimError(f"--phase {phase}: {did_you_mean(phase, PHASES)}")
    of_decode = {
        "--batch": request.batch, "--context": request.context, "--mtp-acceptance": request.mtp_acceptance,
    }  # fmt: skip
    of_prefill = {"--prompt": request.prompt, "--cached-share": request.cached_share}
    of_both = {"--prefill-gpus": request.prefill_gpus, "--rate": request.rate}
    idle = {} if phase == "both" else (of_prefill if phase == "decode" else of_decode) | of_both
    for option, value in idle.items():
        if value is not None:
            raise NetsimError(f"{option}: has no effect on {phase}")
    if request.requests is not None and request.rate is None:
        raise NetsimError("--requests: has no effect without --rate")
    if request.ep is not None and phase == "both":
        raise NetsimError("--ep: name a --phase, or --set decode.expert and prefill.expert")


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    number = whole(text)
    if not number:
        raise NetsimError(f"--batch {text}: must be a whole number of requests a GPU, or max")
    return number
