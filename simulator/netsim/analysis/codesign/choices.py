"""The choices of DeepSeek-V3 that can be turned off one at a time, and the conventional counterpart of each.

`CHOICES` says what each counterpart is. One choice is turned off and everything else stays, whether or not somebody
would tune it again. Left out: what a choice does to the quality of the model.

Source: Insights into DeepSeek-V3, arXiv 2505.09343, sections 2.1 to 2.3, 4.3 and 5, tables 1 to 3; DeepSeek-V3, arXiv
2412.19437, sections 2.1.2, 2.2, 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from netsim.errors import NetsimError
from netsim.specs.case import Case
from netsim.specs.inference import InferenceSpec
from netsim.specs.question import Question
from netsim.specs.workload import ModelSpec
from netsim.workloads.attention import with_attention
from netsim.workloads.model import total_parameters

#: widths of matrices are whole tiles of the tensor cores and blocks of FP8 scales
_TILE = 128
#: schedules in which a forward and a backward chunk run as a pair
_PAIRED = ("dualpipe", "dualpipe_v")


@dataclass(frozen=True)
class Job:
    """A training step and how the model is served; no deployment: None."""

    case: Case
    serving: InferenceSpec | None

    def with_model(self, **changes: Any) -> Job:
        """The same with another model."""
        return self.with_workload(model=self.case.workload.model.model_copy(update=changes))

    def with_workload(self, **changes: Any) -> Job:
        """The same with other tables of the workload."""
        workload = self.case.workload.model_copy(update=changes)
        return replace(self, case=replace(self.case, workload=workload))

    def with_serving(self, table: str, **changes: Any) -> Job:
        """The same with other keys in a table of the deployment, where there is one."""
        if self.serving is None:
            return self
        changed = getattr(self.serving, table).model_copy(update=changes)
        return replace(self, serving=self.serving.model_copy(update={table: changed}))


@dataclass(frozen=True)
class AblationRequest(Question):
    """A question, and what is ablated: `choices`, keys of `CHOICES`."""

    choices: tuple[str, ...] = ()

    def on(self, topology: str) -> Case:
        """The specs on another fabric.

        Raises NetsimError for a name, key or value that is wrong.
        """
        return self.changed(topology=topology).checked_case()


@dataclass(frozen=True)
class Choice:
    """`name`, what runs `instead` in a few words, `detail`, and the change, which raises NetsimError where there is
    nothing to turn off."""

    name: str
    instead: str
    detail: str
    apply: Callable[[AblationRequest, Job], Job]


def _mla(_: AblationRequest, job: Job) -> Job:
    model = job.case.workload.model
    if model.attention.kind != "mla":
        raise NetsimError(f"{model.name} has {model.attention.kind.upper()}, not MLA")
    return job.with_model(attention=with_attention(model, "gqa").attention)


def _moe(_: AblationRequest, job: Job) -> Job:
    workload = job.case.workload
    model, plan, batch = workload.model, workload.parallelism, workload.batch
    if model.moe is None:
        raise NetsimError(f"{model.name} has no experts")
    tensor = job.case.hardware.gpus_per_host
    if tensor % plan.tensor:
        raise NetsimError(
            f"parallelism.tensor = {plan.tensor}, must divide the {tensor} GPUs of a host, for a dense model"
        )
    changed = job.with_workload(
        model=dense_of_equal_size(model),
        parallelism=plan.model_copy(update={"expert": 1, "tensor": tensor}),
        communication=workload.communication.model_copy(update={"sms": 0}),
        batch=batch.model_copy(
            update={"microbatch_sequences": batch.microbatch_sequences * (tensor // plan.tensor)}
        ),
    )
    return changed.with_serving("decode", expert=1, redundant=0, tensor=tensor, shared_as_expert=False)


def dense_of_equal_size(model: ModelSpec) -> ModelSpec:
    """The same layers with a dense FFN in each, as wide as makes the model as large (to a tile of 128).

    >>> from netsim.specs import WorkloadSpec, load
    >>> v3 = load(WorkloadSpec, "workload", "deepseek-v3").model
    >>> round(total_parameters(dense_of_equal_size(v3)) / total_parameters(v3), 2)
    1.0
    """

    def dense(width: int) -> ModelSpec:
        return model.model_copy(update={"moe": None, "dense_layers": model.layers, "dense_width": width})

    per_tile = total_parameters(dense(2 * _TILE)) - total_parameters(dense(_TILE))
    rest = total_parameters(model) - total_parameters(dense(0))
    # whole tiles on each rank of a host
    return dense(round(rest / per_tile / 8) * 8 * _TILE)


def _fp8(_: AblationRequest, job: Job) -> Job:
    workload = job.case.workload
    fp8 = {"fp8"} & {
        workload.compute.products, workload.storage.weights, workload.storage.stash, workload.communication.dispatch,
    }  # fmt: skip
    if not fp8:
        raise NetsimError(f"{workload.name} uses no FP8")
    bits = max(16, workload.storage.attention_bits)
    return job.with_workload(
        compute=workload.compute.model_copy(update={"products": "bf16"}),
        storage=workload.storage.model_copy(
            update={"weights": "bf16", "stash": "bf16", "attention_bits": bits}
        ),
        communication=workload.communication.model_copy(update={"dispatch": "bf16"}),
    )


def _mtp(_: AblationRequest, job: Job) -> Job:
    if not job.case.workload.model.mtp_depth:
        raise NetsimError(f"{job.case.workload.model.name} has no MTP module")
    return job.with_model(mtp_depth=0).with_serving("speculative", draft_tokens=0)


def _node_limit(_: AblationRequest, job: Job) -> Job:
    moe = job.case.workload.model.moe
    if moe is None:
        raise NetsimError(f"{job.case.workload.model.name} has no experts")
    if moe.group_limit == moe.groups:
        raise NetsimError(f"{job.case.workload.model.name} lets a token reach all its groups of experts")
    return job.with_model(moe=moe.model_copy(update={"group_limit": moe.groups}))


def _overlap(_: AblationRequest, job: Job) -> Job:
    workload = job.case.workload
    if workload.schedule.name not in _PAIRED:
        raise NetsimError(f"schedule {workload.schedule.name} overlaps no pairs of chunks")
    return job.with_workload(schedule=workload.schedule.model_copy(update={"name": "1f1b"})).with_serving(
        "decode", overlap="none"
    )


def _mpft(question: AblationRequest, job: Job) -> Job:
    topology = job.case.topology
    if topology.planes == 1:
        raise NetsimError(f"fabric {topology.name} has one plane already")
    return replace(job, case=replace(job.case, topology=question.on("ft3").topology))


#: in the order of the source: memory, compute, speed of decoding, network
CHOICES = {
    "mla": Choice(
        "MLA",
        "GQA, 8 groups",
        "Grouped queries with 8 groups of keys and values, heads as many and as wide as values are, as in Llama 3 and "
        "Qwen2.5 (table 1).",
        _mla,
    ),
    "moe": Choice(
        "MoE",
        "dense, as large",
        "A dense model of equal total parameters: every FFN as wide as makes the total equal, because table 2 compares "
        "by total size. It has no expert parallelism: tensor parallelism over a host takes its place, no SMs are "
        "reserved for its kernels, and a micro-batch has as many more sequences, so tokens a step, tokens a rank "
        "and micro-batches stay. Decoding: tensor parallelism over a host.",
        _moe,
    ),
    "fp8": Choice(
        "FP8",
        "BF16",
        "BF16 in products, weights, kept activations (the attention output too) and dispatch. Gradients, optimizer and "
        "combine were never FP8 and stay.",
        _fp8,
    ),
    "mtp": Choice("MTP", "no MTP, no drafts", "No MTP module, and so no drafted tokens in decoding.", _mtp),
    "node_limit": Choice(
        "node limit",
        "any host",
        "A token may reach every group of experts, and so every host. Low-latency decode kernels send a copy for each "
        "expert and never had the limit.",
        _node_limit,
    ),
    "overlap": Choice(
        "overlap",
        "1F1B; one micro-batch",
        "1F1B: no pair of chunks overlaps, so compute and communication take turns; a single copy of the parameters "
        "and another bubble come with it. SMs reserved for communication stay so, because its kernels were not "
        "measured with fewer. Decoding: one micro-batch.",
        _overlap,
    ),
    "mpft": Choice(
        "multi-plane",
        "three-layer tree",
        "The three-layer fat-tree of table 3, one plane, same switches.",
        _mpft,
    ),
}
