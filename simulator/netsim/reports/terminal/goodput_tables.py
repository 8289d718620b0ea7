"""What `netsim goodput` prints."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.rows import print_rows


def _ends(interval: list[float]) -> str:
    return f"{interval[0]:,.0f}-{interval[1]:,.0f}"


def print_goodput(record: dict[str, Any]) -> None:
    """The record as text."""
    fabric, policy, expected = record["topology"], record["policy"], record["goodput"]
    sampled, stops, best = record["sampled"], record["stops"], record["best_interval_s"]
    print(
        f"{record['workload']['name']} on {fabric['gpus']:,} GPUs over {fabric['name']}: "
        f"goodput {expected['total']:.1%} in the long run, {sampled['mean']:.1%} over {sampled['days']} days "
        f"({sampled['p5'][-1]:.1%} to {sampled['p95'][-1]:.1%} in nine of ten runs)"
    )
    print(
        f"= {expected['running']:.2%} not waiting for repairs x {expected['saved']:.2%} of it saved x "
        f"{expected['speed']:.3%} of full speed; {expected['steps_per_day']:,.0f} steps a day of "
        f"{record['workload']['steps_per_day']:,.0f} (80 %: {_ends(expected['steps_per_day_interval'])} of "
        f"{_ends(record['workload']['steps_per_day_interval'])})"
    )
    print(
        f"Stops {stops['per_day']:.2f} times a day; a checkpoint of {policy['checkpoint_s']:.1f} s after every "
        f"{policy['checkpoint_interval_s'] / 60:.1f} min of work, restart {policy['restart_s'] / 60:.1f} min, "
        f"{policy['spares']} spare hosts; a host without a NIC "
        f"{'sends over its others' if policy['forwarding'] else 'stops the job'}"
    )
    if best is not None:
        exact, young, daly = (f"{best[name] / 60:.1f}" for name in ("exact", "young", "daly"))
        print(f"Best interval: {exact} min (Young {young}, Daly {daly})")
    print(
        "By spares: "
        + ", ".join(f"{row['spares']}: {row['goodput']:.1%}" for row in record["by_spares"])
        + "\n"
    )
    head = ["part", "effect", "count", "MTBF", "a day", "repair", "away", "speed then"]
    rows = [head]
    for part in record["parts"]:
        slowed = part["effect"] == "slows"
        rows.append(
            [
                part["part"],
                part["effect"],
                f"{part['count']:,}",
                f"{part['mtbf_days'] / 365.25:.1f} y",
                f"{part['failures_per_day']:.3f}",
                f"{part['repair_h']:.0f} h",
                f"{part['mean_away']:.3f}",
                f"{part['speed_while_away']:.2%}" if slowed else "",
            ]
        )
    print_rows(rows, left=2)
    print(
        "\neffect: host, goes on with a spare host; restart, on the same; wait, when it is repaired; slows, goes on"
    )
