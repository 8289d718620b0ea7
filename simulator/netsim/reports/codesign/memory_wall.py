"""The memory wall: HBM that decoding needs on a GPU, over context length and over model size, against what there is.

    need = weights of a GPU + reserve + requests x context x bytes cached a token      (`netsim.workloads.serving`)

for each kind of attention and for weights and cache in BF16 or both in FP8, on the deployment's expert-parallel unit.
The model grows by its routed experts alone, so its cache stays. Need is linear in context and in experts, so where it
meets the capacity is exact. Left out: what `netsim.workloads.serving` leaves out; capacity of hosts and disks.

Source: Insights into DeepSeek-V3, arXiv 2505.09343, section 2.1 (memory demand grows faster than HBM) and table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from netsim.inference import Deployment
from netsim.reports.plots import canvas
from netsim.specs.workload import ModelSpec, Precision
from netsim.workloads.attention import KINDS, with_attention
from netsim.workloads.model import total_parameters
from netsim.workloads.serving import Unit, serving_memory

Row = dict[str, Any]
PRECISIONS = ("bf16", "fp8")
#: requests a GPU that the pictures are of
REQUESTS = 32
_CONTEXTS = tuple(1024 * 2**n for n in range(11))
#: routed experts as multiples of the unit's GPUs
_EXPERTS = (1, 2, 4, 8, 16, 32, 64)
_COLOURS = {"mha": "#D55E00", "gqa": "#E69F00", "mqa": "#009E73", "mla": "#0072B2"}


@dataclass(frozen=True)
class Wall:
    """Rows of both sweeps, and where each line meets the capacity."""

    rows: list[Row]
    crossings: list[Row]
    capacity_gb: float


def memory_wall(deployment: Deployment, requests: int = REQUESTS) -> Wall:
    """HBM need of a decode GPU with `requests` requests."""
    model, context = deployment.workload.model, deployment.spec.decode.context
    unit, capacity = deployment.spec.decode.expert, deployment.hardware.gpu.hbm
    rows: list[Row] = []
    crossings: list[Row] = []
    for kind in KINDS:
        for precision in PRECISIONS:
            key: Row = {"attention": kind, "precision": precision}
            other = with_attention(model, kind)
            need = [_need(deployment, other, precision, requests, c) for c in _CONTEXTS]
            rows += [
                key | {"over": "context", "x": c, "need_gb": n / 1e9}
                for c, n in zip(_CONTEXTS, need, strict=True)
            ]
            crossings.append(key | {"over": "context", "x": _meets(_CONTEXTS, need, capacity)})
            sizes = [grown(other, n * unit) for n in _EXPERTS]
            totals = [total_parameters(size) for size in sizes]
            need = [_need(deployment, size, precision, requests, context) for size in sizes]
            rows += [
                key | {"over": "parameters", "x": p, "need_gb": n / 1e9}
                for p, n in zip(totals, need, strict=True)
            ]
            crossings.append(key | {"over": "parameters", "x": _meets(totals, need, capacity)})
    return Wall(rows, crossings, capacity / 1e9)


def grown(model: ModelSpec, experts: int) -> ModelSpec:
    """The model with another number of routed experts."""
    return model.model_copy(update={"moe": model.experts.model_copy(update={"experts": experts})})


def _need(d: Deployment, model: ModelSpec, precision: str, requests: int, context: int) -> float:
    kept = cast(Precision, precision)
    spec = d.spec
    unit = Unit(spec.decode.expert, mtp=spec.speculative.draft_tokens > 0)
    return serving_memory(
        model, unit, requests, context, (kept, kept), spec.memory.reserve, d.hardware.gpu.hbm
    ).total


def _meets(x: Any, need: list[float], capacity: float) -> float | None:
    """Where a straight line reaches the capacity; None where it begins above.

    >>> _meets([1.0, 2.0], [10.0, 20.0], 40.0), _meets([1.0, 2.0], [30.0, 60.0], 0.0)
    (4.0, None)
    """
    slope = (need[-1] - need[0]) / (x[-1] - x[0])
    found = x[0] + (capacity - need[0]) / slope
    return float(found) if found > 0 else None


def words(wall: Wall, requests: int = REQUESTS) -> list[str]:
    """The crossing points, a sentence a sweep."""
    said = []
    for over, what, scale, unit in (
        ("context", "tokens of context", 1.0, ""),
        ("parameters", "parameters", 1e9, " B"),
    ):
        least = min(row["x"] for row in wall.rows if row["over"] == over)
        parts = []
        for row in wall.crossings:
            if row["over"] == over:
                reached = row["x"] is not None and (over == "context" or row["x"] >= least)
                where = f"{row['x'] / scale:,.0f}{unit}" if reached else "never fits"
                parts.append(f"{row['attention'].upper()} {row['precision'].upper()} {where}")
        said.append(
            f"With {requests} requests a GPU, {wall.capacity_gb:.0f} GB are full at these {what}: {', '.join(parts)}."
        )
    return said


def draw(wall: Wall) -> Any:
    """Two panels, logarithmic: a colour a kind, a dashed line for FP8, the capacity across."""
    fig, axes = canvas(1, 2, width=10.0, height=3.8)
    for ax, over, label, scale in (
        (axes[0], "context", "context, thousands of tokens", 1e3),
        (axes[1], "parameters", "parameters, billions", 1e9),
    ):
        for kind in reversed(KINDS):  # what shares most below
            for precision in PRECISIONS:
                mine = [
                    row for row in wall.rows
                    if (row["over"], row["attention"], row["precision"]) == (over, kind, precision)
                ]  # fmt: skip
                ax.plot([row["x"] / scale for row in mine], [row["need_gb"] for row in mine],
                        "-" if precision == "bf16" else "--", color=_COLOURS[kind], lw=2.6 if kind == 'mla' else 1.3,
                        label=f"{kind.upper()} {precision.upper()}")  # fmt: skip
        for row in wall.crossings:
            xs = [r["x"] for r in wall.rows if r["over"] == over]
            if row["over"] == over and row["x"] is not None and min(xs) <= row["x"] <= max(xs):
                ax.plot(
                    row["x"] / scale, wall.capacity_gb, "o", ms=4, color=_COLOURS[row["attention"]], zorder=3
                )
        ax.axhline(wall.capacity_gb, color="#1c2127", lw=1.0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        low = float(np.min([row["need_gb"] for row in wall.rows]))
        ax.set_ylim(0.8 * low, 100 * wall.capacity_gb)
        ax.annotate(f"HBM {wall.capacity_gb:.0f} GB", (1.0, wall.capacity_gb), xycoords=("axes fraction", "data"),
                    xytext=(-2, 3), textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
        ax.set_xlabel(label)
        ax.set_ylabel("HBM needed on a GPU, GB")
    axes[0].legend(fontsize=7.5, ncols=2, loc="upper left")
    return fig
