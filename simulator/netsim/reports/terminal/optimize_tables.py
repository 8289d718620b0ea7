"""What `netsim optimize` prints: the best design, the runners-up and the front."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.rows import print_rows
from netsim.reports.terminal.sweep_tables import ends_of


def print_designs(result: dict[str, Any], keys: list[str]) -> None:
    from netsim.studies.axes import label

    how = {
        "bounds": "from the least exact bound up: no other design can be better",
        "exhaustive": "every design simulated",
        "optuna": "a sampled search: a better design may exist",
    }[result["method"]]
    limits = f" subject to {', '.join(result['subject_to'])}" if result["subject_to"] else ""
    print(
        f"Least {result['objective']}{limits}: {result['space']} designs, {result['cannot_be_built']} cannot be built"
    )
    print(f"{result['evaluations']} simulations, {how}")
    if result["least_step_s"] is not None:
        print(
            f"No fabric makes the step shorter than {result['least_step_s']:.3f} s (links of infinite rate)"
        )
    if result["least_tree_usd"] is not None:
        print(
            f"No tree of the space costs less than {result['least_tree_usd'] / 1e6:.2f} M$ (port counts alone)"
        )
    if result["best"] is None:
        why = f"; the first that cannot be built: {result['first_reason']}" if result["first_reason"] else ""
        print(f"No design obeys{why}")
    if result["decision"] is not None:
        print(result["decision"]["sentence"])
    supported = result["decision"] is None or result["decision"]["supported"]
    rows = [("", *keys, "step s", "80 %", "network M$", "power kW", "k$/T tokens", "GB")]
    groups = [
        ("best" if supported else "as computed", [result["best"]] if result["best"] else []),
        ("runner-up", result["runners_up"]),
    ]
    groups += [("front", result["front"]), ("does not fit", result["does_not_fit"])]
    for name, designs in groups:
        for found in designs:
            told = (
                found["step_time_s"],
                found["network_usd"] / 1e6,
                found["power_kw"],
                found["usd_per_trillion_tokens"] / 1e3,
                found["memory_gb"],
            )
            rows.append(
                (
                    name,
                    *(label(found[key]) for key in keys),
                    f"{told[0]:.4g}",
                    ends_of(found),
                    *(f"{x:.4g}" for x in told[1:]),
                )
            )
    print_rows(rows, left=len(keys) + 1)
