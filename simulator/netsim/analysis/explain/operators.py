"""The operators of a step, like a profiler's table: time, shape, FLOPs, bytes, efficiency, origin; and what the time of
each went into, so that blocks can be split by class.

    ideal      FLOPs at the peak of the format
    alone      as measured or modelled, on a GPU that has rested, nothing beside it
    beside     what a resident transfer adds
    power      what the power limit adds
    gap        idle time behind its kernels

An operator is bound by what its class model names: the tensor cores, memory, or its launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy
from netsim.compute.device import target_device
from netsim.training.simulate import Step
from netsim.workloads.operators import Operator
from netsim.workloads.tasks import Work


@dataclass(frozen=True)
class Piece:
    """One operator of a block, its time in parts (seconds of all its calls)."""

    op: Operator
    ideal_s: float
    alone_s: float
    beside_s: float
    power_s: float
    gap_s: float
    origin: str
    bound: str

    @property
    def seconds(self) -> float:
        """Time on the compute stream."""
        return self.alone_s + self.beside_s + self.power_s + self.gap_s


def pieces(step: Step, work: Work) -> list[Piece]:
    """The operators of a block of compute; their seconds add up to the block's."""
    timing = step.timing
    device = target_device(step.case.profile, step.case.hardware)
    found = []
    for op in timing.operators(work):
        time, alone = timing.model.operator_time(op, work.overlapped), timing.model.operator_time(op, False)
        gap_s = step.case.profile.gap * op.calls
        found.append(
            Piece(
                op,
                ideal_s=op.flops / device.peak(op.kind) if op.flops else 0.0,
                alone_s=alone.seconds,
                beside_s=time.seconds - alone.seconds,
                power_s=time.seconds * (timing.stretch(work, op) - 1.0),
                gap_s=gap_s,
                origin=time.origin,
                bound=alone.bound,
            )
        )
    return found


def times_run(found: Anatomy) -> NDArray[np.float64]:
    """(works,) how often each block runs on the mean rank."""
    ranks = float(found.groups_in.sum())
    weight = found.groups_in[found.actor] / ranks
    times = np.bincount(
        found.work[found.computes], weights=weight[found.computes], minlength=len(found.works)
    )
    return times.astype(float)


def operator_rows(found: Anatomy) -> list[dict[str, Any]]:
    """A row an operator of a block: how often it runs on the mean rank, and what a run takes."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for work, times in zip(found.works, times_run(found).tolist(), strict=True):
        if not times or work not in found.step.timing.blocks:
            continue
        for piece in pieces(found.step, work):
            key = (work.name, work.block, work.phase, work.overlapped, piece.op.name, piece.op.shape)
            row = rows.setdefault(key, _row(work, piece))
            row["runs"] += times
            row["step_s"] += times * piece.seconds
    for row in rows.values():
        row["share_pct"] = 100.0 * row["step_s"] / found.step_s
    return sorted(rows.values(), key=lambda row: (-row["step_s"], row["operator"], row["layer"]))


def _row(work: Work, piece: Piece) -> dict[str, Any]:
    op, seconds = piece.op, piece.seconds
    return {
        "layer": work.name,
        "block": work.block,
        "phase": work.phase,
        "overlapped": work.overlapped,
        "operator": op.name,
        "class": op.kind,
        "shape": "x".join(map(str, op.shape)),
        "calls": op.calls,
        "runs": 0.0,
        "run_ms": seconds * 1e3,
        "step_s": 0.0,
        "gflop": op.flops / 1e9,
        "mb": op.bytes / 1e6,
        "tflops": op.flops / seconds / 1e12 if seconds else 0.0,
        "gb_per_s": op.bytes / seconds / 1e9 if seconds else 0.0,
        "peak_pct": 100.0 * piece.ideal_s / seconds if seconds else 0.0,
        "bound_by": {"compute": "tensor cores" if op.flops else "SMs"}.get(piece.bound, piece.bound),
        "origin": piece.origin,
    }
