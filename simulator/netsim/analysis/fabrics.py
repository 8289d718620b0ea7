"""Fabrics without a run: what one is and costs, several side by side, and cost over size.

Cost over years is `netsim.cost.owning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.cost.bill import network_cost
from netsim.cost.owning import ownership
from netsim.errors import NetsimError, SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.specs.prices import PriceBook
from netsim.topologies import Topology, build, latency_us, max_gpus, summary
from netsim.topologies.measure import properties


def describe(
    spec: TopologySpec, hardware: HardwareSpec, prices: PriceBook, gpus: int, years: float, run_days: float
) -> tuple[Topology, dict[str, Any]]:
    """A fabric, and all that can be said of it without a run.

    Raises SpecError when it cannot be built.
    """
    topology = build(spec, hardware, gpus)
    can = properties(topology, max_gpus(spec, hardware))
    cost = network_cost(topology, prices)
    cost["usd_per_bisection_GBps"] = (
        cost["network_usd"] / can["bisection_GBps"] if can["bisection_GBps"] else None
    )
    return topology, {
        "topology": summary(topology),
        "latency_us": latency_us(topology),
        "properties": can,
        "cost": cost,
        "ownership": ownership(cost, prices, years, run_days),
    }


def compare(
    specs: Sequence[TopologySpec],
    hardware: HardwareSpec,
    prices: PriceBook,
    gpus: int,
    years: float,
    run_days: float,
) -> list[dict[str, Any]]:
    """A row a fabric; one that cannot be built says why in `error`.

    Raises NetsimError when none can be built.
    """
    rows: list[dict[str, Any]] = []
    for spec in specs:
        try:
            _, found = describe(spec, hardware, prices, gpus, years, run_days)
        except SpecError as error:
            rows.append({"name": spec.name, "gpus": gpus, "error": str(error)})
            continue
        fabric, can, cost = found["topology"], found["properties"], found["cost"]
        rows.append(
            {
                "name": spec.name,
                "gpus": gpus,
                "switches": fabric["switches"],
                "switch_links": fabric["switch_links"],
                "network_usd": cost["network_usd"],
                "network_usd_low": cost["network_usd_low"],
                "network_usd_high": cost["network_usd_high"],
                "usd_per_gpu": cost["usd_per_gpu"],
                "power_kw": cost["power_kw"],
                "ownership_usd": found["ownership"]["total_usd"],
                "bisection_GBps": can["bisection_GBps"],
                "usd_per_bisection_GBps": cost["usd_per_bisection_GBps"],
                "permutation_bound": can["permutation_bound"],
                "worst_latency_us": found["latency_us"]["worst"],
                "max_gpus": can["max_gpus"],
                "error": None,
            }
        )
    if all(row["error"] for row in rows):
        raise NetsimError(rows[0]["error"])
    return rows


def cost_curve(
    specs: Sequence[TopologySpec], hardware: HardwareSpec, prices: PriceBook, sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Cost per GPU of each fabric at each size that it holds, in whole hosts."""
    rows = []
    per_host = hardware.gpus_per_host
    for spec in specs:
        most = max_gpus(spec, hardware)
        for gpus in sorted({max(per_host, size // per_host * per_host) for size in sizes}):
            if gpus <= most:
                topology = build(spec, hardware, gpus)
                cost = network_cost(topology, prices)
                rows.append(
                    {"name": spec.name, "gpus": gpus, "switches": topology.switches,
                     "network_usd": cost["network_usd"], "usd_per_gpu": cost["usd_per_gpu"]}
                )  # fmt: skip
    return rows
