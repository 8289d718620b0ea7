"""What a job says of the overlap of its exchanges: which it assumes, and which of its words act on nothing."""

from __future__ import annotations

from netsim.specs.workload import WorkloadSpec


def assumed(job: WorkloadSpec) -> dict[str, str]:
    """Kind of exchange that the plan has -> how it runs beside compute, for people."""
    spec, how = job.parallelism, job.overlap
    found = {}
    if job.model.moe and spec.expert > 1:
        paired = how.expert or job.schedule.name.startswith("dualpipe")
        found["expert"] = "beside another micro-batch" if paired else "exposed"
    if spec.tensor > 1:
        apart = f", {' and '.join(how.tensor_apart)} exposed" if how.tensor_apart else ""
        found["tensor"] = f"beside their products{apart}" if how.tensor else _word(job)
    if spec.context > 1:
        found["context"] = "beside attention" if how.context else _word(job)
    found["gradient"] = _gradient(job)
    if spec.zero:
        found["parameter"] = _parameter(job)
    if spec.pipeline > 1:
        hidden = how.pipeline == "always" or (how.pipeline == "interleaved" == job.schedule.name)
        found["pipeline"] = "beside compute" if hidden else "exposed"
    if job.host.counts:
        found["host"] = "launches ahead of the GPU" + (", waits for every gate" if _waits(job) else "")
    return found


def _waits(job: WorkloadSpec) -> bool:
    return bool(job.model.moe) and job.host.waits_for_gate


def _word(job: WorkloadSpec) -> str:
    paired = job.overlap.expert or job.schedule.name.startswith("dualpipe")
    return "beside another micro-batch" if paired else "exposed"


def _gradient(job: WorkloadSpec) -> str:
    if job.parallelism.zero >= 2:
        return "beside every backward, by layer"
    return "beside the last backward, by layer" if job.overlap.gradient else "behind a stage's last backward"


def _parameter(job: WorkloadSpec) -> str:
    if job.parallelism.zero == 3:
        return f"{job.overlap.prefetch} layers ahead" if job.overlap.prefetch else "exposed"
    return "beside the next forward, by layer" if job.overlap.parameter else "behind the update"


def idle_overlaps(job: WorkloadSpec) -> dict[str, str]:
    """Keys of `overlap` that act on nothing in this job, with why."""
    spec = job.parallelism
    found: dict[str, str] = {}
    kinds = (job.model.moe is not None and spec.expert > 1, spec.tensor * spec.context > 1, spec.pipeline > 1)
    if job.schedule.name.startswith("dualpipe"):
        found["expert"] = f"{job.schedule.name} overlaps a forward with a backward in any case"
    if spec.tensor == 1:
        found |= dict.fromkeys(
            ("tensor", "tensor_apart", "tensor_chunks", "tensor_sms"), "the plan has no tensor parallelism"
        )
    elif not job.overlap.tensor:
        found["tensor_chunks"] = "overlap.tensor is false: tensor exchanges are whole"
        found["tensor_apart"] = "overlap.tensor is false: all tensor exchanges are in line"
    if spec.context == 1:
        found["context"] = "the plan has no context parallelism"
    if job.overlap.sms == "always":
        rule = 'overlap.sms is "always": communication.sms are left free'
        found |= dict.fromkeys(("tensor_sms", "nccl_sms"), rule)
    elif not max(job.overlap.tensor_sms, job.overlap.nccl_sms, job.communication.sms * kinds[0]):
        found["sms"] = "no exchange of the plan takes SMs"
    if spec.pipeline == 1:
        found["pipeline"] = "the pipeline has one stage"
    if spec.zero >= 2:
        found["gradient"] = f"ZeRO stage {spec.zero} reduces gradients a layer at a time in every micro-batch"
    if spec.zero not in (1, 2):
        why = "replicates the optimizer" if spec.zero == 0 else "gathers parameters in every micro-batch"
        found["parameter"] = f"ZeRO stage {spec.zero} {why}"
    if spec.zero != 3:
        found["prefetch"] = "only ZeRO stage 3 gathers parameters ahead of compute"
    if sum(kinds) < 2:
        found["streams"] = "the plan has one kind of exchange at most beside gradients and parameters"
    return {f"workload.overlap.{key}": why for key, why in found.items()}


def idle_host(job: WorkloadSpec) -> dict[str, str]:
    """Keys of `host` that act on nothing in this job, with why."""
    how, found = job.host, {}
    said = how.model_copy(update={"graph": "none"}).counts
    if not said:
        found = dict.fromkeys(("graph", "waits_for_gate"), "no block takes host time")
    elif how.graph != "none":
        rule = f"host.graph is {how.graph!r}: kernels are launched as CUDA graphs"
        found = dict.fromkeys(("attention", "dense", "experts", "waits_for_gate"), rule)
    if not job.model.moe:
        found |= dict.fromkeys(("experts", "waits_for_gate"), "the model has no experts")
    elif not job.model.dense_layers:
        found["dense"] = "every layer has experts"
    return {f"workload.host.{key}": why for key, why in found.items()}
