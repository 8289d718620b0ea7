"""One point of a comparison, as rows: the step, what it is made of, what binds it, and what the idle fabric can do.

breakdown   step = compute + idle in chunks + bubble + tail (gradient exchange and optimizer), of a mean rank
cables      how many cables between switches a byte crosses that has left a NIC, mean over the step
curves      all-to-all of the job's expert groups and of groups eight times as large, every group at once, and
            all-reduce over all GPUs, on an otherwise idle fabric
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.analysis.binding import binding
from netsim.analysis.comparison.money import growth_rows, price_rows
from netsim.analysis.comparison.question import CompareRequest, Point
from netsim.analysis.uncertainty.draws import design
from netsim.analysis.uncertainty.interval import add_intervals, how_sure
from netsim.collectives.sizes import parse_sizes
from netsim.collectives.sweep import Setup, groups_of, sweep
from netsim.errors import NetsimError
from netsim.specs import load
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import max_gpus
from netsim.training.headline import headline
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract
from netsim.training.tables import links_table

Rows = list[dict[str, Any]]
#: all-to-all over so many expert groups together
_WIDER = 8


def measure(
    request: CompareRequest, point: Point, resources: tuple[str, ...], curves: bool
) -> dict[str, Any]:
    """All rows of a point; one that cannot be built or simulated is a row with its error.

    resources : what to simulate again with more of; curves : also the rows that need no step.
    """
    case = request.case(point)
    key = {"topology": case.topology.name, "workload": case.workload.name, "gpus": point.gpus}
    try:
        step = simulate(case, point.gpus, scaling=request.question.scaling, seed=request.question.seed)
        found = {"binding": [key | row for row in binding(step, resources)]}
    except NetsimError as error:
        return {"key": key, "error": str(error)}
    if curves:
        record, sure = contract(step), how_sure(step)
        add_intervals(record, sure)
        bandwidth, notes = _curves(request, step)
        found |= {
            "comparison": [_row(step, record)],
            "breakdown": [key | breakdown(record["step"])],
            "collectives": [key | row for row in record["collectives"]],
            "latency": [
                key | {"path": path, "latency_us": value} for path, value in record["latency_us"].items()
            ],
            "bandwidth": [key | row for row in bandwidth],
            "bill": [key | line for line in record["cost"]["lines"]],
            "prices": [key | row for row in price_rows(step.topology, case.prices)],
            "growth": [key | row for row in growth_rows(case, point.gpus)],
        }
        return {"key": key, "error": None, "tables": found, "notes": [*record["warnings"], *notes],
                "provenance": record["provenance"], "prices": _prices(record["cost"]),
                "design": key | design(sure, case.topology.name)}  # fmt: skip
    return {"key": key, "error": None, "tables": found}


def _row(step: Step, record: dict[str, Any]) -> dict[str, Any]:
    """The headline, and what the words need."""
    cost = record["cost"]
    return headline(record) | {
        "network_usd_low": cost["network_usd_low"],
        "network_usd_high": cost["network_usd_high"],
        "switch_usd": cost["switch_usd"],
        "cable_usd": cost["cable_usd"],
        "nic_usd": cost["nic_usd"],
        "planes": record["topology"]["planes"],
        "tiers": record["topology"]["tiers"],
        "cables_crossed": cables_crossed(step),
        "max_gpus": max_gpus(step.case.topology, step.case.hardware),
        "ranks_differ": step.ranks is not None,
        "error": None,
    }


def breakdown(step: dict[str, Any]) -> dict[str, float]:
    """Seconds of a mean rank; they add up to the step."""
    phases = step["phases_s"]
    chunks = sum(phases[name] for name in ("1F", "1B", "1W", "1F1B"))
    return {
        "compute_s": chunks - step["chunk_idle_s"],
        "chunk_idle_s": step["chunk_idle_s"],
        "bubble_s": phases["bubble"],
        "tail_s": phases["opt"],
    }


def cables_crossed(step: Step) -> float:
    """Bytes over cables between switches per byte that leaves a NIC."""
    links = links_table(step)
    carried = links["links"] * links["carried_bytes"]
    left = float(carried[links["kind"] == "port_tx"].sum())
    return float(carried[links["resource"] == "fabric"].sum()) / left if left else 0.0


def _curves(request: CompareRequest, step: Step) -> tuple[Rows, list[str]]:
    """Rows of collectives over message sizes, and a note for each that cannot be run."""
    setup = Setup(
        step.topology, load(ProtocolSpec, "protocol", "nccl"), step.case.topology.routing, step.seed
    )
    gpus, expert = step.plan.gpus, max(step.plan.expert, step.topology.gpus_per_host)
    asked = [("all_to_all", expert), ("all_to_all", min(_WIDER * expert, gpus)), ("all_reduce", gpus)]
    rows, notes = [], []
    for kind, ranks in dict.fromkeys(asked):
        try:
            found = sweep(setup, kind, groups_of(gpus, ranks), parse_sizes(request.sizes))
        except NetsimError as error:
            notes.append(f"{kind.replace('_', '-')} of {ranks} ranks: {error}")
            continue
        rows += [{"collective": row.kind, **row.record()} for row in found]
    for row in rows:
        row.pop("kind")
    return rows, notes


def _prices(cost: dict[str, Any]) -> dict[str, Any]:
    return {key: cost[key] for key in ("price_book", "price_date", "status", "leaves_out")}


def near_zero(value: float, scale: float) -> bool:
    """Whether a difference is none that anybody could measure: below a thousandth of the scale.

    >>> near_zero(0.01, 17.9), near_zero(0.1, 17.9)
    (True, False)
    """
    return bool(np.abs(value) < 1e-3 * np.abs(scale))
