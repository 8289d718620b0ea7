"""What to measure, as data: a pure function of the workload, a seed and how many SMs a transfer takes.

The order is that of worth: the workload's own shapes first, then hold-outs, random shapes and grids, all cool and
alone; then beside a resident kernel; then hot. A run that ends early leaves a table that can be used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from netsim.errors import NetsimError, did_you_mean
from netsim.measure.draws import Draws
from netsim.measure.shapes import (
    FLAT_KERNELS,
    LAUNCH_KERNELS,
    ROW_KERNELS,
    Shape,
    attention,
    gemm,
    grouped_gemm,
    grouped_wgrad,
    launch,
    memory,
    wgrad,
)
from netsim.specs.formats import format_of, role_of
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.operators import KINDS, PHASES, Operator, block_operators

Mode = Literal["cool", "hot"]
Side = Literal["", "spin", "copy"]
FP8 = ("fp8_block", "fp8_tensor", "fp8_row")
#: rowwise kernels write BF16 only
WGRAD = ("fp8_block", "fp8_tensor")
GROUPED = ("bf16", "fp8_row")
#: rows, as multiples of the tokens of a micro-batch
GRID = (1 / 16, 1 / 4, 2, 4)
FLAT_SIZES = (2**20, 2**24, 2**28, 2**30)
KERNELS = (
    "gemm", "gemm_wgrad", "grouped_gemm", "grouped_wgrad", "attn_fwd", "attn_bwd",
    *ROW_KERNELS, *FLAT_KERNELS, *LAUNCH_KERNELS,
)  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """A kernel at a shape under a protocol; `set` says what the row may be used for."""

    shape: Shape
    set: str
    operator: str = ""
    mode: Mode = "cool"
    side: Side = ""
    side_sms: int = 0

    @property
    def name(self) -> str:
        """What `--list` prints and `--only` matches."""
        return f"{self.shape.name}:{self.set}:{self.mode}" + (
            f"+{self.side}{self.side_sms}" if self.side else ""
        )


def make_plan(
    workload: WorkloadSpec, seed: int, side_sms: int, only: Iterable[str] = ()
) -> tuple[Measurement, ...]:
    """Everything there is to measure, in order of worth, each once.

    only : kernel names or patterns over measurement names; none means all

    Raises NetsimError when a pattern matches nothing.
    """
    alone = _alone(workload, seed)
    beside = [m for m in alone if m.set in ("workload", "holdout") and m.shape.kernel not in LAUNCH_KERNELS]
    sides: tuple[Side, ...] = ("spin", "copy") if side_sms else ()
    plan = [
        *alone,
        *(replace(m, side=side, side_sms=side_sms) for side in sides for m in beside),
        *(replace(m, mode="hot") for m in alone if _worth_hot(m)),
    ]
    return select(tuple(dict.fromkeys(plan)), only)


def _worth_hot(m: Measurement) -> bool:
    if m.shape.kernel in (*FLAT_KERNELS, *LAUNCH_KERNELS, "topk_gate", "sort_by_expert"):
        return False
    return m.set in ("workload", "holdout")


def select(plan: tuple[Measurement, ...], only: Iterable[str]) -> tuple[Measurement, ...]:
    """The measurements whose kernel or name matches a pattern."""
    patterns = tuple(only)
    for pattern in patterns:
        if not any(_matches(m, pattern) for m in plan):
            raise NetsimError(f"--only {pattern}: no such measurement; {did_you_mean(pattern, KERNELS)}")
    return tuple(m for m in plan if not patterns or any(_matches(m, p) for p in patterns))


def _matches(m: Measurement, pattern: str) -> bool:
    return m.shape.kernel == pattern or fnmatchcase(m.name, pattern)


def quick(plan: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """One measurement of each kernel, dtype, mode and side: the one that moves and computes least."""
    smallest: dict[tuple[str, ...], Measurement] = {}
    for m in sorted(plan, key=lambda m: m.shape.flops + m.shape.bytes):
        skewed = "skewed" if len(set(m.shape.group_rows)) > 1 else ""
        smallest.setdefault((m.shape.kernel, m.shape.dtype, m.shape.out_dtype, skewed, m.mode, m.side), m)
    return tuple(smallest.values())


def _alone(workload: WorkloadSpec, seed: int) -> list[Measurement]:
    """Cool, with the whole GPU; a shape that stands in two sets belongs to the first."""
    sets = {
        "workload": _workload(workload, seed),
        "holdout": _random(workload, seed, "holdout", dense=40, few=8),
        "random": _random(workload, seed, "random", dense=60, few=12),
        "grid": _grid(workload),
    }
    found: dict[Shape, Measurement] = {}
    for name, shapes in sets.items():
        for shape, operator in shapes:
            found.setdefault(shape, Measurement(shape, name, operator))
    return list(found.values())


def workload_operators(workload: WorkloadSpec) -> list[Operator]:
    """Operators of every block and phase of one micro-batch with balanced experts, one for each kind and shape."""
    batch, moe = workload.batch, workload.model.experts
    tokens = batch.microbatch_sequences * batch.sequence_length
    local = max(1, moe.experts // workload.parallelism.expert)
    found: dict[tuple[str, tuple[int, ...]], Operator] = {}
    for kind, blocks in KINDS.items():
        if workload.model.alternate is None and kind.endswith("_alternate"):
            continue
        for block in blocks:
            for phase in PHASES:
                for op in block_operators(workload.model, kind, block, phase, tokens, batch.sequence_length,
                                          tokens * moe.top_k, local):  # fmt: skip
                    found.setdefault((op.kind, op.shape), op)
    return list(found.values())


def _workload(workload: WorkloadSpec, seed: int) -> list[tuple[Shape, str]]:
    draws = Draws(seed, "workload")
    shapes = [(s, op.name) for op in workload_operators(workload) for s in stand_ins(op, workload, draws)]
    shapes += [(memory(kernel, size), "") for kernel in FLAT_KERNELS for size in FLAT_SIZES]
    return [*((launch(kernel), "") for kernel in LAUNCH_KERNELS), *shapes]


def stand_ins(op: Operator, workload: WorkloadSpec, draws: Draws) -> list[Shape]:
    """The measured kernels that stand for an operator."""
    role, in_bf16 = role_of(op.kind), format_of(op.kind) == "bf16"
    if role == "gemm":
        m, n, k = op.shape
        # BF16 products that the model keeps in BF16 are small, or the head: FP8 tells nothing of them
        flavours = ("bf16",) if in_bf16 else ("bf16", *FP8)
        return [gemm(dtype, m, n, k) for dtype in flavours]
    if role == "wgrad":
        m, n, k = op.shape
        return [gemm("bf16", m, n, k)] if in_bf16 else [wgrad(d, m, n, k) for d in ("bf16", *WGRAD)]
    if role == "grouped_gemm":
        rows, n, k, groups = op.shape
        spread = (draws.even_rows(rows, groups), draws.skewed_rows(rows, groups))
        return [grouped_gemm(dtype, r, n, k) for dtype in GROUPED for r in spread]
    if role == "grouped_wgrad":
        rows, n, k, groups = op.shape
        return [
            grouped_wgrad("bf16", r, n, k)
            for r in (draws.even_rows(rows, groups), draws.skewed_rows(rows, groups))
        ]
    if role.startswith("attention"):
        return [attention("attn_" + role[-3:], *op.shape)]
    return _memory_stand_ins(op, workload)


def _memory_stand_ins(op: Operator, workload: WorkloadSpec) -> list[Shape]:
    rows, columns = op.shape[:2]
    moe = workload.model.experts
    if op.kind == "index":  # the gate and the sorting of its choices, whatever the operator's own counts
        return [
            memory("topk_gate", rows, moe.experts, moe.top_k),
            memory("sort_by_expert", rows * moe.top_k, moe.experts),
        ]
    if op.kind == "permute":
        return [
            memory("permute_gather", rows, columns),
            memory("combine_topk", rows // moe.top_k, columns, moe.top_k),
        ]
    return [memory(name, rows, columns) for name in _row_kernels(op.kind) if columns >= 64]


def _row_kernels(kind: str) -> list[str]:
    # most of a model's copies cut a slice out of wider rows; plain ones are `copy_d2d`
    alike = {"copy": "strided"}.get(kind, kind)
    return [name for name, entry in ROW_KERNELS.items() if entry.kind == alike]


def _grid(workload: WorkloadSpec) -> list[tuple[Shape, str]]:
    """The workload's matrices and widths with other row counts, and attention at other lengths and heads."""
    batch, attn = workload.batch, workload.model.attention
    tokens = batch.microbatch_sequences * batch.sequence_length
    shapes: list[Shape] = []
    for m in (max(64, round(tokens * times)) for times in GRID):
        pairs = {op.shape[1:] for op in workload_operators(workload) if op.kind == "gemm_fp8"}
        shapes += [gemm(dtype, m, n, k) for n, k in sorted(pairs) for dtype in ("bf16", *FP8)]
        shapes += _row_grid(workload, m)
    qk = attn.qk_dim
    for length in (batch.sequence_length // 4, batch.sequence_length // 2, 2 * batch.sequence_length):
        for heads in sorted({max(1, attn.heads // 8), attn.heads // 2, attn.heads} - {0}):
            shapes += [
                attention(kernel, 1, heads, length, qk, attn.v_dim) for kernel in ("attn_fwd", "attn_bwd")
            ]
    return [(shape, "") for shape in shapes]


def _row_grid(workload: WorkloadSpec, rows: int) -> list[Shape]:
    moe, hidden = workload.model.experts, workload.model.hidden
    top_k = {"combine_topk": moe.top_k, "topk_gate": moe.top_k}
    width = {"act": moe.width, "index": moe.experts}
    return [
        memory(name, rows, width.get(entry.kind, hidden), top_k.get(name, 0))
        for name, entry in ROW_KERNELS.items()
    ]


def _random(workload: WorkloadSpec, seed: int, purpose: str, dense: int, few: int) -> list[tuple[Shape, str]]:
    """Seeded random shapes: `dense` GEMMs, and `few` of grouped GEMMs, attention and each memory-bound kernel."""
    draws, attn, moe = Draws(seed, purpose), workload.model.attention, workload.model.experts
    shapes: list[Shape] = []
    for _ in range(dense):
        size = draws.gemm()
        shapes += [gemm(dtype, *size) for dtype in ("bf16", *FP8)]
    for _ in range(few):
        m, n, k = draws.wgrad()
        shapes += [wgrad(dtype, m, n, k) for dtype in ("bf16", *WGRAD)]
    for index in range(3 * few):
        rows, n, k = draws.grouped(skewed=index % 3 == 2)
        shapes += [grouped_gemm(dtype, rows, n, k) for dtype in GROUPED]
    for _ in range(few):
        heads, length = draws.attention(attn.heads)
        shapes += [attention(kernel, 1, heads, length, attn.qk_dim, attn.v_dim)
                   for kernel in ("attn_fwd", "attn_bwd")]  # fmt: skip
    for name, entry in ROW_KERNELS.items():
        for _ in range(max(1, few // 3)):
            rows_, columns = draws.rows()
            shapes.append(memory(name, rows_, moe.experts if entry.kind == "index" else columns,
                                 moe.top_k if name in ("combine_topk", "topk_gate") else 0))  # fmt: skip
    return [(shape, "") for shape in shapes]
