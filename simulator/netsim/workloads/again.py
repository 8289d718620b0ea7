"""Recomputation inside a block: what the backward runs again because its forward did not keep it.

    core   the attention core (selective recomputation of Megatron-LM, Korthikanti et al. 2022, arXiv 2205.05198)
    half   every second product of a layer, rotary embedding and activation (torch's selective activation
           checkpointing: it keeps every other matrix product, the attention core and what was reduced)
    act    activations of FFNs, which the backward makes again from their inputs; kept, it reads them
    shared_experts  their forward

Whole blocks (`layer`, `mlp`, `moe`) are run again with their exchanges: `workloads.tasks` writes those. Of products
that netsim has as one (gate and up, or queries, keys and values), `half` runs the half of gate and up again, and of
attention the output projection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from netsim.specs.workload import Recomputed, StorageSpec
from netsim.workloads.kernels import BF16_BYTES, Operator, cast_transpose
from netsim.workloads.layers import has_experts, is_body
from netsim.workloads.stages import LayerKind

_HALF = ("o_proj_fwd", "rope_qk_fwd", "dense_swiglu_fwd", "routed_swiglu_fwd", "shared_swiglu_fwd")
_HALVED = ("dense_gateup_fwd", "routed_gateup_fwd", "shared_gateup_fwd")


def run_again(forward: Iterable[Operator], recompute: Sequence[Recomputed]) -> tuple[Operator, ...]:
    """The operators of a block's forward that its backward runs first."""
    found = []
    for op in forward:
        if (
            ("core" in recompute and op.kind.startswith("attention_fwd"))
            or ("half" in recompute and op.name in _HALF)
            or ("shared_experts" in recompute and op.name.startswith("shared_") and "_stash_" not in op.name)
        ):
            found.append(replace(op, name=f"{op.name}_again"))
        elif "half" in recompute and op.name in _HALVED:
            m, n, *rest = op.shape
            half = replace(op, flops=op.flops / 2, bytes=op.bytes / 2, shape=(m, n // 2, *rest))
            found.append(replace(half, name=f"{op.name}_again"))
    return tuple(found)


def kept_activation(op: Operator) -> Operator:
    """The operator where outputs of activations are kept: they are read for the weight gradient, not made again."""
    if "swiglu_recompute_cast_transpose" in op.name:
        return cast_transpose(op.name.replace("swiglu_recompute", "swiglu_out"), *op.shape)
    if "swiglu_fwd_recompute" in op.name:
        rows, width = op.shape
        name = op.name.replace("fwd_recompute_", "")
        return replace(op, name=name, bytes=op.bytes - BF16_BYTES * rows * width)
    return op


class Again(NamedTuple):
    """What the backward runs again, and in how many of a stage's layers, from its first (None: all)."""

    recompute: tuple[Recomputed, ...] = ()
    layers: int | None = None

    @staticmethod
    def of(storage: StorageSpec) -> Again:
        """That of a job."""
        return Again(storage.recompute, storage.recompute_layers)

    def blocks(self, kind: LayerKind, place: int) -> tuple[str, ...]:
        """The blocks that are run again whole of the layer at a place of its stage, embedding not counted."""
        return blocks_again(kind, self.recompute) if self.layers is None or place < self.layers else ()


def places(stage: Sequence[LayerKind]) -> list[int]:
    """Where each layer of a stage stands among its transformer layers.

    >>> places(("embedding", "dense", "dense"))
    [0, 0, 1]
    """
    bodies = [is_body(kind) for kind in stage]
    return [sum(bodies[:n]) for n in range(len(stage))]


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
