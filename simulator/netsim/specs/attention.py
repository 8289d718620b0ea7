"""The specs of attention by kind: the widths that say what it weighs, caches and computes.

A layer of the model has `attention` or `alternate` (`netsim.specs.model`), each of one of the kinds of `KINDS`. A kind
is one module, with `SPEC` (its table, here or in the module) and the functions of `workloads.attention_kind`; it is
named and not imported, since what it computes belongs to a higher floor, and loaded when a model has it. A new kind is
such a module and one entry.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

from netsim.specs.base import Strict

#: kind -> its module, or the name of it
KINDS: dict[str, str | ModuleType] = {
    "mla": "netsim.workloads.mla",
    "gqa": "netsim.workloads.heads",
    "mqa": "netsim.workloads.heads",
    "mha": "netsim.workloads.heads",
    "recurrent": "netsim.workloads.recurrent",
}

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
    index_heads: Annotated[int, Field(ge=0)] = 0
    """Heads of the indexer that picks keys for every query (DeepSeek-V3.2); 0: none."""
    index_dim: Annotated[int, Field(ge=0)] = 0
    """Width of a head of the indexer."""
    index_keys: Annotated[int, Field(ge=0)] = 0
    """Keys that the indexer leaves to a query."""

    @model_validator(mode="after")
    def _index_whole(self) -> MlaSpec:
        given = {"index_heads": self.index_heads, "index_dim": self.index_dim, "index_keys": self.index_keys}
        if 0 in given.values() and any(given.values()):
            missing = next(name for name, value in given.items() if not value)
            raise ValueError(f"{missing} is missing: an indexer has heads, a width and keys that it leaves")
        return self

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
    out_bias: bool = False
    """Whether the output projection has a bias."""
    qk_norm: Literal["none", "head", "width"] = "none"
    """RMSNorm of queries and keys: none, one for each head with shared weights (head), one over all heads (width)."""
    output_gate: bool = False
    """Whether the query projection also makes a gate as wide as the outputs (Qwen3-Next)."""
    sinks: bool = False
    """Whether the softmax of each head has a learned sink (gpt-oss)."""
    window: Count | None = None
    """Keys that a query meets at most, its own among them; left out: all before it."""
    chunk: Count | None = None
    """Tokens of the pieces of a sequence that attention does not cross (Llama 4); left out: the whole sequence."""

    @model_validator(mode="after")
    def _heads_divide(self) -> HeadAttentionSpec:
        given, wanted = self.kv_heads, {"mqa": 1, "mha": self.heads}.get(self.kind)
        if self.kind == "gqa" and given is None:
            raise ValueError("kv_heads is missing: gqa shares keys and values among groups of heads")
        if wanted is not None and given not in (None, wanted):
            raise ValueError(f"kv_heads = {given}, must be {wanted} or left out with kind = {self.kind!r}")
        if self.window and self.chunk:
            raise ValueError(f"window = {self.window}: has no effect beside chunk = {self.chunk}")
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


class RecurrentSpec(Strict):
    """A layer that carries a state in place of keys and values (Mamba, gated delta rule): counted, not timed."""

    kind: Literal["recurrent"]
    """Kind of attention."""
    rule: str
    """What updates the state, for people."""
    heads: Count
    """Heads, each with a state of its own."""
    products: Count
    """Weights of its products."""
    others: Annotated[int, Field(ge=0)]
    """Weights of convolutions, decays, biases and norms."""
    state: Count
    """Values of the state of a request."""

    @property
    def qk_dim(self) -> int:
        """Width of a head's part of the state."""
        return self.state // self.heads

    @property
    def v_dim(self) -> int:
        """The same."""
        return self.qk_dim


def kind_module(kind: str) -> ModuleType:
    """The module of a kind of attention."""
    module = KINDS[kind]
    return import_module(module) if isinstance(module, str) else module


class _ByKind:
    """A table that is read by the spec of its `kind`, looked up when it is read."""

    def tables(self) -> list[type[BaseModel]]:
        """The specs of all kinds, each once."""
        return list(dict.fromkeys(kind_module(kind).SPEC for kind in KINDS))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(_written, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> Any:
        return handler(core_schema.union_schema([table.__pydantic_core_schema__ for table in self.tables()]))

    def _read(self, value: Any) -> Any:
        if isinstance(value, tuple(self.tables())):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("table", "must be a table with the kind of attention")
        kind, known = value.get("kind"), ", ".join(map(repr, KINDS))
        if kind is None:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
        if not isinstance(kind, str) or kind not in KINDS:
            raise PydanticKnownError(
                "union_tag_invalid", {"discriminator": "'kind'", "tag": str(kind), "expected_tags": known}
            )
        try:
            return kind_module(kind).SPEC.model_validate(value)
        except ValidationError as error:
            # the kind is part of the place, as pydantic's own unions have it
            raise ValidationError.from_exception_data(
                error.title, [_placed(kind, e) for e in error.errors()]
            ) from None


def _placed(kind: str, error: Any) -> InitErrorDetails:
    found = InitErrorDetails(type=error["type"], loc=(kind, *error["loc"]), input=error["input"])
    if "ctx" in error:
        found["ctx"] = error["ctx"]
    return found


def _written(value: Any, info: Any) -> Any:
    return value.model_dump(mode=info.mode, exclude_none=info.exclude_none)


if TYPE_CHECKING:
    AttentionSpec = MlaSpec | HeadAttentionSpec | RecurrentSpec
else:
    AttentionSpec = Annotated[Any, _ByKind()]
