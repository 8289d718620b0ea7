"""What `netsim sweep` prints: a row a point, and the findings."""

from __future__ import annotations

from typing import Any

from netsim.analysis.uncertainty.interval import ends_words
from netsim.reports.terminal.rows import print_rows
from netsim.studies.sweep import Outcome


def print_outcome(outcome: Outcome, most: int = 40) -> None:
    from netsim.studies.axes import label
    from netsim.studies.findings import findings, varied_keys

    keys = varied_keys(outcome)
    head = (*keys, "step s", "80 %", "network M$", "power kW", "GPU memory", "")
    rows = [head]
    for record in outcome.records[:most]:
        settings = [label(record[key]) if key in record else "" for key in keys]
        if record["status"] == "ok":
            fits = f"{record['memory_gb']:.1f} GB" + ("" if record["fits_memory"] else " (does not fit)")
            found = [
                f"{record['step_time_s']:.3f}",
                ends_of(record),
                f"{record['network_usd'] / 1e6:.2f}",
                f"{record['power_kw']:.0f}",
            ]
            rows.append((*settings, *found, fits, ""))
        else:
            rows.append((*settings, "", "", "", "", "", f"{record['status']}: {record['reason']}"))
    _flush_reasons(rows)
    print_rows([row[:-1] for row in rows] if not any(row[-1] for row in rows) else rows, left=len(keys))
    if len(outcome.records) > most:
        print(f"... and {len(outcome.records) - most} more points in table.csv")
    print()
    for line in findings(outcome):
        print(line)


def ends_of(record: dict[str, Any]) -> str:
    """The interval of a step, where a table has it."""
    known = record.get("step_time_low_s"), record.get("step_time_high_s")
    return "" if None in known else ends_words(*known)  # type: ignore[arg-type]


def _flush_reasons(rows: list[tuple[str, ...]]) -> None:
    """Reasons start below each other."""
    widest = max(len(row[-1]) for row in rows)
    rows[:] = [(*row[:-1], row[-1].ljust(widest)) for row in rows]
