"""Fabrics without a run: what one is and costs, several side by side, and cost over size.

Total cost of ownership over N years: capex, electricity (power x PUE x hours x price) and upkeep (a part of capex a
year). Energy of a run: the network's power x PUE for as long as the run takes. Left out: interest, depreciation,
floor space, staff, and the hosts themselves. All rates are the price book's (`running`), with their source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.cost.bill import network_cost
from netsim.errors import NetsimError, SpecError
from netsim.specs import HardwareSpec, TopologySpec
from netsim.specs.prices import PriceBook
from netsim.topologies import Topology, build, latency_us, max_gpus, summary
from netsim.topologies.measure import properties

_HOURS_A_YEAR = 8766.0


def ownership(cost: dict[str, Any], prices: PriceBook, years: float, run_days: float) -> dict[str, float]:
    """What the network of a `network_cost` takes over the years, and a run's share of the electricity.

    Raises NetsimError for years or days that are negative or without end.
    """
    for name, value, most in (("years", years, 1e3), ("run_days", run_days, 1e6)):
        if not 0.0 <= value <= most:  # NaN is in no interval
            raise NetsimError(f"{name} = {value:g}: must be from 0 to {most:,.0f}")
    running, kw = prices.running, cost["power_kw"] * prices.running.pue
    electricity = kw * _HOURS_A_YEAR * years * running.usd_per_kwh
    upkeep = cost["network_usd"] * running.upkeep_per_year * years
    return {
        "years": years,
        "capex_usd": cost["network_usd"],
        "electricity_usd": electricity,
        "upkeep_usd": upkeep,
        "total_usd": cost["network_usd"] + electricity + upkeep,
        "run_days": run_days,
        "run_energy_MWh": kw * run_days * 24 / 1e3,
        "run_energy_usd": kw * run_days * 24 * running.usd_per_kwh,
    }


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
