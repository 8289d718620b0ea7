"""A block as plain PyTorch with torch.compile runs it, from its operators in the format of its products.

    weight gradients             written in BF16, not added to an FP32 main gradient
    SwiGLU backward              one kernel: gate, up and the gradient read, both gradients and the output again written
    loss                         one kernel for the loss (forward), one for the gradient of the logits (backward)
    embedding gradient           a table of zeros, and a kernel that adds sorted rows
    FP8, a scale a tensor        each input read for its greatest value, cast, and transposed where a gradient needs
                                 it, in kernels of their own; weights again for every micro-batch
    routing                      two sorts of all choices; the index kernels of DeepSeek's gate do not run
    AdamW in BF16                torch's fused kernel over lists of tensors, bound by its arithmetic

Left out: what torch.compile fuses into casts (norms, SwiGLU: counted twice by a pass at most), the eager kernels of a
model that is not compiled, optimizer states in FP32 (the class of a single fused pass answers).

Source: own traces of measured steps (netsim measure --step --traces), torch 2.11; kernels in h200_framework.csv.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netsim.workloads.kernels import BF16_BYTES, FP32_BYTES, Operator, memory

#: gate, up, the gradient behind them; both gradients and the product of the forward out
_ACT_BACKWARD = 6 * BF16_BYTES
_CASTS = ("quant", "cast_transpose", "weight_transpose", "gather_transpose")
#: greatest value: a read; cast: a read, one byte written
_AMAX, _CAST, _TRANSPOSE = BF16_BYTES, BF16_BYTES + 1.0, 2.0


def as_torch(operators: Iterable[Operator], phase: str, vocabulary: int) -> tuple[Operator, ...]:
    """Operators of a block (F, B or W) as torch launches them; `vocabulary` of the embedding's rows."""
    sorted_yet = False
    made: list[Operator] = []
    for op in operators:
        if op.kind in ("index", "small"):
            if op.kind == "index" and phase == "F" and not sorted_yet:
                made.append(Operator("torch_sort", "sort", 0.0, 0.0, (*op.shape[:1], 1), 2))
                sorted_yet = True
            continue
        made += _one(op, phase, vocabulary)
    return tuple(made)


def loss_backward(head: Iterable[Operator], rows: int, columns: int) -> tuple[Operator, ...]:
    """The backward of the head behind the gradient of its logits."""
    return (memory("loss_bwd", "loss_bwd", rows, columns, 2 * BF16_BYTES), *head)


def _one(op: Operator, phase: str, vocabulary: int) -> Iterator[Operator]:
    rows, columns = op.shape[0], op.shape[1] if len(op.shape) > 1 else 1
    if op.name == "cross_entropy":
        yield replace(op, name="loss_fwd", kind="loss_fwd", bytes=BF16_BYTES * rows * columns)
    elif op.name == "embedding_scatter_add":
        yield memory("embedding_zeros", "elementwise", vocabulary, columns, BF16_BYTES)
        yield replace(op, kind="embedding_bwd", bytes=3 * BF16_BYTES * rows * columns)
    elif op.kind in _CASTS:
        return
    elif op.kind == "act" and phase == "B":
        if "bwd" in op.name:
            yield replace(op, kind="act_bwd", bytes=_ACT_BACKWARD * rows * columns)
    elif "wgrad" in op.kind:
        yield from _weight_gradient(op)
    elif op.kind.endswith("fp8_tensor"):
        yield from _scaled(op, phase)
    else:
        yield op


def _weight_gradient(op: Operator) -> Iterator[Operator]:
    if op.kind.startswith("grouped"):
        rows, m, n, groups = op.shape
    else:
        (m, n, rows), groups = op.shape, 1
    if op.kind.endswith("fp8_tensor"):
        for side, width in (("dy", m), ("x", n)):
            yield memory(f"{op.name}_transpose_{side}", "cast_transpose", rows, width, _TRANSPOSE)
    yield replace(op, bytes=max(0.0, op.bytes - (2 * FP32_BYTES - BF16_BYTES) * groups * m * n))


def _scaled(op: Operator, phase: str) -> Iterator[Operator]:
    """A product with the casts of its inputs; the backward has its weights cast already and transposes them."""
    m, n, k = op.shape[:3]
    weights = n * (op.shape[3] if op.kind.startswith("grouped") else 1)
    yield memory(f"{op.name}_amax_x", "quant", m, k, _AMAX, fine=True)
    yield memory(f"{op.name}_cast_x", "quant", m, k, _CAST)
    if phase == "F":
        yield memory(f"{op.name}_amax_w", "quant", weights, k, _AMAX, fine=True)
        yield memory(f"{op.name}_cast_w", "quant", weights, k, _CAST)
    else:
        yield memory(f"{op.name}_transpose_w", "cast_transpose", weights, k, _TRANSPOSE)
    yield op
