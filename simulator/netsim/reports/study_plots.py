"""The pictures of a study, chosen by its shape.

One numeric axis (with or without names beside it) makes lines, names alone make bars, two numeric axes a heat map;
two axes or more make a tornado of main effects; and wherever both cost and step time move, their Pareto front is
drawn, with power beside it. More axes than a picture can hold are averaged, and the title says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netsim.analysis.choice import fits
from netsim.reports.fabric_figures import COLOURS
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas
from netsim.studies.axes import Axis, Records, axes_of, label, main_effects, pareto_front, values
from netsim.studies.spec import StudySpec, tables

#: metric -> (scale, label) where a column's own name and unit are not what a reader wants
SHOWN = {
    "step_time_s": (1.0, "step (s)"),
    "network_usd": (1e-6, "network (M$)"),
    "usd_per_gpu": (1e-3, "network (k$ a GPU)"),
    "power_kw": (1.0, "network power (kW)"),
    "usd_per_trillion_tokens": (1e-3, "k$ per trillion tokens"),
    "exposed_comm_s": (1.0, "exposed communication (s)"),
    "dispatch_ms": (1.0, "dispatch (ms)"),
}
_MOVES = 1e-6
#: steps this near to each other are a tie on the front; designs that a picture names
_TIE, _TOLD = 1e-3, 12


def pictures(spec: StudySpec, records: Records) -> dict[str, Any]:
    """Figures by name, of the points that have an answer; none when nothing can be drawn."""
    ok = [record for record in records if record["status"] == "ok"]
    keys = [key for where, table in tables(spec) if where != "base" for key in table]
    axes = axes_of(ok, keys)
    if len(ok) < 2 or not axes:
        return {}
    metrics = [
        m for m in spec.plot.metrics or ["step_time_s", "network_usd"] if np.isfinite(values(ok, m)).any()
    ]
    x, series = _choose(spec, axes)
    found = {}
    numeric = [axis for axis in axes if axis.numbers is not None]
    if len(axes) == 2 and len(numeric) == 2 and not spec.plot.series and _is_grid(ok, axes):
        found["heat_map"] = heat_map(ok, axes[0], axes[1], metrics)
    elif x.numbers is None:
        found["bars"] = bars(ok, x, series, metrics)
    elif spec.sample is None:
        others = [axis.key for axis in axes if _is_averaged(ok, axis, [x, series] if series else [x])]
        found["lines"] = lines(ok, x, series, metrics, others)
    if len(axes) > 1 and spec.zip == []:
        found["tornado"] = tornado(ok, axes, metrics)
    if _moves(ok, "step_time_s") and _moves(ok, "network_usd"):
        found["pareto"] = pareto(ok, axes)
    return found


def _choose(spec: StudySpec, axes: Sequence[Axis]) -> tuple[Axis, Axis | None]:
    """The axis along the bottom and the one told apart by colour."""
    by_key = {axis.key: axis for axis in axes}
    numeric = [axis for axis in axes if axis.numbers is not None]
    x = by_key.get(spec.plot.x or "") or max(numeric or axes, key=lambda axis: len(axis.labels))
    series = by_key.get(spec.plot.series or "")
    if series is None:
        rest = [axis for axis in axes if axis is not x]
        series = next((axis for axis in rest if axis.numbers is None), rest[0] if len(rest) == 1 else None)
    return x, series if series is not x else None


def _is_averaged(records: Records, axis: Axis, shown: Sequence[Axis]) -> bool:
    """Whether points that a picture puts on one place differ in an axis; one zipped with a shown axis does not."""
    if axis in shown:
        return False
    places = {tuple(label(r[each.key]) for each in shown) for r in records}
    return len({tuple(label(r[each.key]) for each in (*shown, axis)) for r in records}) > len(places)


def _is_grid(records: Records, axes: Sequence[Axis]) -> bool:
    cells = {tuple(label(record[axis.key]) for axis in axes) for record in records}
    return len(cells) * 2 > int(np.prod([len(axis.labels) for axis in axes]))


def _moves(records: Records, metric: str) -> bool:
    found = values(records, metric)
    found = found[np.isfinite(found)]
    return found.size > 1 and float(np.ptp(found)) > _MOVES * float(np.abs(found).max())


def _scaled(records: Records, metric: str) -> Any:
    return values(records, metric) * SHOWN.get(metric, (1.0, ""))[0]


def _name(metric: str) -> str:
    return SHOWN.get(metric, (1.0, metric))[1]


def lines(
    records: Records, x: Axis, series: Axis | None, metrics: Sequence[str], averaged: Sequence[str] = ()
) -> Any:
    """Each metric against the axis, a line for each value of the series; other axes are averaged."""
    figure, panels = canvas(1, len(metrics), 4.2 * len(metrics), 3.4)
    groups = series.labels if series else (None,)
    for panel, metric in zip(np.atleast_1d(panels), metrics, strict=True):
        for number, group in enumerate(groups):
            mine = [r for r in records if series is None or label(r[series.key]) == group]
            place = np.array([x.place(r[x.key]) for r in mine])
            found = _scaled(mine, metric)
            at = np.unique(place)
            mean = [np.nanmean(found[place == each]) for each in at]
            name = None if series is None else (group if series.numbers is None else f"{series.key} {group}")
            # later lines are thinner, so that one that lies on another is seen
            style = {"marker": "osD^v<>p"[number % 8], "ms": max(3.0, 7.5 - number), "lw": max(1.0, 3.0 - 0.5 * number),
                     "color": COLOURS[number % len(COLOURS)]}  # fmt: skip
            panel.plot(at, mean, label=name, **style)
            _error_bars(panel, at, place, mine, metric, COLOURS[number % len(COLOURS)])
        _x_axis(panel, x)
        panel.set_ylabel(_name(metric))
        panel.set_ylim(*_limits(_with_ends(records, metric)))
    if series is not None:
        np.atleast_1d(panels)[0].legend(fontsize=8)
    if averaged:
        figure.suptitle(f"mean over {', '.join(averaged)}", fontsize=9)
    return figure


def _error_bars(
    panel: Any, at: Any, place: Any, records: Records, metric: str, colour: str, shift: float = 0.0
) -> None:
    """Lines from end to end of the intervals of the step, their means where points are averaged."""
    if metric != "step_time_s" or not all("step_time_high_s" in record for record in records):
        return
    low, high = (_scaled(records, f"step_time_{end}_s") for end in ("low", "high"))
    ends = [[np.nanmean(side[place == each]) for each in at] for side in (low, high)]
    panel.vlines(at + shift, *ends, color=colour, lw=1.0, alpha=0.55)


def _limits(found: Any) -> tuple[float, float]:
    """From zero, unless the values differ so little that nothing would be seen; a flat metric stays flat."""
    low, high = float(np.nanmin(found)), float(np.nanmax(found))
    if high <= 0 or low < 0:
        return low - abs(low) * 0.05 - 1e-12, high + abs(high) * 0.05 + 1e-12
    return 0.0, high * 1.08


def _with_ends(records: Records, metric: str) -> Any:
    """The values of a metric, and the ends of its intervals where it has them."""
    found = _scaled(records, metric)
    if metric != "step_time_s" or not all("step_time_high_s" in record for record in records):
        return found
    return np.concatenate([found, *(_scaled(records, f"step_time_{end}_s") for end in ("low", "high"))])


def _x_axis(panel: Any, x: Axis) -> None:
    panel.set_xlabel(x.title)
    if x.numbers is None:
        panel.set_xticks(range(len(x.labels)), x.labels, rotation=20 if len(x.labels) > 4 else 0)
        return
    if x.geometric:
        panel.set_xscale("log", base=2)
    if len(x.numbers) <= 9:
        panel.set_xticks(x.numbers, [f"{number:,g}" for number in x.numbers], fontsize=8)
        panel.minorticks_off()


def bars(records: Records, x: Axis, series: Axis | None, metrics: Sequence[str]) -> Any:
    """Each metric for each name, side by side for each value of the series."""
    figure, panels = canvas(1, len(metrics), 4.2 * len(metrics), 3.4)
    groups = series.labels if series else (None,)
    width = 0.8 / len(groups)
    for panel, metric in zip(np.atleast_1d(panels), metrics, strict=True):
        for number, group in enumerate(groups):
            mine = [r for r in records if series is None or label(r[series.key]) == group]
            place, found = np.array([x.place(r[x.key]) for r in mine]), _scaled(mine, metric)
            at = np.unique(place)
            shift = (number - (len(groups) - 1) / 2) * width
            mean = [np.nanmean(found[place == each]) for each in at]
            name = None if series is None else f"{series.key} {group}"
            panel.bar(at + shift, mean, width * 0.92, label=name, color=COLOURS[number % len(COLOURS)])
            _error_bars(panel, at, place, mine, metric, "#1c2127", shift)
        panel.set_xticks(range(len(x.labels)), x.labels, rotation=20 if len(x.labels) > 4 else 0)
        panel.set_xlabel(x.key)
        panel.set_ylabel(_name(metric))
    if series is not None:
        np.atleast_1d(panels)[0].legend(fontsize=8)
    return figure


def heat_map(records: Records, down: Axis, across: Axis, metrics: Sequence[str]) -> Any:
    """Each metric over two axes, every cell with its number; a cell without an answer is left white."""
    figure, panels = canvas(1, len(metrics), 4.4 * len(metrics), 0.42 * len(down.labels) + 2.2)
    for panel, metric in zip(np.atleast_1d(panels), metrics, strict=True):
        total, count = np.zeros((2, len(down.labels), len(across.labels)))
        for record, found in zip(records, _scaled(records, metric), strict=True):
            row, column = (axis.labels.index(label(record[axis.key])) for axis in (down, across))
            total[row, column] += found
            count[row, column] += 1
        grid = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        image = panel.imshow(grid, aspect="auto", cmap="cividis", origin="lower")
        middle = (np.nanmin(grid) + np.nanmax(grid)) / 2
        for (row, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                ink = "black" if value > middle else "white"
                panel.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color=ink)
        panel.grid(False)
        panel.set_xticks(range(len(across.labels)), across.labels, fontsize=8)
        panel.set_yticks(range(len(down.labels)), down.labels, fontsize=8)
        panel.set(xlabel=across.key, ylabel=down.key, title=_name(metric))
        figure.colorbar(image, ax=panel, shrink=0.85)
    return figure


def tornado(records: Records, axes: Sequence[Axis], metrics: Sequence[str]) -> Any:
    """How far each axis alone moves the mean of each metric, the strongest on top."""
    figure, panels = canvas(1, len(metrics), 4.6 * len(metrics), 0.4 * len(axes) + 1.6)
    for number, (panel, metric) in enumerate(zip(np.atleast_1d(panels), metrics, strict=True)):
        mean = float(np.nanmean(values(records, metric)))
        effects = {axis.key: main_effects(records, axis, metric, axes) for axis in axes}
        order = sorted(effects, key=lambda key: effects[key][1] - effects[key][0])
        for row, key in enumerate(order):
            low, high = (100 * (end / mean - 1) for end in effects[key])
            panel.barh(row, high - low, left=low, color=(SIMULATED, SECOND)[number % 2], height=0.6)
            panel.annotate(f"{low:+.1f} ... {high:+.1f} %", (high, row), (4, 0), textcoords="offset points",
                           va="center", fontsize=8)  # fmt: skip
        panel.axvline(0, color=MUTED, lw=1)
        panel.set_yticks(range(len(order)), order)
        panel.grid(False, axis="y")
        panel.use_sticky_edges = False
        panel.margins(x=0.35)
        panel.set_xlabel(f"{_name(metric)}: change of the mean (%)")
    return figure


def pareto(records: Records, axes: Sequence[Axis]) -> Any:
    """Cost against step time, and power against step time; the designs that nothing beats are joined and numbered.

    Designs that do not fit into GPU memory are drawn as crosses and are on no front.
    """
    metrics = [m for m in ("network_usd", "power_kw") if _moves(records, m)]
    able = np.array([n for n, record in enumerate(records) if fits(record)], dtype=int)
    over = np.setdiff1d(np.arange(len(records)), able)
    those = [records[n] for n in able]
    fronts = {m: able[pareto_front(those, [m, "step_time_s"], _TIE)].tolist() for m in metrics}
    numbered = {place: n for n, place in enumerate(dict.fromkeys(itertools.chain(*fronts.values())), start=1)}
    told = [f"{n}  {_design(records[place], axes)}" for place, n in numbered.items()][:_TOLD]
    figure, panels = canvas(1, len(metrics), 5.0 * len(metrics), 3.6 + 0.14 * len(told))
    for panel, metric in zip(np.atleast_1d(panels), metrics, strict=True):
        cost, step, front = _scaled(records, metric), values(records, "step_time_s"), fronts[metric]
        panel.plot(
            cost[able],
            step[able],
            "o",
            ms=4,
            color=MUTED,
            alpha=0.5,
            label="designs",
            rasterized=len(able) > 1000,
        )
        if all("step_time_high_s" in record for record in records):
            ends = (values([records[n] for n in front], f"step_time_{end}_s") for end in ("low", "high"))
            panel.vlines(cost[front], *ends, color=SECOND, lw=1.0, alpha=0.5)
        if over.size:
            panel.plot(cost[over], step[over], "x", ms=5, color=MUTED, label="does not fit into GPU memory")
        panel.step(cost[front], step[front], where="post", color=SECOND, lw=1.2)
        panel.plot(
            cost[front], step[front], "o", ms=5, color=SECOND, label="front: nothing is better in both"
        )
        for place in front:
            if numbered[place] <= _TOLD:
                panel.annotate(str(numbered[place]), (cost[place], step[place]), (4, 4), textcoords="offset points",
                               fontsize=8)  # fmt: skip
        panel.set(xlabel=_name(metric), ylabel="step (s)")
        panel.margins(x=0.08, y=0.12)
        panel.legend(fontsize=8, loc="upper right")
    figure.supxlabel("\n".join(told), fontsize=7.5, x=0.06, ha="left")
    return figure


def _design(record: Mapping[str, Any], axes: Sequence[Axis]) -> str:
    return ", ".join(f"{axis.key} {label(record[axis.key])}" for axis in axes)
