"""One overlapped forward and backward chunk beside the public H800 trace of the same: the test of overlap.

The pair is 4 MoE layers forward and 4 backward on one pipeline rank of 64 GPUs, without pipeline sends, as
profiled. `simulate_pair` takes times from the profile and the network; `replay` takes every block's length from the
trace, which tests the order and the waits alone.

The hidden share counts kernels, as the trace does: the gaps between kernels hide nothing.

Source: github.com/deepseek-ai/profile-data at 4496024; `reports/studies/h800_trace/blocks.csv` has its 40 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netsim.execution.executor import Program, execute
from netsim.specs.case import Case
from netsim.specs.catalog import root
from netsim.topologies import build
from netsim.training.result import Columns, chunk_spans, step_exposure
from netsim.training.simulate import Job, Step, simulate_job
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Chunk, Order, Unit
from netsim.workloads.stages import Stage
from netsim.workloads.tasks import COMMUNICATION, EXPERT_TRANSFERS, Work, build_tasks

GPUS, TOKENS = 64, 4096
_STAGE: Stage = ("moe", "moe", "moe", "moe")
LAYERS = len(_STAGE)
#: names of the trace: the backward of a combine is a dispatch, and the other way round
TRACE_NAMES = {
    "dispatch": "dispatch(F)",
    "combine": "combine(F)",
    "cached_dispatch": "combine(B)",
    "combine_backward": "dispatch(B)",
}


@dataclass(frozen=True)
class Pair:
    """Times of the pair: its length, the hidden share of its transfers, and every block.

    block : (n,) names as in the trace; start_s, end_s : (n,) from the start of the pair
    """

    seconds: float
    hidden_fraction: float
    block: NDArray[np.str_]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]


#: what eight counts of rows that reached the experts of rank 0 say of how ranks differ: 28,416 to 36,864, standard
#: deviation 8.0 % (give or take a quarter of it), for the same layer not alike in two micro-batches. A rank has four
#: experts, so theirs is 16 %. Source: the trace, launch geometry of the grouped products.
TRACE_VARIATION: dict[str, Any] = {
    "variation.expert_load": "lognormal:0.16",
    "variation.redrawn": "microbatch",
}
#: the trace is a short window, from rest: its GPU had not reached the power limit
TRACE_SPEED: dict[str, Any] = {"compute.sustained": False}


def pair_step(case: Case, seed: int = 0) -> Step:
    """The step that consists of one overlapped pair."""
    plan = Plan(
        gpus=GPUS, pipeline=1, expert=GPUS, data=GPUS, groups=1, microbatches=2, microbatch_tokens=TOKENS,
        sequence_length=TOKENS,
    )  # fmt: skip
    topology = build(case.topology, case.hardware, GPUS)
    return simulate_job(case, topology, Job(plan, _order(), (_STAGE,)), seed=seed)


def _order() -> Order:
    """One rank, one chunk: the forward of one micro-batch beside the backward of another."""
    ahead, back = Unit(0, 1), Unit(0, 0)
    return Order(((Chunk(ahead, back, back),),))


def simulate_pair(case: Case) -> Pair:
    """The pair as netsim has it."""
    step = pair_step(case)
    columns, span = Columns(step), chunk_spans(step)[0]
    works = [step.graph.works[w] for w in columns.work]
    inside = np.array([w.name == "moe" or w.name in EXPERT_TRANSFERS for w in works])
    names = [_trace_name(w) for w in works]
    blocks = [step.timing.blocks[w] for w in works if w.name == "moe"]
    kernels = sum(b.busy_s for b in blocks) / sum(b.seconds for b in blocks)
    return Pair(
        seconds=float(span.end_s[-1] - span.start_s[0]),
        hidden_fraction=step_exposure(columns, COMMUNICATION).hidden_fraction * kernels,
        block=np.array(names)[inside],
        start_s=columns.start_s[inside] - span.start_s[0],
        end_s=columns.end_s[inside] - span.start_s[0],
    )


def notify_waits_s(case: Case, seeds: Sequence[int]) -> float:
    """How long a rank stands at the exchanges of the pair until the last rank is there: mean over ranks and seeds."""
    waits = [pair_step(case, seed).execution.wait_s for seed in seeds]
    return float(np.mean([wait for wait in waits if wait is not None]))


def read_trace() -> Pair:
    """The measured pair. Its hidden share is that of the transport kernels, 77.5 of 80.5 ms."""
    import pandas as pd

    rows = pd.read_csv(root() / "reports/studies/h800_trace/blocks.csv", comment="#")
    start, end = rows["start_us"].to_numpy() * 1e-6, rows["end_us"].to_numpy() * 1e-6
    return Pair(float(end.max()), 77.5 / 80.5, rows["block"].to_numpy(str), start, end)


def replay(measured: Pair) -> float:
    """Seconds of the pair when every block takes as long as it did in the trace.

    A block of the trace stands at the place of its layer pair: forward layer l beside backward layer LAYERS - 1 - l.
    """
    graph = build_tasks(_order(), (_STAGE,))
    first: dict[str, list[float]] = {}
    for name, length in zip(measured.block, measured.end_s - measured.start_s, strict=True):
        first.setdefault(str(name), []).append(float(length))
    tasks = [t for t, work in enumerate(graph.work) if _trace_name(graph.works[work]) in first]
    seconds = []
    for task in tasks:
        work = graph.works[graph.work[task]]
        place = graph.layer[task] if work.phase == "F" else LAYERS - 1 - graph.layer[task]
        seconds.append(first[_trace_name(work)][place])
    known = {task: n for n, task in enumerate(tasks)}
    waits = [[known[w] for w in graph.waits[task] if w in known] for task in tasks]
    program = Program(
        actor=np.zeros(len(tasks), dtype=np.int64),
        queue=np.array([graph.queue[task] for task in tasks]),
        seconds=np.array(seconds),
        transfer=np.full(len(tasks), -1),
        wait_ptr=np.concatenate([[0], np.cumsum([len(w) for w in waits])]),
        wait_ids=np.array([w for ws in waits for w in ws], dtype=np.int64),
        transfers=[],
        joint_size=[],
    )
    return float(execute(program, None).end_s.max())


def _trace_name(work: Work) -> str:
    return TRACE_NAMES.get(work.name, f"{work.block}({work.phase})")


def picture(measured: Pair, simulated: Pair) -> Figure:
    """Both pairs on one time axis, compute above communication."""
    blocks = ["attn(F)", "mlp(F)", "mlp(B)", "attn(B)", "mlp(W)", "attn(W)"]
    blocks += ["dispatch(F)", "combine(F)", "combine(B)", "dispatch(B)"]
    tones = ["#56B4E9", "#9BD1F2", "#E69F00", "#F2C766", "#CC79A7", "#E5B8D0"]
    tones += ["#0072B2", "#5A9BC7", "#D55E00", "#E8925A"]
    figure = Figure(figsize=(10.0, 3.0), layout="constrained")
    axes = figure.add_subplot()
    for place, pair in ((0.0, measured), (2.6, simulated)):
        for name, tone in zip(blocks, tones, strict=True):
            mine = pair.block == name
            row = place + (1.0 if name.startswith(("dispatch", "combine")) else 0.0)
            length = (pair.end_s - pair.start_s)[mine]
            bars = list(zip((pair.start_s[mine] * 1e3).tolist(), (length * 1e3).tolist(), strict=True))
            label = name if place == 0 else None
            axes.broken_barh(
                bars, (row - 0.45, 0.9), color=tone, edgecolor="white", linewidth=0.4, label=label
            )
    ticks = [f"{who}\n{what}" for who in ("trace", "netsim") for what in ("compute", "communication")]
    axes.set_yticks([0, 1, 2.6, 3.6], ticks, fontsize=8)
    axes.set(xlabel="time in the pair (ms)", ylim=(4.2, -0.6), xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=10, frameon=False, fontsize=7)
    return figure
