"""Multi-head latent attention beside training: its core, what it keeps and caches, and its projections in decode.

Absorbed form: the up-projection of keys is folded into queries, that of values into outputs, so that the core reads
the cached latents of all heads at once.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.2 and appendix C.
"""

from __future__ import annotations

from netsim.specs.workload import MlaSpec, StorageSpec
from netsim.workloads.core import Heads, core_flops
from netsim.workloads.indexer import index_flops
from netsim.workloads.kernels import BF16_BYTES, Operator, cast, gemm_fp8, memory, norm

_Ops = tuple[Operator, ...]


def heads(a: MlaSpec) -> Heads:
    """A key and value for each head, expanded from the latents; an indexer leaves some of the keys."""
    return Heads(a.heads, a.heads, a.qk_dim, a.v_dim, a.index_keys or None)


def flops(a: MlaSpec, tokens: int, length: int, causal: bool = True) -> float:
    """Operations of the core forward, and of the indexer in front of it."""
    core = core_flops(heads(a), tokens, length, causal)[0]
    return core + index_flops(a, tokens, length) * (1 if causal else 2) if a.index_heads else core


def input_width(a: MlaSpec, hidden: int) -> int:
    """Tensor parallelism gathers the latents, which are narrower than the layer's input."""
    return (a.q_rank or hidden) + a.kv_rank + a.rope_dim


def kept(a: MlaSpec, storage: StorageSpec) -> float:
    """Latents; without recomputing up-projections also queries, keys, values and the normed latents."""
    values = a.kv_rank + a.rope_dim + (a.q_rank or a.heads * a.qk_dim)
    if "mla_up" not in storage.recompute:
        again = (a.qk_dim if a.q_rank else 0) + a.qk_dim + a.v_dim
        values += a.heads * again + a.kv_rank + (a.q_rank or 0)
    return 2.0 * values


def cache_values(a: MlaSpec, tensor: int = 1) -> int:
    """The latent, the shared rotary key and the key of the indexer, whole on every rank."""
    return a.kv_rank + a.rope_dim + a.index_dim


def core_values(a: MlaSpec, tensor: int = 1) -> int:
    """All but the key of the indexer."""
    return a.kv_rank + a.rope_dim


def kept_tokens(a: MlaSpec, context: float) -> float:
    """All of them."""
    return context


def met_tokens(a: MlaSpec, context: float) -> float:
    """Those that the indexer leaves."""
    return min(context, a.index_keys or context)


def core_widths(a: MlaSpec) -> tuple[int, int]:
    """Of a latent with its rotary key, and of a latent."""
    return a.kv_rank + a.rope_dim, a.kv_rank


def decode_projections(a: MlaSpec, hidden: int, t: int, tensor: int) -> tuple[_Ops, _Ops, _Ops]:
    """(down and up, keys absorbed into queries, values into outputs)."""
    heads = a.heads // tensor
    q_rank, queries = a.q_rank or 0, heads * a.qk_dim
    if q_rank:
        up: _Ops = (
            cast("decode_cast_q_latent", t, q_rank),
            gemm_fp8("decode_q_up_proj", t, queries, q_rank),
        )
    else:
        up = (gemm_fp8("decode_q_proj", t, queries, hidden),)
    project = (
        gemm_fp8("decode_qkv_down_proj", t, q_rank + a.kv_rank + a.rope_dim, hidden),
        norm("decode_latent_norms", t, q_rank + a.kv_rank),
        *up,
        memory("decode_rope", "rope", t, (heads + 1) * a.rope_dim, 2 * BF16_BYTES),
    )
    keys = _per_head("decode_absorb_keys", t, heads, a.kv_rank, a.nope_dim)
    return project, (keys,), (_per_head("decode_absorb_values", t, heads, a.v_dim, a.kv_rank),)


def _per_head(name: str, t: int, heads: int, n: int, k: int) -> Operator:
    """One BF16 product of t x n over depth k for each head, in one launch."""
    moved = BF16_BYTES * heads * (t * k + n * k + t * n)
    return Operator(name, "gemm_bf16", 2.0 * t * heads * n * k, moved, (t, heads * n, k))
