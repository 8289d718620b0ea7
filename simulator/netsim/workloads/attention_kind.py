"""What a kind of attention is to the rest: one module with these functions, named in `specs.attention.KINDS`.

SPEC                its table, with `kind`, `heads`, `qk_dim` and `v_dim`
matrices, vectors   weights of products, and of norms, biases and sinks, on one of `tensor` ranks
heads               what the core works on
flops               of the core, and of what picks its keys
block               operators of attn(F), attn(B) or attn(W), without the gate of experts
input_width         values a token that tensor parallelism gathers in front of it
kept                bytes a token kept for the backward, but for the layer's input
cache_values        values cached a token by one of `tensor` ranks, of which the core reads `core_values`
kept_tokens, met_tokens   of a context: those that stay cached, those that a new token meets
core_widths         of a cached key and value, as decode's core reads them
decode_projections  operators of a decode step: projections, what comes before the core, what comes behind it
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from netsim.specs.attention import AttentionSpec, kind_module
from netsim.specs.workload import StorageSpec
from netsim.workloads.kernels import Load, Operator

Operators = tuple[Operator, ...]


class AttentionKind(Protocol):
    """The functions of a kind's module; `a` is an instance of its SPEC."""

    def matrices(self, a: Any, hidden: int, tensor: int = 1) -> int: ...
    def vectors(self, a: Any, hidden: int, tensor: int = 1) -> int: ...
    def heads(self, a: Any) -> Any: ...
    def flops(self, a: Any, tokens: int, length: int, causal: bool = True) -> float: ...
    def block(self, a: Any, hidden: int, load: Load, phase: str, moe: bool) -> Operators: ...
    def input_width(self, a: Any, hidden: int) -> int: ...
    def kept(self, a: Any, storage: StorageSpec) -> float: ...
    def cache_values(self, a: Any, tensor: int = 1) -> int: ...
    def core_values(self, a: Any, tensor: int = 1) -> int: ...
    def kept_tokens(self, a: Any, context: float) -> float: ...
    def met_tokens(self, a: Any, context: float) -> float: ...
    def core_widths(self, a: Any) -> tuple[int, int]: ...
    def decode_projections(
        self, a: Any, hidden: int, t: int, tensor: int
    ) -> tuple[Operators, Operators, Operators]: ...


def kind_of(a: AttentionSpec) -> AttentionKind:
    """The functions of an attention's kind."""
    return cast(AttentionKind, kind_module(a.kind))
