"""How much longer the compute of a training step takes once the GPU runs at its power limit: plan, table and result.

A profile taken in a short window of a GPU that was at rest shows clocks that a GPU under load does not hold. So the
kernels of one MoE layer, forward, input gradient and weight gradient in the order of an overlapped chunk, run over and
over: *cold*, the first `COLD_LAYERS` layers after `REST_S` seconds of rest, `COLD_RUNS` times; then *steady*, the
second half of one long run.

    slowdown = (mean layer of the steady half) / (mean layer of a cold window, median of the windows)

A ratio of the same kernels on the same GPU: what stands in for the kernels of another library cancels, as far as it
draws as much power. FP8 products have a scale a row, an expert at a time, since these leave the SMs alone that they are
told to leave (BF16 ones do not: `--side-sms 0`); those SMs are held by a resident kernel for the share of each block in
which a profile has a transfer resident, waiting (as a transfer kernel does most of the time) or streaming a copy.

Left out: operators that nothing measured stands for (they are listed), how warm other GPUs and their rooms are, and
the host.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from netsim.errors import NetsimError
from netsim.measure.draws import Draws
from netsim.measure.plan import stand_ins
from netsim.measure.shapes import Shape, gemm
from netsim.specs.formats import format_of, role_of
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.operators import Operator, block_operators

#: blocks of a layer in the order of the compute queue of an overlapped chunk (`workloads.tasks`)
BLOCKS = (("attn", "F"), ("mlp", "B"), ("mlp", "W"), ("mlp", "F"), ("attn", "B"), ("attn", "W"))
COLD_LAYERS, COLD_RUNS, REST_S = 4, 6, 8.0
#: most launches of one operator: tiny kernels of the gate are many, and draw little power
_MOST_CALLS = 8


@dataclass(frozen=True)
class Block:
    """Kernels of a block in order, and the operators that nothing stands for."""

    name: str
    shapes: tuple[Shape, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One block of one run: when it began after the run did, how long it took, and the SM clock meanwhile."""

    window: str
    """cold or long"""
    run: int
    layer: int
    t_s: float
    block: str
    ms: float
    sm_clock_GHz: float


@dataclass(frozen=True)
class Slowdown:
    """Mean milliseconds of a layer: of a cold window, median (and median deviation) of the windows, since a pause of
    the host can spoil one; and in the steady half."""

    cold_ms: float
    cold_deviation_ms: float
    steady_ms: float
    cold_GHz: float
    steady_GHz: float

    @property
    def factor(self) -> float:
        """How much longer a layer takes under load than from rest."""
        return self.steady_ms / self.cold_ms

    def facts(self) -> dict[str, float]:
        """Rounded, for the provenance of a table."""
        found = {"factor": self.factor, **asdict(self)}
        return {name: round(value, 4) for name, value in found.items()}


