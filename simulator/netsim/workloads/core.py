"""The attention core: scores of queries against keys, softmax, and values added up by them.

Forward two products (query by key, probability by value), backward five (three of the width of a key, two of the width
of a value), over the pairs that the mask leaves. A query in a sequence of L tokens meets, in the mean,

    causal           L / 2 keys
    window of W      W - W^2 / 2L, where W < L
    pieces of C      C / 2, where C < L (and less in a last piece that is shorter)

HBM sees queries, keys, values and outputs once forward, twice backward. A windowed kernel has the shape of causal
sequences with as many pairs: short ones side by side. Left out: masks between documents of one sequence, the pairs
that the tiles of a mask's edge waste, and sinks, which add one term to a softmax.

Source: Dao 2023, arXiv 2307.08691.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.specs.workload import AttentionSpec
from netsim.workloads.attention_kind import kind_of
from netsim.workloads.kernels import BF16_BYTES, FP32_BYTES, Load, Operator, memory


class Heads(NamedTuple):
    """Heads of queries, heads of keys and values, their widths, and the mask beside the causal one."""

    queries: int
    keys: int
    qk: int
    v: int
    window: int | None = None
    chunk: int | None = None


def heads_of(attention: AttentionSpec) -> Heads:
    """What the core of a kind of attention works on."""
    found: Heads = kind_of(attention).heads(attention)
    return found


def divided(heads: Heads, tensor: int) -> Heads:
    """One of `tensor` ranks; fewer heads of keys and values than ranks are repeated."""
    return heads._replace(queries=heads.queries // tensor, keys=max(1, heads.keys // tensor))


def keys_met(heads: Heads, length: int) -> float:
    """Keys that a query meets in the mean under the causal mask, at full tiles.

    >>> full = Heads(1, 1, 64, 64)
    >>> [keys_met(full._replace(window=w), 4096) for w in (None, 128, 8192)]
    [2048.0, 126.0, 2048.0]
    >>> keys_met(full._replace(chunk=1024), 4096), keys_met(full._replace(chunk=3072), 4096)
    (512.0, 1280.0)
    """
    if heads.chunk and heads.chunk < length:
        whole, rest = divmod(length, heads.chunk)
        return (whole * heads.chunk**2 + rest**2) / (2 * length)
    if heads.window and heads.window < length:
        return heads.window - heads.window**2 / (2 * length)
    return length / 2


def core_flops(heads: Heads, tokens: int, length: int, causal: bool = True) -> tuple[float, float]:
    """(forward, backward) of the core for `tokens` in sequences of `length`; not causal: twice the pairs.

    >>> core_flops(Heads(128, 128, 192, 128), 4096, 4096)
    (687194767360.0, 1786706395136.0)
    """
    pairs = 2.0 * heads.queries * tokens * keys_met(heads, length) * (1.0 if causal else 2.0)
    return pairs * (heads.qk + heads.v), pairs * (3 * heads.qk + 2 * heads.v)


def core_forward(heads: Heads, load: Load) -> Operator:
    """The forward kernel, on one rank's heads and share of the context."""
    flops, _ = core_flops(heads, load.context_tokens, load.sequence_length)
    shape = _shape(heads, load)
    return Operator(
        "flash_attn_fwd", "attention_fwd", flops, _moved(heads, load), shape, context=load.context
    )


def core_backward(heads: Heads, load: Load) -> tuple[Operator, ...]:
    """The backward kernel between its two helpers."""
    t = load.context_tokens
    _, flops = core_flops(heads, t, load.sequence_length)
    row_sum = t * heads.queries * (2 * BF16_BYTES * heads.v + FP32_BYTES * heads.qk)
    moved, shape = 2 * _moved(heads, load), _shape(heads, load)
    queries = heads.queries * heads.qk
    return (
        # row sums of dO x O, and an FP32 query gradient set to zero
        Operator("flash_attn_bwd_preprocess", "elementwise", 0.0, row_sum, (t, heads.queries * heads.v)),
        Operator("flash_attn_bwd", "attention_bwd", flops, moved, shape, context=load.context),
        memory("flash_attn_bwd_postprocess_dq", "elementwise", t, queries, FP32_BYTES + BF16_BYTES),
    )


def _shape(heads: Heads, load: Load) -> tuple[int, ...]:
    """Sequences, heads, length and widths: where the mask leaves fewer pairs, more sequences that are shorter."""
    length = load.sequence_length
    causal = max(1, round(2 * keys_met(heads, length)))
    sequences = load.tokens // length if causal >= length else round(load.tokens / causal)
    return (sequences, heads.queries, min(causal, length), heads.qk, heads.v)


def _moved(heads: Heads, load: Load) -> float:
    """Queries and outputs of the rank's share of the sequences, keys and values of all of them."""
    width = heads.qk + heads.v
    return BF16_BYTES * width * (load.context_tokens * heads.queries + load.tokens * heads.keys)
