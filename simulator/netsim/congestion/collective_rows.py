"""Rows of `netsim collective` with what packets make of them.

    packets_time_us         the row's time, with the bytes as long as their packets take
    packets_over_fluid      packets over fluid, the bytes alone
    measured_least, _most   the same as measured for this collective, algorithm and routing (`against_fluid.TABLE`)

Small rows are sent packet by packet there and then; those that would take too long have the measured range alone.
"""

from __future__ import annotations

from typing import Any

from netsim.collectives.overhead import efficiency
from netsim.collectives.sweep import Setup
from netsim.congestion.against_fluid import MAX_HOPS, compare, measured, plan_of
from netsim.errors import NetsimError
from netsim.specs import load
from netsim.specs.packets import PacketsSpec

#: from here on packets matter, and it is said
WARN = 1.05
_EXPERTS = ("dispatch", "combine")


def add_packets(setup: Setup, rows: list[dict[str, Any]], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with four keys more; `options` are those that made them.

    Raises NetsimError for experts that are not balanced: their flows are drawn, and would be others here.
    """
    for name in ("load", "redundant", "beside_compute", "gate", "workload"):
        if options.get(name):
            raise NetsimError(
                f"--packets --{name.replace('_', '-')}: packets are of balanced experts of deepseek-v3"
            )
    spec = load(PacketsSpec, "transport", "spray")
    return [_with_packets(setup, row, options.get("group_size"), spec) for row in rows]


def warnings(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence for each collective and algorithm whose packets take noticeably longer than the fluid."""
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["kind"], row["algorithm"]
        if row["packets_over_fluid"] is None or row["packets_time_us"] <= WARN * row["time_us"]:
            continue
        if key not in worst or row["packets_over_fluid"] > worst[key]["packets_over_fluid"]:
            worst[key] = row
    return [
        f"{kind} {algorithm}: at {row['size_bytes']:,} bytes packets take {row['packets_time_us']:,.2f} us, "
        f"{row['packets_time_us'] / row['time_us']:.2f} times the fluid answer"
        for (kind, algorithm), row in worst.items()
    ]


def _with_packets(
    setup: Setup, row: dict[str, Any], group_size: int | None, spec: PacketsSpec
) -> dict[str, Any]:
    kind, algorithm = row["kind"], row["algorithm"]
    experts = kind in _EXPERTS
    seen = measured(kind, algorithm, setup.routing)
    found: dict[str, Any] = {
        "packets_time_us": None,
        "packets_over_fluid": None,
        "measured_least": seen and seen[0],
        "measured_most": seen and seen[1],
    }
    size = row["size_bytes"] / (1.0 if experts else efficiency(setup.protocol, row["protocol"]))
    plan = plan_of(setup, kind, algorithm, row["ranks"] if experts else group_size)
    moved = float(plan.transfers.share.sum()) * size
    if moved / spec.packet.payload * (setup.topology.tiers + 2) <= MAX_HOPS:
        both = compare(setup, plan, size, spec)
        longer = both.repeats * (both.packets_s - both.fluid_s) * 1e6
        found["packets_time_us"] = max(row["time_us"] + longer, 0.0)
        found["packets_over_fluid"] = both.ratio
    return row | found
