"""Where a step goes, for a person at a terminal: bars, sensitivities, the chain, and the operators that take most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netsim.analysis.binding import RESOURCES
from netsim.reports.explain_section import SHOWN, label
from netsim.reports.terminal.rows import print_rows

Row = Mapping[str, Any]
#: rows of the long tables that are printed; `-o` writes all
MOST = 12


def print_explained(explained: Mapping[str, Sequence[Row]], step_s: float) -> None:
    """Print the tables of `analysis.explain`."""
    print("\nFrom FLOPs at peak to the step, mean rank (s)")
    bars = [row for row in explained["waterfall"] if abs(row["seconds"]) > SHOWN * step_s]
    print_rows(
        [
            ("cause", "adds", "%", "up to"),
            *(
                (label(r), f"{r['seconds']:.3f}", f"{100 * r['seconds'] / step_s:.1f}", f"{r['end_s']:.3f}")
                for r in bars
            ),
        ],
        left=1,
    )
    print("\nWhat 1 % more of a resource gains")
    print_rows(
        [
            ("resource", "ms", "% of the step"),
            *(
                (RESOURCES[r["resource"]], f"{r['gain_s'] * 1e3:.2f}", f"{r['gain_pct']:.3f}")
                for r in explained["sensitivities"]
            ),
        ],
        left=1,
    )
    print("\nCritical path: the chain of tasks that sets the end")
    print_rows(_causes(explained["critical_path"]), left=3)
    print("\nOperators that take most of a mean rank's step")
    print_rows(_operators(explained["operators"]), left=4)
    hidden = len(explained["operators"]) - MOST
    if hidden > 0:
        print(f"... and {hidden} more: -o DIR writes operators.parquet")


def _causes(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("part", "of", "bound by", "s", "%")]
    for row in rows[:MOST]:
        words = (row["part"], row["kind"].replace("_", " "), row["bound_by"])
        found.append((*words, f"{row['seconds']:.3f}", f"{row['share_pct']:.1f}"))
    rest = sum(row["seconds"] for row in rows[MOST:])
    share = sum(row["share_pct"] for row in rows[MOST:])
    return [*found, ("the rest", "", "", f"{rest:.3f}", f"{share:.1f}")] if rest else found


def _operators(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    head = (
        "operator",
        "phase",
        "shape",
        "from",
        "runs",
        "ms",
        "s a step",
        "GFLOP",
        "MB",
        "% of peak",
        "GB/s",
    )
    return [
        head,
        *(
            (
                r["operator"], f"{r['layer']} {r['phase']}{' beside' if r['overlapped'] else ''}", r["shape"],
                r["origin"],
                f"{r['runs']:.0f}", f"{r['run_ms']:.3f}", f"{r['step_s']:.3f}", f"{r['gflop']:,.0f}", f"{r['mb']:,.0f}",
                f"{r['peak_pct']:.0f}", f"{r['gb_per_s']:,.0f}",
            )
            for r in rows[:MOST]
        ),
    ]  # fmt: skip
