"""The spec of a model: a decoder whose layers have attention and a dense or mixture-of-experts FFN.

Layers are alike but for two patterns: `attention` in some and `alternate` in the others (sliding windows beside full
attention), experts in some and a dense FFN in the others.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from netsim.errors import SpecError
from netsim.specs.attention import AttentionSpec, Count, HeadAttentionSpec, MlaSpec
from netsim.specs.base import Strict

__all__ = ["AttentionSpec", "Count", "HeadAttentionSpec", "MlaSpec", "ModelSpec", "MoeSpec"]

_Number = Annotated[int, Field(ge=0)]


class MoeSpec(Strict):
    """Shared and routed experts; a token reaches at most `group_limit` of `groups` expert groups (hosts)."""

    experts: Annotated[int, Field(ge=1, le=65536)]
    """Routed experts of a layer."""
    shared: _Number = 0
    """Experts that every token visits."""
    width: Count
    """Inner width of an expert."""
    shared_width: Count | None = None
    """Inner width of a shared expert; left out: that of a routed one."""
    top_k: Count
    """Routed experts of a token."""
    groups: Count = 1
    """Groups of experts for limited routing, one a host."""
    group_limit: Count = 1
    """Groups that a token reaches at most."""
    gate_bias: bool = False
    """Whether the gate has a bias for each expert, learned or balancing the load."""
    shared_gate: bool = False
    """Whether a gate of its own weighs the shared experts (Qwen2-MoE)."""

    @model_validator(mode="after")
    def _fits(self) -> MoeSpec:
        if self.experts % self.groups:
            raise ValueError(f"groups = {self.groups}, must divide experts = {self.experts}")
        if self.group_limit > self.groups:
            raise ValueError(f"group_limit = {self.group_limit}, must not exceed groups = {self.groups}")
        if self.top_k > self.group_limit * (self.experts // self.groups):
            raise ValueError(f"top_k = {self.top_k}, must fit into {self.group_limit} groups of experts")
        for name in ("shared_width", "shared_gate"):
            if getattr(self, name) and not self.shared:
                raise ValueError(f"{name} = {getattr(self, name)}: has no effect with shared = 0")
        return self

    @property
    def shared_inner(self) -> int:
        """Inner width of the shared experts together: they are one wide FFN."""
        return self.shared * (self.shared_width or self.width)


class ModelSpec(Strict):
    """A decoder: `dense_layers` first, MoE after, `mtp_depth` multi-token-prediction modules behind the last.

    Without `moe` every layer is dense. `tied_embeddings`: the head is the embedding, transposed. `config` names a
    Hugging Face config.json that stands for all keys that are left out (`netsim.specs.huggingface` reads it).
    """

    name: str
    """The model, for people."""
    config: str | None = None
    """Hugging Face config.json that gives every key left out."""
    layers: Annotated[int, Field(ge=1, le=4096)]
    """Transformer layers."""
    dense_layers: _Number
    """Layers with a dense FFN before the first with experts; left out: none beside experts, all without."""
    moe_every: Count = 1
    """Behind the first dense layers every layer of this number has experts; 1: all."""
    hidden: Count
    """Hidden width."""
    vocabulary: Count
    """Words of the vocabulary."""
    positions: _Number = 0
    """Rows of a learned embedding of positions; 0: positions are rotated into queries and keys."""
    dense_width: _Number = 0
    """Inner width of a dense FFN."""
    gated: bool = True
    """Whether an FFN has three matrices, one of them a gate (SwiGLU), or two."""
    ffn_bias: bool = False
    """Whether the matrices of FFNs and experts have biases."""
    layer_norms: Literal[1, 2, 4] = 2
    """Norms of a layer as wide as the residual stream: 1 where attention and FFN run side by side, 4 with norms behind
    both."""
    norm_bias: bool = False
    """Whether norms have a bias (LayerNorm)."""
    head_bias: bool = False
    """Whether the output head has a bias."""
    mtp_depth: Annotated[int, Field(ge=0, le=4)] = 0
    """Multi-token-prediction modules behind the last layer."""
    tied_embeddings: bool = False
    """Whether the output head is the embedding, transposed."""
    attention: AttentionSpec
    """Attention of every layer, or of those that `full_every` or `full_layers` name."""
    alternate: AttentionSpec | None = None
    """Attention of the other layers, such as sliding windows beside full attention."""
    full_every: Count | None = None
    """Every layer of this number has `attention`, those before it `alternate`."""
    full_layers: tuple[_Number, ...] | None = None
    """The layers with `attention`, counted from 0, where they are not every n-th."""
    moe: MoeSpec | None = None
    """Experts; left out: every layer is dense."""

    @field_validator("full_layers", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="before")
    @classmethod
    def _dense_without_experts(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dense_layers" not in data and "layers" in data:
            data = {**data, "dense_layers": 0 if data.get("moe") else data["layers"]}
        return data

    @model_validator(mode="after")
    def _dense_first(self) -> ModelSpec:
        if self.dense_layers > self.layers:
            raise ValueError(f"dense_layers = {self.dense_layers}, must not exceed layers = {self.layers}")
        if self.moe is None and self.dense_layers < self.layers:
            rule = f"must be layers = {self.layers} in a model without moe"
            raise ValueError(f"dense_layers = {self.dense_layers}, {rule}")
        if self.moe is None and self.moe_every > 1:
            raise ValueError(f"moe_every = {self.moe_every}: has no effect in a model without moe")
        if self.dense_count and not self.dense_width:
            raise ValueError(f"dense_width is missing: {self.dense_count} layers are dense")
        return self

    @model_validator(mode="after")
    def _one_pattern(self) -> ModelSpec:
        given = [name for name in ("full_every", "full_layers") if getattr(self, name) is not None]
        if self.alternate is None and given:
            raise ValueError(f"{given[0]} = {getattr(self, given[0])}: has no effect without alternate")
        if self.alternate is not None and len(given) != 1:
            raise ValueError("alternate: needs full_every or full_layers, one of them")
        if self.full_layers and max(self.full_layers) >= self.layers:
            raise ValueError(f"full_layers: {max(self.full_layers)}, must be below layers = {self.layers}")
        if self.full_every and not 1 < self.full_every <= self.layers:
            raise ValueError(f"full_every = {self.full_every}, must be 2 to layers = {self.layers}")
        return self

    @property
    def experts(self) -> MoeSpec:
        """The experts of a model that must have some.

        Raises SpecError for a dense model.
        """
        if self.moe is None:
            raise SpecError(self.name, "", None, "has no experts: model.moe is missing")
        return self.moe

    @property
    def moe_layers(self) -> int:
        """Layers with experts."""
        return (self.layers - self.dense_layers) // self.moe_every

    @property
    def dense_count(self) -> int:
        """Layers with a dense FFN, wherever they are."""
        return self.layers - self.moe_layers

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of every layer in forward order: `moe` or `dense`, `_alternate` behind it where attention is."""
        return tuple(self._ffn(n) + ("" if self._full(n) else "_alternate") for n in range(self.layers))

    def _ffn(self, layer: int) -> str:
        behind = layer - self.dense_layers
        return "moe" if behind >= 0 and (behind + 1) % self.moe_every == 0 else "dense"

    def _full(self, layer: int) -> bool:
        if self.full_layers is not None:
            return layer in self.full_layers
        return self.full_every is None or (layer + 1) % self.full_every == 0

    @property
    def kind_counts(self) -> dict[str, int]:
        """How many layers there are of each kind, kinds in the order in which they first appear."""
        kinds = self.kinds
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    @property
    def ffn_matrices(self) -> int:
        """Matrices of an FFN or expert, each as large as hidden x its width."""
        return 3 if self.gated else 2
