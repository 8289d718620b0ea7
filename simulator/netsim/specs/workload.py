"""The spec of a job: model, parallelism, schedule, batch, precision and communication."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Bytes

Count = Annotated[int, Field(ge=1)]
Precision = Literal["fp8", "bf16", "fp32"]


class AttentionSpec(Strict):
    """Multi-head latent attention. Source: DeepSeek-V2, arXiv 2405.04434, section 2.1."""

    kind: Literal["mla"]
    heads: Count
    q_rank: Count
    kv_rank: Count
    nope_dim: Count
    rope_dim: Count
    v_dim: Count


class MoeSpec(Strict):
    """Shared and routed experts; a token reaches at most `group_limit` of `groups` expert groups (hosts)."""

    experts: Count
    shared: Annotated[int, Field(ge=0)]
    width: Count
    top_k: Count
    groups: Count
    group_limit: Count

    @model_validator(mode="after")
    def _fits(self) -> MoeSpec:
        if self.experts % self.groups:
            raise ValueError(f"groups = {self.groups}, must divide experts = {self.experts}")
        if self.group_limit > self.groups:
            raise ValueError(f"group_limit = {self.group_limit}, must not exceed groups = {self.groups}")
        if self.top_k > self.group_limit * (self.experts // self.groups):
            raise ValueError(f"top_k = {self.top_k}, must fit into {self.group_limit} groups of experts")
        return self


class ModelSpec(Strict):
    """A decoder: `dense_layers` first, MoE after, `mtp_depth` multi-token-prediction modules behind the last."""

    name: str
    layers: Count
    dense_layers: Annotated[int, Field(ge=0)]
    hidden: Count
    vocabulary: Count
    dense_width: Count
    mtp_depth: Annotated[int, Field(ge=0, le=4)]
    attention: AttentionSpec
    moe: MoeSpec

    @model_validator(mode="after")
    def _dense_first(self) -> ModelSpec:
        if self.dense_layers > self.layers:
            raise ValueError(f"dense_layers = {self.dense_layers}, must not exceed layers = {self.layers}")
        return self


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
    recompute: tuple[Literal["norm", "mla_up"], ...]
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
    communication: CommunicationSpec
    storage: StorageSpec
