"""The spec of a job: model, parallelism, schedule, batch, precision and communication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

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
    """Pipeline and expert parallelism; data parallelism is what the GPU count leaves. ZeRO stage of the optimizer."""

    pipeline: Count
    expert: Count
    zero: Literal[1] = 1


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
