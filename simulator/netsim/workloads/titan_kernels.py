"""A block as torchtitan runs it, from the block as plain PyTorch with torch.compile runs it.

    queries, keys, values; gate, up    a product each: the input is read by each, and the gradients of the input, one a
                                       product, are added
    rotary embedding                   a product of complex numbers, which torch.compile does not generate: converted to
                                       FP32, multiplied, converted back (20 bytes a value for 4)
    tensor exchanges beside products   partial sums of all ranks arrive in a buffer of the whole output and are added

Without torch.compile (`eager`) every elementwise step reads and writes its tensors:

    RMSNorm with the residual          an addition, then square, mean, product and weight in FP32 with casts: 42 bytes a
                                       value for 8; backward 66 for 8
    SiLU and product                   10 bytes a value for 6; backward 18 for 12
    loss in FP32                       18 bytes a value for 2; backward 16 for 4

The bytes are counted step by step, not measured. Left out: what DTensor copies around exchanges along the sequence.

Source: pytorch/torchtitan at 820504e, models/llama3 (apply_rotary_emb, wq, wk, wv, w1, w3); torch/_inductor: "does not
support code generation for complex operators"; torch.distributed._symmetric_memory, fused_matmul_reduce_scatter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netsim.specs.workload import HeadAttentionSpec, ModelSpec, WorkloadSpec
from netsim.workloads.core import divided
from netsim.workloads.heads import heads
from netsim.workloads.holding import layer_holding
from netsim.workloads.kernels import BF16_BYTES, Operator, memory
from netsim.workloads.layers import is_body
from netsim.workloads.moe import value_bytes
from netsim.workloads.plan import Plan
from netsim.workloads.stages import LayerKind

#: bytes of a rotary embedding as a complex product over those of a fused kernel
_COMPLEX_ROPE = 5.0
#: bytes that eager kernels move over those of a compiled one
_EAGER = {"act": 10 / 6, "act_bwd": 18 / 12, "loss_fwd": 9.0, "loss_bwd": 4.0}
_EAGER_NORM = {False: 42 / 8, True: 66 / 8}


def as_titan(
    operators: Iterable[Operator],
    model: ModelSpec,
    tensor: int = 1,
    *,
    scattered_beside: bool = False,
    eager: bool = False,
) -> tuple[Operator, ...]:
    """Operators of a block as torchtitan launches them.

    tensor : ranks that divide it; scattered_beside : whether its output is scattered beside its last product
    """
    made: list[Operator] = []
    for op in operators:
        for one in _apart(op, _parts(op, model, tensor)):
            made += [_eager(one) if eager else one]
    made = [replace(op, bytes=op.bytes * _COMPLEX_ROPE) if op.kind == "rope" else op for op in made]
    if scattered_beside:
        made += _added(made, model.hidden, tensor)
    return tuple(made)


def fsdp_copies(
    job: WorkloadSpec, plan: Plan, kind: LayerKind, block: str, phase: str
) -> tuple[Operator, ...]:
    """What FSDP2 copies of a layer: out of the gathered buffer forward and backward, into the one that is reduced.

    They run on streams of their own, and take HBM from compute for as long as they run. Where it reduces once for many
    micro-batches, each adds its gradient to a sum in the format of the reduction.
    """
    if not job.compute.kernels.startswith("torchtitan") or block != ("attn" if is_body(kind) else kind):
        return ()
    held = layer_holding(job.model, kind, plan).total
    reduced = value_bytes(job.communication.gradient)
    if plan.zero != 3:
        sums = memory("fsdp_accumulate", "elementwise", round(held), 1, BF16_BYTES + 2 * reduced)
        return (sums,) if phase == "W" else ()
    if phase == "W":
        each = BF16_BYTES + reduced
        return (memory("fsdp_copy_in", "copy", round(held), 1, each),)
    return (memory("fsdp_copy_out", "copy", round(held), 1, 2 * value_bytes(job.communication.parameter)),)


def _parts(op: Operator, model: ModelSpec, tensor: int) -> tuple[int, ...]:
    """Columns of the products that stand for a fused one; none where it is one product here too."""
    a = model.attention
    if op.name.startswith("qkv_") and isinstance(a, HeadAttentionSpec):
        one = divided(heads(a), tensor)
        return (one.queries * one.qk, one.keys * one.qk, one.keys * one.v)
    if op.name.startswith("dense_gateup_") and model.gated:
        return (model.dense_width // tensor,) * 2
    return ()


def _apart(op: Operator, widths: tuple[int, ...]) -> Iterator[Operator]:
    """A fused product as one for each of the widths, and the sum of the gradients of their input."""
    is_product = op.kind.startswith(("gemm", "wgrad"))
    if not widths or not is_product:
        yield op
        return
    m, n, k = op.shape
    whole = sum(widths)
    place = {"fwd": 1, "dgrad": 2, "wgrad": 0}[op.name.replace("_again", "").rsplit("_", 1)[1]]
    if (m, n, k)[place] != whole:  # half of it, where it is run again
        yield op
        return
    # what is not divided among them (the input, or its gradient) is read or written by each
    shared = BF16_BYTES * {1: m * k, 2: m * n, 0: n * k}[place]
    if "fp8" in op.kind and place != 2:
        shared /= 2.0
    for n_part, width in enumerate(widths):
        shape = tuple(width if axis == place else size for axis, size in enumerate((m, n, k)))
        share = width / whole
        moved = (op.bytes - shared) * share + shared
        yield replace(op, name=f"{op.name}_{n_part}", flops=op.flops * share, bytes=moved, shape=shape)
    if place == 2:
        yield memory(f"{op.name}_sum", "elementwise", m, n, (len(widths) + 1) * BF16_BYTES)


def _eager(op: Operator) -> Operator:
    if op.kind == "norm":
        return replace(op, bytes=op.bytes * _EAGER_NORM["bwd" in op.name])
    return replace(op, bytes=op.bytes * _EAGER.get(op.kind, 1.0))


def _added(made: Iterable[Operator], hidden: int, tensor: int) -> list[Operator]:
    """The sum over ranks of a block's output (forward) or of the gradient of its input (backward)."""
    last = next(
        (op for op in reversed(list(made)) if op.kind.startswith("gemm") and hidden in op.shape[:2]), None
    )
    if last is None:
        return []
    rows = last.shape[0]
    return [memory("scattered_sum", "elementwise", rows, hidden, BF16_BYTES * (1.0 + 1.0 / tensor))]
