"""The spec of a job: model, parallelism, schedule, batch, precision and communication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from netsim.specs.base import Preset, Strict
from netsim.specs.model import AttentionSpec, Count, HeadAttentionSpec, MlaSpec, ModelSpec, MoeSpec
from netsim.units import Bytes

__all__ = [
    "AttentionSpec",
    "BatchSpec",
    "CommunicationSpec",
    "ComputeSpec",
    "HeadAttentionSpec",
    "MlaSpec",
    "ModelSpec",
    "MoeSpec",
    "ParallelismSpec",
    "PlacementSpec",
    "Precision",
    "Products",
    "Recomputed",
    "ScheduleSpec",
    "StorageSpec",
    "WorkloadSpec",
]

Products = Literal["fp8", "bf16"]
Recomputed = Literal["norm", "mla_up"]
Precision = Literal["fp8", "bf16", "fp32"]


class ParallelismSpec(Strict):
    """Pipeline, expert, tensor and context parallelism; data parallelism is what the GPU count leaves.

    `tensor` with sequence parallelism, inside a host; `context` ranks share a sequence. `zero` is the ZeRO stage: 0
    replicates everything over data-parallel ranks, 1 divides the optimizer, 2 gradients too, 3 parameters too.
    """

    pipeline: Count
    expert: Count
    tensor: Count = 1
    context: Count = 1
    zero: Literal[0, 1, 2, 3] = 1


class ScheduleSpec(Strict):
    """Pipeline schedule."""

    name: str


class BatchSpec(Strict):
    """`microbatches` a pipeline (kept by weak scaling); `sequences` a step (kept by strong scaling)."""

    sequences: Count
    sequence_length: Count
    microbatches: Count
    microbatch_sequences: Count


class CommunicationSpec(Strict):
    """What travels, in which precision, and how many SMs move it."""

    sms: Annotated[int, Field(ge=0)]
    dispatch: Precision
    combine: Precision
    pipeline: Precision
    gradient: Precision
    parameter: Precision


class ComputeSpec(Strict):
    """In which precision the matrix products of layers run; embedding, head, gate and attention core stay in BF16."""

    products: Products = "fp8"


class StorageSpec(Strict):
    """What stays in GPU memory, in which precision, and what the backward computes again instead.

    `weights` of the layers (embedding and head stay BF16), `master` copy and Adam `moments` of the
    optimizer's share, `stash` of activations that are kept for the backward; `attention_bits` an element of the
    attention output in the stash; `buffers` of communication and work space.
    """

    weights: Precision
    master: Precision
    moments: Precision
    stash: Precision
    attention_bits: Annotated[int, Field(ge=8, le=32)]
    recompute: tuple[Recomputed, ...]
    buffers: Bytes

    @field_validator("recompute", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class VariationSpec(Strict):
    """How ranks differ within a step; nothing here: all are equally fast and equally loaded.

    `compute_sigma` : log-normal spread of the time that a GPU takes for the same work (median 1); `slow` : GPU number
    to the factor on its compute time; `expert_load` : rows that an expert receives relative to the others, `uniform`
    (sampled, so ranks still differ), `zipf:S`, `lognormal:SIGMA` or a file with a number an expert; `redrawn` : the
    load is another one for each layer, or for each layer and micro-batch.
    """

    compute_sigma: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    slow: Mapping[str, Annotated[float, Field(ge=1.0, le=1000.0)]] = Field(default_factory=dict)
    expert_load: str | None = None
    redrawn: Literal["layer", "microbatch"] = "layer"

    @model_validator(mode="after")
    def _has_effect(self) -> VariationSpec:
        for gpu in self.slow:
            if not gpu.isdecimal():
                raise ValueError(f"slow: {gpu!r} must be the number of a GPU")
        if self.redrawn == "microbatch" and (self.expert_load or "").partition(":")[0] not in (
            "zipf",
            "lognormal",
        ):
            raise ValueError("redrawn = 'microbatch' needs expert_load = zipf:S or lognormal:SIGMA")
        return self


class PlacementSpec(Strict):
    """Where ranks go: a policy of `netsim.placement`, and for `file` a CSV of rank,host,gpu."""

    policy: Literal["contiguous", "spread", "random", "file"] = "contiguous"
    file: str | None = None

    @model_validator(mode="after")
    def _file_with_its_policy(self) -> PlacementSpec:
        if (self.policy == "file") != (self.file is not None):
            raise ValueError(
                f"policy = {self.policy!r}, file = {self.file!r}: a file goes with policy 'file'"
            )
        return self


class WorkloadSpec(Preset):
    """A job preset."""

    hardware: str
    profile: str
    model: ModelSpec
    parallelism: ParallelismSpec
    schedule: ScheduleSpec
    batch: BatchSpec
    compute: ComputeSpec = ComputeSpec()
    communication: CommunicationSpec
    storage: StorageSpec
    placement: PlacementSpec = PlacementSpec()
    variation: VariationSpec = VariationSpec()
