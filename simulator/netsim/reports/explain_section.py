"""The part of a run's page that explains the step: bars from FLOPs at peak to the step, and the tables behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netsim.analysis.binding import RESOURCES
from netsim.reports.page import Beside, Column, Figure, Part, Section, Table, Text
from netsim.reports.page.parts import number
from netsim.reports.plots import MUTED, SIMULATED, canvas, svg

Row = Mapping[str, Any]
#: part of the waterfall -> colour: the ideal, compute, waiting
_COMPUTE, _WAITING = "#56B4E9", "#D55E00"
_COLOURS = {
    "ideal": SIMULATED,
    "schedule": _WAITING,
    "uneven": _WAITING,
    "exposed": _WAITING,
    "skew": _WAITING,
}
#: bars that are less of the step than this are not drawn
SHOWN = 1e-6


def explain_section(explained: Mapping[str, Sequence[Row]], step_s: float) -> Section:
    """Where the whole step goes."""
    bars = [row for row in explained["waterfall"] if abs(row["seconds"]) > SHOWN * step_s]
    return Section("explained", "From FLOPs at peak to the step", [*_bars(bars, step_s), *_tables(explained)])


def label(row: Row) -> str:
    """A bar in words."""
    if row["part"] == "efficiency":
        return f"efficiency, {row['name']}"
    return f"exposed, {row['name']}" if row["part"] == "exposed" else str(row["name"])


def _bars(bars: Sequence[Row], step_s: float) -> list[Part]:
    ideal = bars[0]["seconds"] if bars else 0.0
    words = Text(
        f"At the peak of its tensor cores the mean rank would need {ideal:.2f} s of the {step_s:.3f} s. Each bar is "
        "what one cause adds; the last ends at the step. Causes of waiting come from the executed tasks, run again "
        "without one thing after the other."
    )
    picture = Figure("waterfall", "What the mean rank's step consists of.", _picture(bars, step_s), wide=True)
    rows = [{"bar": label(row), **row, "share": 100.0 * row["seconds"] / step_s} for row in bars]
    columns = [
        Column("bar", "cause", left=True),
        Column("seconds", "adds, s", number(3)),
        Column("share", "% of the step", number(1)),
        Column("end_s", "up to, s", number(3)),
    ]
    return [Beside([words], picture), Table("waterfall-table", "The bars", columns, rows)]


def _picture(bars: Sequence[Row], step_s: float) -> str:
    fig, ax = canvas(width=6.4, height=0.8 + 0.25 * (len(bars) + 1))
    for at, row in enumerate(bars):
        start = row["end_s"] - row["seconds"]
        ax.barh(at, row["seconds"], 0.66, left=start, color=_COLOURS.get(row["part"], _COMPUTE))
        ax.annotate(f"{row['seconds']:.2f}", (max(start, row["end_s"]), at), xytext=(4, 0), fontsize=8,
                    textcoords="offset points", va="center")  # fmt: skip
    ax.barh(len(bars), step_s, 0.66, color=MUTED)
    ax.annotate(f"{step_s:.2f} s", (step_s, len(bars)), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=8)  # fmt: skip
    ax.set_yticks(np.arange(len(bars) + 1), [*map(label, bars), "the step"])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1 * step_s)
    ax.set_xlabel("seconds of the mean rank")
    ax.grid(axis="y", visible=False)
    return svg(fig)


def _tables(explained: Mapping[str, Sequence[Row]]) -> list[Part]:
    causes = [
        Column("part", "part", left=True),
        Column("kind", "of", lambda kind: kind.replace("_", " "), left=True),
        Column("bound_by", "bound by", left=True),
        Column("seconds", "s", number(3)),
        Column("share_pct", "% of the step", number(1)),
    ]
    gains = [
        Column("resource", "1 % more of", lambda name: RESOURCES[name], left=True),
        Column("gain_s", "gains, ms", number(2, 1e-3)),
        Column("gain_pct", "% of the step", number(3)),
    ]
    operators = [
        Column("operator", "operator", left=True),
        Column("layer", "layer", left=True),
        Column("phase", "phase", left=True),
        Column("class", "class", left=True),
        Column("shape", "shape", left=True),
        Column("runs", "runs", number(0)),
        Column("run_ms", "ms", number(3)),
        Column("step_s", "s a step", number(3)),
        Column("gflop", "GFLOP", number(1)),
        Column("mb", "MB", number(1)),
        Column("peak_pct", "% of peak", number(0)),
        Column("gb_per_s", "GB/s", number(0)),
        Column("bound_by", "bound by", left=True),
        Column("origin", "time from", left=True),
    ]
    return [
        Table("sensitivities", "What 1 % of a resource is worth", gains, explained["sensitivities"]),
        Table(
            "critical-path", "Critical path: the chain of tasks that sets the end", causes,
            explained["critical_path"], folded=True,
        ),
        Table(
            "mean-rank", "A mean rank: its compute, and what it waited for", causes, explained["mean_rank"],
            folded=True,
        ),
        Table("operators", "Operators of a mean rank", operators, explained["operators"], folded=True),
    ]  # fmt: skip
