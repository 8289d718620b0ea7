"""The indexer of sparse attention (DeepSeek-V3.2): a light product over all pairs that picks the keys of every query.

For t tokens in sequences of L, H heads of width d, queries from the latent of rank r (or the hidden state), one key:

    weights    r H d + hidden d + hidden H
    scores     2 H d t L / 2 operations forward, twice that backward, in the precision of products
    choice     top-k of L / 2 scores a token, in the mean

Every tensor-parallel rank scores whole heads for its own tokens. Left out: the target of the indexer's loss, which
adds up the probabilities of the main attention.

Source: DeepSeek-V3.2-Exp report, section 2.1, and its published inference code.
"""

from __future__ import annotations

from netsim.specs.workload import MlaSpec
from netsim.workloads.kernels import FP8_BYTES, Load, Operator, cast, gemm_fp8, index, norm, wgrad_fp8


def index_matrices(a: MlaSpec, hidden: int) -> int:
    """Weights of the indexer; none without."""
    return a.index_heads * a.index_dim * (a.q_rank or hidden) + (a.index_dim + a.index_heads) * hidden


def index_flops(a: MlaSpec, tokens: int, length: int) -> float:
    """Operations of the scores, forward, over the causal pairs."""
    return 2.0 * a.index_heads * a.index_dim * tokens * length / 2


def index_block(a: MlaSpec, hidden: int, load: Load, phase: str) -> tuple[Operator, ...]:
    """Operators of the indexer in attn(F), attn(B) or attn(W)."""
    if not a.index_heads:
        return ()
    t, width, rank = load.own_tokens, a.index_heads * a.index_dim, a.q_rank or hidden
    if phase == "F":
        return (
            gemm_fp8("index_q_proj_fwd", t, width, rank),
            gemm_fp8("index_k_proj_fwd", t, a.index_dim + a.index_heads, hidden),
            norm("index_k_norm_fwd", t, a.index_dim),
            cast("cast_fp8_index", t, width + a.index_dim),
            _scores("index_scores_fwd", a, load, 1),
            index("index_topk", t, load.sequence_length // 2),
        )
    if phase == "B":
        return (
            _scores("index_scores_dgrad", a, load, 2),
            gemm_fp8("index_q_dgrad", t, rank, width),
            gemm_fp8("index_k_dgrad", t, hidden, a.index_dim + a.index_heads),
        )
    return (
        wgrad_fp8("index_q_wgrad", width, rank, t),
        wgrad_fp8("index_k_wgrad", a.index_dim + a.index_heads, hidden, t),
    )


def _scores(name: str, a: MlaSpec, load: Load, times: int) -> Operator:
    """The product of all heads, as deep as they are wide together; scores stay on the chip."""
    t, width, met = load.own_tokens, a.index_heads * a.index_dim, load.sequence_length // 2
    moved = FP8_BYTES * times * (t * width + load.tokens * a.index_dim)
    return Operator(
        name, "gemm_fp8", times * index_flops(a, t, load.sequence_length), moved, (t, met * times, width)
    )
