"""The spec of a framework: how it runs a plan, where two frameworks differ on the same one.

A job names a framework; what the job itself says stands above what the framework says, key by key. So every key below
is one of the job too (`overlap.gradient`), and a run's `spec.toml` holds the values in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from netsim.specs.base import Preset, Strict, load
from netsim.units import Seconds

#: the framework of a job that names none
DEFAULT = "deepseek"


#: kernels around products: DeepSeek's, those of plain PyTorch with torch.compile, and torchtitan's with and without
Kernels = Literal["deepseek", "torch", "torchtitan", "torchtitan_eager"]
#: of attention in BF16: the one that a profile measured, or FlashAttention-2, which has no wgmma instructions
AttentionKernel = Literal["fused", "flash2"]


class FrameworkCompute(Strict):
    """Which kernels a framework launches: keys of `compute` of a job."""

    kernels: Kernels = "deepseek"
    """Whose kernels run around products."""
    attention_kernel: AttentionKernel = "fused"
    """Kernel of attention by heads in BF16."""


TensorApart = Literal["qkv", "dgrad"]


HostTimes = Annotated[
    tuple[Seconds, Seconds], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]


class OverlapSpec(Strict):
    """Which exchanges run beside compute, apart from those of experts under DualPipe, which is made for that.

    The defaults are those of DeepSeek's own framework.
    """

    streams: Literal["one", "each"] = "one"
    """Whether all exchanges and sends of a rank share a stream, or each kind has its own."""
    expert: bool = False
    """Whether a forward runs beside the backward of another micro-batch under interleaved (or 1f1b without a pipeline),
    which hides exchanges of experts; DualPipe always does."""
    weight_delayed: Literal["always", "tensor", "never"] = "always"
    """When gradients travel on before the weight gradients of their block are done: always, behind the experts of a
    layer only when they are, or never."""
    tensor: bool = False
    """Whether tensor exchanges of layers run chunk by chunk beside the products that need or make them."""
    tensor_apart: tuple[TensorApart, ...] = ()
    """Tensor exchanges that stay in line all the same: qkv (the input of attention, and its gradient), dgrad (gradients
    of the inputs of attention and FFN)."""
    tensor_chunks: Annotated[int, Field(ge=2, le=64)] = 4
    """Chunks in which a product's output is scattered beside it; its input comes in one chunk a rank."""
    context: bool = False
    """Whether keys and values are passed on beside attention, as in ring attention; else gathered before it."""
    sms: Literal["always", "resident"] = "always"
    """When communication takes SMs from matrix products: always (persistent kernels leave them free), or only while a
    kernel of an exchange is resident."""
    tensor_sms: Annotated[int, Field(ge=0, le=256)] = 0
    """SMs of the kernels of tensor exchanges, while resident."""
    nccl_sms: Annotated[int, Field(ge=0, le=256)] = 0
    """SMs of the kernels of all other exchanges but those of experts (`communication.sms`), while resident."""
    gradient: bool = False
    """Whether gradients are reduced a layer at a time beside the last backward; else behind a stage's last backward."""
    parameter: bool = False
    """Whether updated parameters are gathered a layer at a time before the next forward; else behind the update."""
    pipeline: Literal["always", "interleaved", "never"] = "always"
    """When compute goes on while a pipeline send is on its way: interleaved means with virtual stages only."""
    prefetch: Annotated[int, Field(ge=0, le=64)] = 1
    """Layers ahead of compute that ZeRO stage 3 gathers parameters."""

    @field_validator("tensor_apart", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class HostSpec(Strict):
    """Host time: what it takes to launch the kernels of a block, forward and backward; zero where none is said.

    The host runs ahead of the GPU until it has to wait: for the gate of a MoE layer, whose counts it reads.
    """

    attention: HostTimes = (0.0, 0.0)
    """Of attention, forward and backward."""
    dense: HostTimes = (0.0, 0.0)
    """Of a dense FFN."""
    experts: HostTimes = (0.0, 0.0)
    """Of the experts of a MoE layer, with gate, permutation, dispatch and combine."""
    graph: Literal["none", "layer", "full"] = "none"
    """Launched as CUDA graphs, which take no host time worth counting: none, layer, or full iterations."""
    waits_for_gate: bool = True
    """Whether the host waits for the gate before it launches the experts."""

    @property
    def counts(self) -> bool:
        """Whether anything takes host time."""
        return self.graph == "none" and any(map(any, (self.attention, self.dense, self.experts)))


class FrameworkSpec(Preset):
    """A framework preset: defaults for the tables of a job of the same names."""

    overlap: OverlapSpec = OverlapSpec()
    """Which exchanges run beside compute."""
    compute: FrameworkCompute = FrameworkCompute()
    """Which kernels run."""
    host: HostSpec = HostSpec()
    """What launching them takes the host."""


def with_framework(job: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a job with what its framework says below them.

    >>> with_framework({"framework": "fsdp2", "overlap": {"prefetch": 2}})["overlap"]["prefetch"]
    2

    Raises NetsimError where there is no such framework.
    """
    name = job.get("framework", DEFAULT)
    if not isinstance(name, str) or name == DEFAULT:
        return dict(job)
    found = load(FrameworkSpec, "framework", name)
    merged = dict(job)
    for table in ("overlap", "compute", "host"):
        own = job.get(table, {})
        if isinstance(own, Mapping):
            given = getattr(found, table).model_dump(mode="json", exclude_unset=True)
            merged[table] = {**given, **own}
    return merged
