"""The spec of a deployment: how prefill and decode divide a cluster, what a step holds, and who asks.

A deployment is made for a model of a workload preset, whose precisions of dispatch, combine and weights hold. Prefill
and decode run on separate units (one expert-parallel group each).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netsim.specs.base import Preset, Strict
from netsim.specs.hardware import Count, Fraction
from netsim.specs.workload import Precision
from netsim.units import Bytes, Seconds

#: how two micro-batches take turns; `none` is one micro-batch and nothing hidden
Overlap = Literal["none", "three_stage", "five_stage"]
#: DeepEP kernels (see `netsim.collectives.experts`); `all_remote`: every copy crosses a NIC, as in the paper's bound
Kernel = Literal["normal", "low_latency", "low_latency_rdma", "all_remote"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[int, Field(ge=0)]


#: tokens of a sequence, as `batch.sequence_length` bounds them in training
Tokens = Annotated[int, Field(ge=1, le=1 << 24)]


class PrefillSpec(Strict):
    """One prefill unit: `tokens` computed a GPU and iteration, prompts of `prompt` tokens of which `cached_share` have
    their keys and values already; `redundant` copies of experts; attention and dense FFN over `tensor` GPUs of a host.
    `profile` of its kernels; the workload's if none."""

    profile: str | None = None
    expert: Count
    redundant: Annotated[int, Field(ge=0, le=65536)] = 0
    tokens: Count
    prompt: Tokens
    cached_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    kernel: Kernel = "normal"
    overlap: Overlap = "three_stage"
    tensor: Count = 1


class DecodeSpec(Strict):
    """One decode unit: `batch` requests a GPU with `context` tokens cached each; attention and dense FFN over
    `tensor` GPUs of a host; `shared_as_expert`: the shared expert is one more routed one, with copies among the
    redundant experts."""

    profile: str | None = None
    expert: Count
    redundant: Annotated[int, Field(ge=0, le=65536)] = 0
    batch: Count
    context: Tokens
    kernel: Kernel = "low_latency"
    overlap: Overlap = "five_stage"
    tensor: Count = 1
    shared_as_expert: bool = False


class SpeculativeSpec(Strict):
    """Tokens drafted a step by the MTP module (0: none), each accepted, after those before it, with `acceptance`."""

    draft_tokens: Annotated[int, Field(ge=0, le=8)]
    acceptance: Share


class AttentionKernelSpec(Strict):
    """The decode attention kernel: part of the BF16 peak and of the HBM rate of `device` that it reaches."""

    device: str
    efficiency: Fraction
    hbm_efficiency: Fraction
    call: Seconds


class CacheSpec(Strict):
    """Precision of keys and values, and bytes that neither weights nor cache may use."""

    kv_cache: Precision
    reserve: Bytes


class SpreadSpec(Strict):
    """Tokens: their mean, and the coefficient of variation of a log-normal distribution (0: all alike)."""

    mean: Annotated[float, Field(ge=1.0)]
    variation: Annotated[float, Field(ge=0.0, le=10.0)]


class RequestsSpec(Strict):
    """Requests of one simulation: how many, and the lengths of prompts and answers."""

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    prompt: SpreadSpec
    output: SpreadSpec


class InferenceSpec(Preset):
    """A deployment preset."""

    library: str
    prefill: PrefillSpec
    decode: DecodeSpec
    speculative: SpeculativeSpec
    attention: AttentionKernelSpec
    memory: CacheSpec
    requests: RequestsSpec
