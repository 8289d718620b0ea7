"""From names and `--set` to a checked deployment.

A key of `--set` may name its spec (`inference.decode.batch`, `workload.model.layers`) or leave it out where just one
knows it. Keys that only a training step, or only the other phase, reads are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netsim.errors import NetsimError, did_you_mean
from netsim.inference.exchange import EVERYTHING, Assumptions
from netsim.inference.iteration import Deployment
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, load
from netsim.specs.base import all_keys, has_key
from netsim.specs.case import sort_overrides
from netsim.specs.idle import INFERENCE, refuse_unread
from netsim.specs.inference import InferenceSpec
from netsim.specs.protocol import ProtocolSpec

#: keys of a workload that a serving unit reads
_READ = (
    "hardware",
    "model.",
    "compute.products",
    "communication.dispatch",
    "communication.combine",
    "storage.weights",
)


def make_deployment(
    topology: str = "mpft",
    model: str = "deepseek-v3",
    *,
    preset: str | None = None,
    hardware: str | None = None,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    assume: Assumptions = EVERYTHING,
) -> Deployment:
    """Find, override and check the specs. `model` is a workload preset; `preset` of the deployment is named like it
    where it is not given; `profile` replaces those of both phases.

    Raises NetsimError (SpecError) for an unknown name, key or value, and keys without effect.
    """
    own, rest = _split(overrides or {})
    by_section = sort_overrides(rest)
    refuse_unread(by_section, INFERENCE, "inference")
    for key in by_section["workload"]:
        if not key.startswith(_READ):
            raise NetsimError(f"--set workload.{key}: has no effect on inference")
    job = load(WorkloadSpec, "workload", model, by_section["workload"])
    spec = load(InferenceSpec, "inference", preset or job.name, own)
    return Deployment(
        topology=load(TopologySpec, "topology", topology, by_section["topology"]),
        workload=job,
        hardware=load(HardwareSpec, "hardware", hardware or job.hardware, by_section["hardware"]),
        spec=spec,
        library=load(ProtocolSpec, "protocol", spec.library),
        profile=profile,
        seed=seed,
        assume=assume,
    )


#: phase -> keys that only the other phase, or requests to both, read
_OTHER_PHASE = {
    "decode": ("prefill.", "requests."),
    "prefill": ("decode.", "requests.", "attention.", "speculative.acceptance"),
    "both": (),
}
#: keys that only requests at a rate read; their means also set how many prefill GPUs keep up
_OF_REQUESTS = ("requests.count", "requests.prompt.variation", "requests.output.variation")
#: what links are sold as, and what they achieve: the bound reads the first, everything else the second
_SOLD = ("scale_up.rate", "pcie.rate")
_ACHIEVED = ("scale_up.achieved_rate", "pcie.achieved_rate", "nic.goodput_fraction")
#: keys of a model that only kernels read which send one copy to each host
_OF_GROUPS = ("model.moe.groups", "model.moe.group_limit")


def refuse_idle(keys: Iterable[str], phase: str, rate: float | None, deployment: Deployment) -> None:
    """Overrides that the phase in question does not read.

    Raises NetsimError naming the first.
    """
    kernel = deployment.spec.decode.kernel
    for key in keys:
        bare = key.removeprefix("inference.")
        if bare.startswith(_OTHER_PHASE.get(phase, ())):
            raise NetsimError(f"--set {key}: has no effect on {phase}")
        if bare.startswith("attention.") and not deployment.assume.compute:
            raise NetsimError(f"--set {key}: has no effect on the bound, which leaves compute out")
        if bare.removeprefix("hardware.") in _SOLD and deployment.assume.overheads:
            raise NetsimError(f"--set {key}: has no effect but on the bound (--ideal); the achieved rate has")
        if bare.removeprefix("hardware.") in _ACHIEVED and not deployment.assume.overheads:
            raise NetsimError(f"--set {key}: has no effect on the bound, which takes links as they are sold")
        if bare.removeprefix("workload.") in _OF_GROUPS and phase == "decode" and "low_latency" in kernel:
            raise NetsimError(f"--set {key}: has no effect on {kernel} kernels, which send to each expert")
        if bare in _OF_REQUESTS and rate is None:
            raise NetsimError(f"--set {key}: has no effect without --rate")
        if bare == "speculative.acceptance" and not deployment.spec.speculative.draft_tokens:
            raise NetsimError(f"--set {key}: has no effect without drafted tokens")


def _split(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys of the deployment without their prefix, and the others."""
    own, rest = dict[str, Any](), dict[str, Any]()
    for key, value in overrides.items():
        head, _, inner = key.partition(".")
        if head == "inference" and inner:
            if not has_key(InferenceSpec, inner):
                hint = did_you_mean(inner, all_keys(InferenceSpec))
                raise NetsimError(f"--set {key}: unknown key of inference: {hint}")
            key = inner
        elif not has_key(InferenceSpec, key) or "." not in key:
            if head in InferenceSpec.model_fields and inner:
                hint = did_you_mean(key, all_keys(InferenceSpec))
                raise NetsimError(f"--set {key}: unknown key of inference: {hint}")
            rest[key] = value
            continue
        if key in own:
            raise NetsimError(f"--set {key}: given twice, once with the name of its spec")
        own[key] = value
    return own, rest
