"""What a network costs over years, and what a trillion tokens cost: one definition for every command.

Total cost of ownership over N years: capex, electricity (power x PUE x hours x price) and upkeep (a part of capex a
year). Energy of a run: the network's power x PUE for as long as the run takes. Left out: interest, depreciation,
floor space, staff, and the hosts themselves. All rates are the price book's (`running`), with their source.

Dollars per trillion tokens = hours x (GPUs x price of a GPU-hour + network an hour), where the network an hour is its
ownership spread over `years`. The price of a GPU-hour, 2 $ by default, is the rental price of the DeepSeek-V3 technical
report, which covers a network too: the sum is high by that, differences between networks are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.errors import NetsimError
from netsim.specs.prices import PriceBook

_HOURS_A_YEAR = 8766.0
#: over how many years a network is paid, unless a study says otherwise
YEARS = 4.0


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


def network_usd_per_hour(cost: Mapping[str, Any], prices: PriceBook, years: float = YEARS) -> float:
    """Ownership of a network, spread evenly over its years."""
    return ownership(dict(cost), prices, years, 0.0)["total_usd"] / (years * _HOURS_A_YEAR)


def usd_per_hour(gpus: int, gpu_hour_usd: float, network_usd: float) -> float:
    """What an hour of a cluster costs: its GPUs rented, and the network's part.

    >>> usd_per_hour(2048, 2.0, 400.0)
    4496.0
    """
    return gpus * gpu_hour_usd + network_usd
