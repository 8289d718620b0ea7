"""What `netsim share` prints: jobs alone and together, and the collectives that suffer most."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.rows import print_rows


def print_sharing(record: dict[str, Any]) -> None:

    fabric = record["topology"]
    print(
        f"{fabric['gpus']:,} GPUs over {fabric['name']}, {fabric['idle_hosts']} of {fabric['hosts']} hosts idle\n"
    )
    rows = [["job", "gpus", "plan", "alone_s", "together_s", "slowdown", "shared"]]
    for job in record["jobs"]:
        times = (f"{job['alone_s']:.3f}", f"{job['together_s']:.3f}", f"{job['slowdown']:.4f}")
        plan = job["parallelism"].replace(" ", "_")
        rows.append([job["name"], f"{job['gpus']:,}", plan, *times, f"{job['shared_fraction']:.0%}"])
    print_rows(rows, left=1)
    print("\nslowest collectives beside the others")
    rows = [["job", "collective", "alone_ms", "together_ms", "slowdown", "bound_by"]]
    for job in record["jobs"]:
        moved = [c for c in job["collectives"] if c["slowdown"] is not None]
        for row in sorted(moved, key=lambda c: -c["slowdown"])[:3]:
            times = (f"{row['alone_ms']:.2f}", f"{row['together_ms']:.2f}", f"{row['slowdown']:.3f}")
            rows.append([job["name"], row["kind"], *times, row["bottleneck"]])
    print_rows(rows, left=2)
