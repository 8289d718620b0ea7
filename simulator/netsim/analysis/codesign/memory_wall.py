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

from netsim.inference import Deployment
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
