"""From the assigned kernels of a trace to the measured rows of a profile: one for each operator of a layer.

A row is the mean over layers of the time that an operator's kernels keep the GPU busy. Its runs are told
apart by how much of them a transfer covered: more than half is `beside`. Rows of experts differ from layer
to layer; launch geometry gives their number, and the row keeps the points. For the share of its time that a
persistent kernel had a transfer beside it, only communication kernels count that leave no registers for one of
its blocks on the SMs they hold, and those that merely wait for other ranks count too.

Left out: the spread over layers, drift of the clock, what waiting kernels cost other classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from netsim.calibration.assign import Assigned, covered_us, union_us
from netsim.calibration.kineto import Kernel
from netsim.errors import NetsimError
from netsim.specs.base import validate
from netsim.specs.profile import OperatorRow, Phase, Split
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.operators import Operator, block_operators

US = 1e-6
#: registers of an SM; NVIDIA H100 tuning guide
SM_REGISTERS = 65536
#: classes whose kernels launch one wave of blocks that loop
PERSISTENT = ("norm",)
#: blocks of a MoE layer in the order of a profile's table
PLACES: tuple[tuple[str, Phase], ...] = (
    ("attn", "F"), ("mlp", "F"), ("mlp", "B"), ("attn", "B"), ("mlp", "W"), ("attn", "W"),
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """An operator in one layer: busy time of one call, share of it with a transfer moving, share with its SMs
    taken, rows of experts (0: not its measure)."""

    seconds: float
    share: float
    taken: float
    rows: int


@dataclass(frozen=True)
class Observation:
    """Rows of a profile, the operators behind them by name, and operators that the trace does not hold."""

    rows: tuple[OperatorRow, ...]
    operators: Mapping[str, Operator]
    absent: tuple[str, ...]


def observe(found: Sequence[Assigned], workload: WorkloadSpec, fit: Sequence[str]) -> Observation:
    """The measured rows of a MoE layer of a workload.

    fit : names of the operators that class models may be fitted to; empty means all

    Raises NetsimError when no kernel is one of the workload's operators.
    """
    kernels: dict[tuple[str, str], dict[int, list[Assigned]]] = defaultdict(lambda: defaultdict(list))
    for a in found:
        if a.role and a.layer is not None:
            kernels[a.place, a.role][a.layer].append(a)
    transfers = [a.kernel for a in found if a.rule and a.rule.other == "transfer"]
    holders = [a.kernel for a in found if a.rule and a.rule.other in ("transfer", "wait")]
    rows: list[OperatorRow] = []
    operators: dict[str, Operator] = {}
    absent: list[str] = []
    seen = expert_rows(found)
    for block, phase in PLACES:
        for op, varies in _operators(workload, seen, block, phase):
            runs = kernels.get((f"{block}({phase})", op.name))
            if not runs:
                absent.append(op.name)
                continue
            measured = [
                _run(runs[layer], op, transfers, holders, seen.get((phase, layer), 0) if varies else 0)
                for layer in sorted(runs)
            ]
            operators[op.name] = op
            split: Split = "cal" if not fit or op.name in fit else "val_op"
            rows.append(_row(op, block, phase, measured, split))
    if not rows:
        raise NetsimError(
            f"no kernel is an operator of workload {workload.name}: the rules' `order` names none of them"
        )
    return Observation(tuple(rows), operators, tuple(absent))


def _operators(
    workload: WorkloadSpec, seen: Mapping[tuple[str, int], int], block: str, phase: Phase
) -> list[tuple[Operator, bool]]:
    """Operators of a block at the mean number of expert rows, and whether theirs is that number."""
    batch, moe = workload.batch, workload.model.experts
    tokens = batch.microbatch_sequences * batch.sequence_length
    local = max(1, moe.experts // workload.parallelism.expert)
    counts = [rows for (at, _), rows in seen.items() if at == phase]
    mean = round(fmean(counts)) if counts else tokens * moe.top_k
    made, other = (
        block_operators(workload.model, "moe", block, phase, tokens, batch.sequence_length, rows, local)
        for rows in (mean, 2 * mean)
    )
    return [(op, op.shape[0] != twin.shape[0]) for op, twin in zip(made, other, strict=True)]


def expert_rows(found: Sequence[Assigned]) -> dict[tuple[str, int], int]:
    """(phase, layer) -> rows of the local experts, from kernels of the expert blocks that launch by row."""
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    for a in found:
        if (
            a.block
            and a.layer is not None
            and a.block.block == "mlp"
            and a.role.startswith("routed")
            and "rows" in a.dims
        ):
            seen[a.block.phase, a.layer].append(a.dims["rows"])
    return {key: int(median(values)) for key, values in seen.items()}


def _run(
    run: Sequence[Assigned], op: Operator, transfers: Sequence[Kernel], holders: Sequence[Kernel], rows: int
) -> Run:
    kernels = [a.kernel for a in run]
    total = sum(k.duration_us for k in kernels) or 1.0
    share = taken = sum(covered_us(k, transfers) for k in kernels) / total
    if op.kind in PERSISTENT:
        taken = sum(covered_us(k, [h for h in holders if no_room(k, h)]) for k in kernels) / total
    return Run(union_us(kernels) * US / op.calls, share, taken, rows)


def no_room(kernel: Kernel, holder: Kernel) -> bool:
    """Whether a block of a kernel finds too few registers on an SM that holds a block of another.

    A norm of 128 threads x 168 registers (21,504) beside a dispatch of 512 x 110 (56,320 of 65,536) does.
    """
    return kernel.block_registers + holder.block_registers > SM_REGISTERS


def _row(op: Operator, block: str, phase: Phase, runs: Sequence[Run], split: Split) -> OperatorRow:
    mean_rows = fmean(run.rows for run in runs)
    even = [run.seconds * (mean_rows / run.rows if run.rows else 1.0) for run in runs]
    alone = [seconds for seconds, run in zip(even, runs, strict=True) if run.share <= 0.5]
    beside = [seconds for seconds, run in zip(even, runs, strict=True) if run.share > 0.5]
    points = len({run.rows for run in runs}) > 1
    return make_row(
        name=op.name,
        block=block,
        phase=phase,
        kind=op.kind,
        shape=list(op.shape),
        calls=op.calls,
        split=split,
        overlapped=fmean(run.seconds for run in runs),
        alone=fmean(alone) if alone else None,
        beside=fmean(beside) if beside else None,
        transport_share=round(fmean(run.taken for run in runs), 3),
        rows=[run.rows for run in runs] if points else [],
        row_times=[run.seconds for run in runs] if points else [],
    )


def make_row(**cells: Any) -> OperatorRow:
    """A row of a profile from seconds as numbers."""
    for key in ("overlapped", "alone", "beside"):
        if cells.get(key) is None:
            cells.pop(key, None)
        else:
            cells[key] = microseconds(cells[key])
    cells["row_times"] = [microseconds(seconds) for seconds in cells.get("row_times", ())]
    return validate(OperatorRow, cells, f"operator {cells['name']}")


def microseconds(seconds: float) -> str:
    """As a profile writes it.

    >>> microseconds(0.0001235)
    '123.5 us'
    """
    return f"{seconds * 1e6:.6g} us"
