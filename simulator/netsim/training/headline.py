"""The one row that a run comes to: flat, units in the names, for tables over many runs."""

from __future__ import annotations

from typing import Any


def headline(record: dict[str, Any]) -> dict[str, Any]:
    """What is asked first of a `netsim run` record: time, rate, efficiency, exposure, parts, price and power.

    Raises KeyError for a record of another command.
    """
    fabric, work, step, cost = (record[part] for part in ("topology", "workload", "step", "cost"))
    return {
        "topology": fabric["name"],
        "gpus": fabric["gpus"],
        "workload": work["name"],
        "schedule": work["schedule"],
        "step_time_s": step["time_s"],
        **_ends("step_time", step.get("interval_s")),
        "tokens_per_day": step["tokens_per_day"],
        "mfu_causal": step["mfu_causal"],
        "mfu_noncausal": step["mfu_noncausal"],
        "gpu_hours_per_trillion_tokens": step["gpu_hours_per_trillion_tokens"],
        "bubble_s": step["phases_s"]["bubble"],
        "exposed_comm_s": step["exposed_comm_s"],
        "hidden_comm_fraction": step["hidden_comm_fraction"],
        "switches": fabric["switches"],
        "switch_links": fabric["switch_links"],
        "network_usd": cost["network_usd"],
        "usd_per_gpu": cost["usd_per_gpu"],
        "power_kw": cost["power_kw"],
        "worst_latency_us": record["latency_us"]["worst"],
        "memory_gb": record["memory"]["total_gb"],
        "fits_memory": record["memory"]["fits"],
    }


def _ends(name: str, interval_s: list[float] | None) -> dict[str, float]:
    """Columns of both ends of an interval, where the record has one."""
    return {} if interval_s is None else {f"{name}_low_s": interval_s[0], f"{name}_high_s": interval_s[1]}
