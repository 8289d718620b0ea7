"""The spec of a model: a decoder with one kind of attention and a dense or mixture-of-experts FFN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from netsim.errors import SpecError
from netsim.specs.base import Strict

Count = Annotated[int, Field(ge=1)]


class MlaSpec(Strict):
    """Multi-head latent attention; without `q_rank` queries come from the hidden state directly.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
    """

    kind: Literal["mla"]
    """Kind of attention."""
    heads: Count
    """Heads."""
    q_rank: Count | None = None
    """Rank of the compressed queries; left out: queries come from the hidden state."""
    kv_rank: Count
    """Rank of the compressed keys and values."""
    nope_dim: Count
    """Width of a query and key of a head, without position."""
    rope_dim: Count
    """Width that carries the position, shared by all heads of keys."""
    v_dim: Count
    """Width of a value of a head."""

    @property
    def qk_dim(self) -> int:
        """Width of a query or key of a head."""
        return self.nope_dim + self.rope_dim


class HeadAttentionSpec(Strict):
    """Attention that keeps keys and values by head: as many as queries (mha), one for all (mqa), or `kv_heads` (gqa).

    Source: Vaswani et al. 2017, arXiv 1706.03762 (mha); Shazeer 2019, arXiv 1911.02150 (mqa); Ainslie et al. 2023,
    arXiv 2305.13245 (gqa).
    """

    kind: Literal["gqa", "mqa", "mha"]
    """Kind of attention."""
    heads: Count
    """Heads of queries."""
    kv_heads: Count | None = None
    """Heads of keys and values."""
    head_dim: Count
    """Width of a head."""
    qkv_bias: bool = False
    """Whether queries, keys and values have a bias."""

    @model_validator(mode="after")
    def _heads_divide(self) -> HeadAttentionSpec:
        given, wanted = self.kv_heads, {"mqa": 1, "mha": self.heads}.get(self.kind)
        if self.kind == "gqa" and given is None:
            raise ValueError("kv_heads is missing: gqa shares keys and values among groups of heads")
        if wanted is not None and given not in (None, wanted):
            raise ValueError(f"kv_heads = {given}, must be {wanted} or left out with kind = {self.kind!r}")
        if self.heads % self.key_value_heads:
            raise ValueError(f"kv_heads = {given}, must divide heads = {self.heads}")
        return self

    @property
    def qk_dim(self) -> int:
        """Width of a query or key of a head."""
        return self.head_dim

    @property
    def v_dim(self) -> int:
        """Width of a value of a head."""
        return self.head_dim

    @property
    def key_value_heads(self) -> int:
        """Heads of keys and of values."""
        return self.kv_heads or {"mqa": 1}.get(self.kind, self.heads)


AttentionSpec = Annotated[MlaSpec | HeadAttentionSpec, Field(discriminator="kind")]


class MoeSpec(Strict):
    """Shared and routed experts; a token reaches at most `group_limit` of `groups` expert groups (hosts).

    `gate_bias`: whether each expert has a bias of its own that balances the load (DeepSeek-V3).
    """

    experts: Count
    """Routed experts of a layer."""
    shared: Annotated[int, Field(ge=0)] = 0
    """Experts that every token visits."""
    width: Count
    """Inner width of an expert."""
    top_k: Count
    """Routed experts of a token."""
    groups: Count = 1
    """Groups of experts for limited routing, one a host."""
    group_limit: Count = 1
    """Groups that a token reaches at most."""
    gate_bias: bool = False
    """Whether experts have a bias that balances the load."""

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
    """A decoder: `dense_layers` first, MoE after, `mtp_depth` multi-token-prediction modules behind the last.

    Without `moe` every layer is dense. `tied_embeddings`: the head is the embedding, transposed. `config` names a
    Hugging Face config.json that stands for all keys that are left out (`netsim.specs.huggingface` reads it).
    """

    name: str
    """The model, for people."""
    config: str | None = None
    """Hugging Face config.json that gives every key left out."""
    layers: Count
    """Transformer layers."""
    dense_layers: Annotated[int, Field(ge=0)]
    """Layers with a dense FFN, the first ones; left out: none beside experts, all without."""
    hidden: Count
    """Hidden width."""
    vocabulary: Count
    """Words of the vocabulary."""
    dense_width: Annotated[int, Field(ge=0)] = 0
    """Inner width of a dense FFN."""
    mtp_depth: Annotated[int, Field(ge=0, le=4)] = 0
    """Multi-token-prediction modules behind the last layer."""
    tied_embeddings: bool = False
    """Whether the output head is the embedding, transposed."""
    attention: AttentionSpec
    """Attention of every layer."""
    moe: MoeSpec | None = None
    """Experts; left out: every layer is dense."""

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
        if self.dense_layers and not self.dense_width:
            raise ValueError(f"dense_width is missing: {self.dense_layers} layers are dense")
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
        return self.layers - self.dense_layers
