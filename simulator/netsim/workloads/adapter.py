"""Low-rank adapters over frozen weights (LoRA): what a block computes then, and what of it is trained.

For an adapted matrix W (n x k) and rank r the forward adds (x A) B: two thin products in BF16, whose output is added to
that of W, scaled. The backward adds their input gradients, and their weight gradients are the only ones: no block has
those of its own matrices, embedding or head. Of the frozen matrices' inputs no copy by columns is needed, so casts to
FP8 write one layout. Transposes of weights, which never change, are made once, or in every backward to save memory.

Under tensor parallelism A of a matrix that is divided by columns is divided by its rank, and B as W is; of one divided
by rows A is as W is, and B by columns, so what is added has to change from columns to tokens: an all-to-all among the
tensor ranks (`exchanged`), as wide as a rank's part.

Left out: the norm of gradients over adapters alone, and the reduction that a thin product shared out over tensor
parallelism needs (r values a token).

Source: Hu et al. 2021, arXiv 2106.09685; NVIDIA's LoRA submission to MLPerf Training v4.0 (rank 16, on the projections
of attention, dropout 0.1 before A, LORA_A2A = 1, disable_parameter_transpose_cache); NVIDIA-NeMo/Megatron-Bridge,
peft/utils.py, ParallelLinearAdapter.
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
    made: list[Operator] = []
    for by_rows, (n, k) in enumerate(adapted(model, adapter, kind, block, load.tensor)):
        made += _adapter(adapter, phase, load, n // load.tensor if by_rows else n, k, bool(by_rows))
    return tuple(made)


def _adapter(adapter: AdapterSpec, phase: str, load: Load, n: int, k: int, by_rows: bool) -> list[Operator]:
    """One adapter of n columns out and k in; A of a matrix divided by columns has a part of the rank."""
    t, r, tensor = load.context_tokens, adapter.rank, load.tensor
    part = r if by_rows else max(1, r // tensor)
    copied = [memory("lora_exchange_copy", "copy", t, n, 4 * BF16_BYTES)] if by_rows and tensor > 1 else []
    if phase == "F":
        dropped = [memory("lora_dropout_fwd", "dropout", t, k, 2 * BF16_BYTES + 1)] if adapter.dropout else []
        products = [gemm_bf16("lora_a_fwd", t, part, k), gemm_bf16("lora_b_fwd", t, n, r)]
        return [*dropped, *products, *copied, *_scaled_add("fwd", t, n, n)]
    if phase == "B":
        kept = (
            [memory("lora_dropout_bwd", "elementwise", t, k, 2 * BF16_BYTES + 1)] if adapter.dropout else []
        )
        products = [gemm_bf16("lora_b_dgrad", t, r, n), gemm_bf16("lora_a_dgrad", t, k, part)]
        scale, add = _scaled_add("bwd", t, n, k)
        return [scale, *copied, *products, *kept, add]
    return [gemm_bf16("lora_b_wgrad", n, r, t), gemm_bf16("lora_a_wgrad", part, k, t)]


def _scaled_add(way: str, t: int, scaled: int, added: int) -> tuple[Operator, Operator]:
    """The product with alpha / r, and the sum with what the frozen matrix made."""
    return (
        memory(f"lora_scale_{way}", "elementwise", t, scaled, 2 * BF16_BYTES),
        memory(f"lora_add_{way}", "elementwise", t, added, 3 * BF16_BYTES),
    )


def exchanged(adapter: AdapterSpec | None) -> bool:
    """Whether attention has an adapter whose output changes from columns to tokens under tensor parallelism."""
    return adapter is not None and "attention" in adapter.targets


def over_frozen(
    operators: Iterable[Operator], products: Products, adapter: AdapterSpec | None = None
) -> tuple[Operator, ...]:
    """Operators of F or B of a block whose own matrices are not trained: casts write one layout.

    `operators` are in the format already; `adapter` says whether weights are transposed for each input gradient.
    """
    made = adapter is not None and adapter.transposed == "made" and products == "fp8_tensor"
    saved = FORMATS[products].activation_bytes
    found = []
    for op in operators:
        if op.kind in ("cast_transpose", "quant") and products not in ("bf16", "fp8"):
            op = replace(op, kind="quant", bytes=op.bytes - saved * op.shape[0] * op.shape[1])
        elif op.kind in ("cast_transpose", "weight_transpose"):
            continue
        if made and op.kind == "gemm_fp8_tensor" and "dgrad" in op.name:
            _, n, k = op.shape
            found.append(memory(f"{op.name}_transpose_w", "weight_transpose", n, k, 2.0))
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