def layer_blocks(workload: WorkloadSpec, seed: int) -> tuple[Block, ...]:
    """Kernels of a MoE layer of the workload, one micro-batch, balanced experts.

    Raises NetsimError for a model without experts.
    """
    moe, batch = workload.model.moe, workload.batch
    if moe is None:
        raise NetsimError(f"measure --soak: workload {workload.name} has no MoE layer")
    tokens = batch.microbatch_sequences * batch.sequence_length
    local = max(1, moe.experts // workload.parallelism.expert)
    draws, found = Draws(seed, "soak"), []
    for block, phase in BLOCKS:
        ops = block_operators(
            workload.model, "moe", block, phase, tokens, batch.sequence_length, tokens * moe.top_k, local,
            products=workload.compute.products, head=workload.compute.head, core=workload.compute.attention,
        )  # fmt: skip
        chosen = [(op, _kernels(op, workload, draws)) for op in ops]
        shapes = tuple(shape for op, some in chosen for shape in some * min(op.calls, _MOST_CALLS))
        found.append(Block(f"{block}({phase})", shapes, tuple(op.name for op, some in chosen if not some)))
    return tuple(found)


def _kernels(op: Operator, workload: WorkloadSpec, draws: Draws) -> list[Shape]:
    role, dtype = role_of(op.kind), "bf16" if format_of(op.kind) == "bf16" else "fp8_row"
    if role in ("gemm", "wgrad"):
        m, n, k = op.shape
        return [gemm(dtype, m, n, k)]
    if role == "grouped_gemm":
        rows, n, k, groups = op.shape
        return [gemm(dtype, rows // groups // 16 * 16, n, k)] * groups
    if role == "grouped_wgrad":
        rows, n, k, groups = op.shape
        return [gemm(dtype, n, k, rows // groups // 16 * 16)] * groups
    return stand_ins(op, workload, draws)[:1]


def slowdown(samples: Iterable[Sample]) -> Slowdown:
    """The result of a run.

    Raises NetsimError where a window holds no whole layer, or a time or clock is not a positive number.
    """
    layers: dict[tuple[str, int, int], list[Sample]] = {}
    for sample in samples:
        if not (0.0 < sample.ms < np.inf and 0.0 < sample.sm_clock_GHz < np.inf):
            raise NetsimError(f"measure --soak: {sample}: ms and sm_clock_GHz must be positive numbers")
        layers.setdefault((sample.window, sample.run, sample.layer), []).append(sample)
    names = [f"{block}({phase})" for block, phase in BLOCKS]
    whole = [(key, blocks) for key, blocks in layers.items() if [b.block for b in blocks] == names]
    cold = [(key[1], blocks) for key, blocks in whole if key[0] == "cold" and key[2] < COLD_LAYERS]
    long = [blocks for key, blocks in whole if key[0] == "long"]
    end = max((blocks[-1].t_s for blocks in long), default=0.0)
    steady = [blocks for blocks in long if blocks[0].t_s >= end / 2]
    if not cold or not steady:
        raise NetsimError("measure --soak: no whole layer in the cold windows or in the steady half")
    runs = {run: [_ms(blocks) for r, blocks in cold if r == run] for run, _ in cold}
    means = [float(np.mean(values)) for values in runs.values()]
    return Slowdown(
        cold_ms=float(np.median(means)),
        cold_deviation_ms=float(np.median(np.abs(np.subtract(means, np.median(means))))),
        steady_ms=float(np.mean([_ms(blocks) for blocks in steady])),
        cold_GHz=_clock([blocks for _, blocks in cold]),
        steady_GHz=_clock(steady),
    )


def _ms(blocks: Sequence[Sample]) -> float:
    return sum(block.ms for block in blocks)


def _clock(layers: Sequence[Sequence[Sample]]) -> float:
    """Mean over time."""
    ms = [block.ms for blocks in layers for block in blocks]
    return float(np.average([block.sm_clock_GHz for blocks in layers for block in blocks], weights=ms))


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Samples as CSV.

    Raises NetsimError when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([field.name for field in fields(Sample)])
            for s in samples:
                cells = asdict(s) | {
                    "t_s": f"{s.t_s:.4f}", "ms": f"{s.ms:.4f}", "sm_clock_GHz": f"{s.sm_clock_GHz:.4f}",
                }  # fmt: skip
                writer.writerow(cells.values())
    except OSError as error:
        raise NetsimError(f"{path}: {error.strerror}") from error


def read_samples(path: Path) -> list[Sample]:
    """Samples of a CSV that `write_samples` wrote.

    Raises NetsimError for a file that is not one.
    """
    names = [field.name for field in fields(Sample)]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != names:
                raise NetsimError(f"{path}: not a table of netsim measure --soak: the columns differ")
            return [
                Sample(
                    row["window"], int(row["run"]), int(row["layer"]), float(row["t_s"]), row["block"],
                    float(row["ms"]), float(row["sm_clock_GHz"]),
                )
                for row in reader
            ]  # fmt: skip
    except OSError as error:
        raise NetsimError(f"{path}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise NetsimError(f"{path}: line {reader.line_num}: {error}") from error
