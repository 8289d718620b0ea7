"""Low-rank adapters over frozen weights (LoRA): what a block computes then, and what of it is trained.

For an adapted matrix W (n x k) and rank r the forward adds (x A) B: two thin products in BF16, whose output is added to
that of W. The backward adds their input gradients, and their weight gradients are the only ones: no block has those of
its own matrices, embedding or head. Of the frozen matrices' inputs no copy by columns is needed, so casts to FP8 write
one layout, and the transposes of weights, which never change, are made once.

Left out: dropout before A, the norm of gradients over adapters alone, and the reduction that a thin product shared out
over tensor parallelism needs (r values a token).

Source: Hu et al. 2021, arXiv 2106.09685; NVIDIA's LoRA submissions to MLPerf Training v4.0 (rank 16, on the
projections of attention).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netsim.specs.adapter import AdapterSpec
from netsim.specs.formats import FORMATS, Products
from netsim.specs.workload import ModelSpec
from netsim.workloads.holding import StageParameters, stage_holding
from netsim.workloads.kernels import BF16_BYTES, Load, Operator, gemm_bf16, memory
from netsim.workloads.layers import attention_of, has_experts, is_body
from netsim.workloads.plan import Plan
from netsim.workloads.stages import LayerKind

#: (columns out, columns in) of an adapted matrix on one rank
Shape = tuple[int, int]


def adapted(model: ModelSpec, adapter: AdapterSpec, kind: LayerKind, block: str, tensor: int) -> list[Shape]:
    """The adapted matrices of a block, as one of `tensor` ranks holds them."""
    if not is_body(kind):
        return []
    h = model.hidden
    if block == "attn" and "attention" in adapter.targets:
        a = attention_of(model, kind)
        if a.kind == "mla" or a.kind == "recurrent":
            return []
        heads, keys = a.heads // tensor, max(1, a.key_value_heads // tensor)
        return [((heads + 2 * keys) * a.head_dim, h), (h, heads * a.head_dim)]
    if block == "mlp" and "ffn" in adapter.targets and not has_experts(kind):
        width = model.dense_width // tensor
        return [((model.ffn_matrices - 1) * width, h), (h, width)]
    return []


def frozen_blocks(adapter: AdapterSpec | None) -> tuple[str, ...]:
    """The blocks of layers without any weight gradient.

    >>> frozen_blocks(None), frozen_blocks(AdapterSpec(rank=16))
    ((), ('embedding', 'embedding_copy', 'head', 'mtp_in', 'mlp'))
    """
    if adapter is None:
        return ()
    of_layers = {"attention": "attn", "ffn": "mlp"}
    rest = [block for target, block in of_layers.items() if target not in adapter.targets]
    return ("embedding", "embedding_copy", "head", "mtp_in", *rest)


def adapter_operators(
    model: ModelSpec, adapter: AdapterSpec, kind: LayerKind, block: str, phase: str, load: Load
) -> tuple[Operator, ...]:
    """The thin products of a block in a phase."""
    t, r = load.context_tokens, adapter.rank
    made: list[Operator] = []
    for n, k in adapted(model, adapter, kind, block, load.tensor):
        if phase == "F":
            made += [gemm_bf16("lora_a_fwd", t, r, k), gemm_bf16("lora_b_fwd", t, n, r)]
            made += [memory("lora_add_fwd", "elementwise", t, n, 3 * BF16_BYTES)]
        elif phase == "B":
            made += [gemm_bf16("lora_b_dgrad", t, r, n), gemm_bf16("lora_a_dgrad", t, k, r)]
            made += [memory("lora_add_bwd", "elementwise", t, k, 3 * BF16_BYTES)]
        else:
            made += [gemm_bf16("lora_b_wgrad", n, r, t), gemm_bf16("lora_a_wgrad", r, k, t)]
    return tuple(made)


def over_frozen(operators: Iterable[Operator], products: Products) -> tuple[Operator, ...]:
    """Operators of F or B of a block whose own matrices are not trained: casts write one layout.

    `operators` are in the format already.
    """
    saved = FORMATS[products].activation_bytes
    found = []
    for op in operators:
        if op.kind in ("cast_transpose", "quant") and products not in ("bf16", "fp8"):
            op = replace(op, kind="quant", bytes=op.bytes - saved * op.shape[0] * op.shape[1])
        elif op.kind in ("cast_transpose", "weight_transpose"):
            continue
        found.append(op)
    return tuple(found)


def trained(
    model: ModelSpec, adapter: AdapterSpec | None, stage: Sequence[LayerKind], plan: Plan
) -> StageParameters:
    """Parameters with a gradient that one rank holds of a stage: all, or those of its adapters."""
    if adapter is None:
        return stage_holding(model, stage, plan)
    shapes = [
        shape
        for kind in stage
        for block in ("attn", "mlp")
        for shape in adapted(model, adapter, kind, block, plan.tensor)
    ]
    return StageParameters(0.0, 0.0, float(sum(adapter.rank * (n + k) for n, k in shapes)))
