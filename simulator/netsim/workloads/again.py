"""Recomputation inside a block: what the backward runs again because its forward did not keep it.

    core   the attention core (selective recomputation of Megatron-LM, Korthikanti et al. 2022, arXiv 2205.05198)
    half   every second product of a layer, rotary embedding and activation (torch's selective activation
           checkpointing: it keeps every other matrix product, the attention core and what was reduced)

Whole blocks (`layer`, `mlp`, `moe`) are run again with their exchanges: `workloads.tasks` writes those. Of products
that netsim has as one (gate and up, or queries, keys and values), `half` runs the half of gate and up again, and of
attention the output projection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netsim.specs.workload import Recomputed
from netsim.workloads.kernels import Operator
from netsim.workloads.layers import has_experts, is_body
from netsim.workloads.stages import LayerKind

_HALF = ("o_proj_fwd", "rope_qk_fwd", "dense_swiglu_fwd", "routed_swiglu_fwd", "shared_swiglu_fwd")
_HALVED = ("dense_gateup_fwd", "routed_gateup_fwd", "shared_gateup_fwd")


def run_again(forward: Iterable[Operator], recompute: Sequence[Recomputed]) -> tuple[Operator, ...]:
    """The operators of a block's forward that its backward runs first."""
    found = []
    for op in forward:
        if ("core" in recompute and op.kind.startswith("attention_fwd")) or (
            "half" in recompute and op.name in _HALF
        ):
            found.append(replace(op, name=f"{op.name}_again"))
        elif "half" in recompute and op.name in _HALVED:
            m, n, *rest = op.shape
            half = replace(op, flops=op.flops / 2, bytes=op.bytes / 2, shape=(m, n // 2, *rest))
            found.append(replace(half, name=f"{op.name}_again"))
    return tuple(found)


def blocks_again(kind: LayerKind, recompute: Sequence[Recomputed]) -> tuple[str, ...]:
    """The blocks of a layer that the backward runs again whole, in forward order.

    >>> blocks_again("dense", ("mlp",)), blocks_again("moe", ("mlp",)), blocks_again("moe", ("layer",))
    (('mlp',), (), ('attn', 'mlp'))
    """
    if not is_body(kind):
        return ()
    if "layer" in recompute:
        return ("attn", "mlp")
    return ("mlp",) if ("moe" if has_experts(kind) else "mlp") in recompute else ()
