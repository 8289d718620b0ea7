"""The spec of a job: model, parallelism, schedule, batch, precision and communication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from netsim.specs.adapter import AdapterSpec
from netsim.specs.base import Preset, Strict
from netsim.specs.communication import CommunicationSpec, Precision, TokenPrecision
from netsim.specs.formats import Products
from netsim.specs.framework import DEFAULT, AttentionKernel, HostSpec, Kernels, OverlapSpec, with_framework
from netsim.specs.model import AttentionSpec, Count, HeadAttentionSpec, MlaSpec, ModelSpec, MoeSpec
from netsim.units import Bytes, Hertz

__all__ = [
    "AttentionSpec",
    "BatchSpec",
    "CommunicationSpec",
    "ComputeSpec",
    "CorePrecision",
    "HeadAttentionSpec",
    "MlaSpec",
    "ModelSpec",
    "MoeSpec",
    "OverlapSpec",
    "ParallelismSpec",
    "PlacementSpec",
    "Precision",
    "Products",
    "Recomputed",
    "ScheduleSpec",
    "StorageSpec",
    "TokenPrecision",
    "WorkloadSpec",
]

#: norms, up-projections of MLA, activations of FFNs; attention core, every second product, shared experts, the FFN of
#: dense or MoE layers, whole layers
Recomputed = Literal["norm", "mla_up", "act", "core", "half", "shared_experts", "mlp", "moe", "layer"]
#: Megatron-LM's words for the same: its modules, and its granularities
_RECOMPUTED_AS = {
    "layernorm": "norm", "mla_up_proj": "mla_up", "moe_act": "act", "core_attn": "core", "selective": "core",
    "full": "layer",
}  # fmt: skip
#: of the two products of the attention core
CorePrecision = Literal["bf16", "fp8", "mxfp8"]


class ParallelismSpec(Strict):
    """Pipeline, expert, tensor and context parallelism; data parallelism is what the GPU count leaves.

    `tensor` with sequence parallelism, inside a host; `context` ranks share a sequence. `zero` is the ZeRO stage: 0
    replicates everything over data-parallel ranks, 1 divides the optimizer, 2 gradients too, 3 parameters too.
    """

    pipeline: Count
    """Pipeline ranks."""
    expert: Count
    """Ranks that share the experts of a layer; they are also data parallel."""
    tensor: Count = 1
    """Ranks that divide every layer, inside a host."""
    context: Count = 1
    """Ranks that share a sequence."""
    zero: Literal[0, 1, 2, 3] = 1
    """ZeRO stage: 0 replicates all, 1 divides the optimizer, 2 gradients too, 3 parameters too."""
    stage_layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Layers of each pipeline stage, first to last; left out: spread evenly, the output head counting as one."""

    layout: Annotated[str, Field(max_length=10_000)] | None = None
    """Layers of each stage as Megatron-LM writes them, such as Et*3|(t*4|)*14mL, in place of stage_layers."""

    @field_validator("stage_layers", mode="before")
    @classmethod
    def _stages(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class ScheduleSpec(Strict):
    """Pipeline schedule."""

    name: str
    """Pipeline schedule: 1f1b, interleaved, zb1p, dualpipe or dualpipe_v."""
    virtual_stages: Annotated[int, Field(ge=2, le=64)] | None = None
    """Stages of a pipeline rank under interleaved; left out: 2. No other schedule has a choice."""


class BatchSpec(Strict):
    """`microbatches` a pipeline (kept by weak scaling); `sequences` a step (kept by strong scaling)."""

    sequences: Annotated[int, Field(ge=1, le=1 << 30)]
    """Sequences of a step under strong scaling."""
    sequence_length: Annotated[int, Field(ge=1, le=1 << 24)]
    """Tokens of a sequence."""
    microbatches: Annotated[int, Field(ge=1, le=1 << 14)]
    """Micro-batches of a pipeline under weak scaling."""
    microbatch_sequences: Annotated[int, Field(ge=1, le=1 << 16)]
    """Sequences of a micro-batch."""


class ComputeSpec(Strict):
    """In which precision the matrix products of layers run; embedding, gate and MTP projection stay in BF16.

    bf16; fp8 (128-blocks of scales, as DeepSeek's own kernels); fp8_tensor (a scale a tensor: delayed or current
    scaling of TransformerEngine); mxfp8 (a scale for 32 values); nvfp4 (4 bits, a scale for 16 values).
    """

    products: Products = "fp8"
    """Precision of the matrix products of layers: bf16, fp8 (128-blocks), fp8_tensor, mxfp8 or nvfp4."""
    head: Products = "bf16"
    """Precision of the products of the output head."""
    attention: CorePrecision = "bf16"
    """Precision of the attention core: bf16, fp8 or mxfp8."""
    kernels: Kernels = "deepseek"
    """Whose kernels run around products: deepseek (DeepSeek's trace), torch (plain PyTorch with torch.compile),
    torchtitan (its Llama, compiled), or torchtitan_eager (not compiled)."""
    attention_kernel: AttentionKernel = "fused"
    """Kernel of attention by heads in BF16: fused (the one that the profile measured), or flash2 (FlashAttention-2)."""
    clock: Hertz | None = None
    """SM clock that the GPUs hold while they train; default: the one that each kernel class was measured at."""
    sustained: bool | None = None
    """Whether compute takes as much longer as the profile says it does at the power limit; default: if it says so."""

    @model_validator(mode="after")
    def _one_speed(self) -> ComputeSpec:
        if self.clock is not None and self.sustained is not None:
            raise ValueError("sustained: has no effect beside clock, which says how fast the GPUs are")
        return self


class StorageSpec(Strict):
    """What stays in GPU memory, in which precision, and what the backward computes again instead.

    `weights` of the layers (embedding and head stay BF16), `master` copy and Adam `moments` of the
    optimizer's share, `stash` of activations that are kept for the backward; `attention_bits` an element of the
    attention output in the stash; `buffers` of communication and work space.
    """

    weights: Precision
    """Precision of the working weights of layers."""
    master: Precision
    """Precision of the master copy in the optimizer."""
    moments: Precision
    """Precision of the two Adam moments."""
    stash: Precision
    """Precision of the activations kept for the backward."""
    attention_bits: Annotated[int, Field(ge=8, le=32)]
    """Bits of an element of the attention output in the stash."""
    recompute: tuple[Recomputed, ...]
    """What the backward computes again instead of keeping it: norm, mla_up (up-projections), act (activations), core
    (of attention), half (every second product), shared_experts, mlp (FFN of dense layers), moe (FFN of MoE layers),
    layer (whole layers, alone). Megatron-LM's words are taken too: full is layer, selective is core."""
    recompute_layers: Count | None = None
    """Layers of each stage, from its first, that layer, moe and mlp in recompute are about; left out: all."""
    buffers: Bytes
    """Allowance for communication buffers and work space; what a step needs at once, where that is more."""

    @field_validator("recompute", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        named = (_RECOMPUTED_AS.get(word, word) if isinstance(word, str) else word for word in value)
        return tuple(dict.fromkeys(named))

    @model_validator(mode="after")
    def _layer_alone(self) -> StorageSpec:
        if "layer" in self.recompute and len(self.recompute) > 1:
            other = next(word for word in self.recompute if word != "layer")
            raise ValueError(
                f"recompute: {other!r} has no effect beside 'layer', which computes all of it again"
            )
        if self.recompute_layers and not {"layer", "moe", "mlp"} & set(self.recompute):
            rule = "has no effect without 'layer', 'moe' or 'mlp' in recompute"
            raise ValueError(f"recompute_layers = {self.recompute_layers}: {rule}")
        return self


class VariationSpec(Strict):
    """How ranks differ within a step; nothing here: all are equally fast and equally loaded.

    `compute_sigma` : log-normal spread of the time that a GPU takes for the same work (median 1); `slow` : GPU number
    to the factor on its compute time; `expert_load` : rows that an expert receives relative to the others, `uniform`
    (sampled, so ranks still differ), `zipf:S`, `lognormal:SIGMA` or a file with a number an expert; `redrawn` : the
    load is another one for each layer, or for each layer and micro-batch.
    """

    compute_sigma: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Log-normal spread of compute times between GPUs (median 1)."""
    slow: Mapping[str, Annotated[float, Field(ge=1.0, le=1000.0)]] = Field(default_factory=dict)
    """Factor on the compute time of single GPUs, by number."""
    expert_load: str | None = None
    """Rows of an expert relative to others: uniform, zipf:S, lognormal:SIGMA or a file."""
    redrawn: Literal["layer", "microbatch"] = "layer"
    """How often the load is drawn again: layer, or microbatch."""

    @model_validator(mode="after")
    def _has_effect(self) -> VariationSpec:
        for gpu in self.slow:
            if not (gpu.isascii() and gpu.isdecimal() and gpu == str(int(gpu[:20]))):
                raise ValueError(f"slow: {gpu!r} must be the number of a GPU, without leading zeros")
        if self.redrawn == "microbatch" and (self.expert_load or "").partition(":")[0] not in (
            "zipf",
            "lognormal",
        ):
            raise ValueError("redrawn = 'microbatch' needs expert_load = zipf:S or lognormal:SIGMA")
        return self


class PlacementSpec(Strict):
    """Where ranks go: a policy of `netsim.training.placement`, and for `file` a CSV of rank,host,gpu."""

    policy: Literal["contiguous", "spread", "random", "file"] = "contiguous"
    """Where ranks go."""
    file: str | None = None
    """CSV of rank, host and GPU, for policy file."""

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
    """Host preset or TOML that the job runs on."""
    profile: str
    """Compute profile, preset or TOML."""
    framework: str = DEFAULT
    """Framework that runs the job, preset or TOML: defaults for `overlap`."""
    model: ModelSpec
    """The model."""
    parallelism: ParallelismSpec
    """How ranks divide the work."""
    schedule: ScheduleSpec
    """The pipeline schedule."""
    batch: BatchSpec
    """Size of a step."""
    compute: ComputeSpec = ComputeSpec()
    """Precision of compute."""
    communication: CommunicationSpec
    """Precision of what travels."""
    adapter: AdapterSpec | None = None
    """Low-rank adapters, the only weights that are trained; left out: all weights are."""
    storage: StorageSpec
    """What stays in memory."""
    overlap: OverlapSpec = OverlapSpec()
    """Which exchanges run beside compute."""
    host: HostSpec = HostSpec()
    """Host time of the kernels of a block."""
    placement: PlacementSpec = PlacementSpec()
    """Where ranks go."""
    variation: VariationSpec = VariationSpec()
    """How ranks differ."""

    @model_validator(mode="after")
    def _adapters_apply(self) -> WorkloadSpec:
        if self.adapter is None:
            return self
        zero = self.parallelism.zero
        if zero > 1:
            raise ValueError(f"adapter: parallelism.zero = {zero} divides frozen weights too: must be 0 or 1")
        if "attention" in self.adapter.targets and self.model.attention.kind == "mla":
            raise ValueError("adapter.targets: 'attention' must be attention by heads, not mla")
        return self

    @model_validator(mode="before")
    @classmethod
    def _framework(cls, value: object) -> object:
        return with_framework(value) if isinstance(value, dict) else value
