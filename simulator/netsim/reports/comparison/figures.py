"""Pictures of a comparison: a fabric keeps its colour in all of them, a quantity keeps its axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netsim.analysis.binding import RESOURCES
from netsim.reports.collective import size_label
from netsim.reports.plots import canvas, svg

Row = dict[str, Any]
#: inches: two in a row, three in a row
WIDTH, NARROW = 5.0, 3.8
#: colour-blind safe (Okabe and Ito), the dark ones first
FABRICS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a8a")
_PARTS = (("compute_s", "compute", "#4d5a68"), ("chunk_idle_s", "idle in chunks", "#D55E00"),
          ("bubble_s", "bubble", "#c9d1d9"), ("tail_s", "gradients and optimizer", "#8fa3b5"))  # fmt: skip
_COSTS = (("switch_usd", "switches", "#0072B2"), ("cable_usd", "cables and optics", "#56B4E9"),
          ("nic_usd", "NICs", "#c9d1d9"))  # fmt: skip
_PATHS = ("same_host", "same_leaf", "cross_leaf", "cross_pod", "cross_plane", "worst")
_MARKERS = "osD^vP*X"


def _ends(rows: Sequence[Row], key: str) -> tuple[list[float], list[float]]:
    """Both ends of the intervals of a step; of other quantities, and without intervals, the values themselves."""
    if key != "step_time_s" or any("step_time_low_s" not in row for row in rows):
        return ([float(row[key]) for row in rows],) * 2
    return [float(row["step_time_low_s"]) for row in rows], [float(row["step_time_high_s"]) for row in rows]


def colours(topologies: Sequence[str]) -> dict[str, str]:
    """The colour of each fabric."""
    return {name: FABRICS[n % len(FABRICS)] for n, name in enumerate(topologies)}


def step_parts(rows: Sequence[Row], ends: list[tuple[float, float]] | None = None) -> str:
    """Where the step's time goes on each fabric: bars of `breakdown` rows, their intervals as lines."""
    bars = [[(row[key], name, colour) for key, name, colour in _PARTS] for row in rows]
    return _stacked(rows, bars, "step time, s", "{:.3f} s", 1.0, ends)


def network_price(rows: Sequence[Row]) -> str:
    """What each network costs, by part: bars of `comparison` rows, the range of the price book as a line."""
    shown = [part for part in _COSTS if any(row[part[0]] for row in rows)]
    bars = [[(row[key], name, colour) for key, name, colour in shown] for row in rows]
    ranges = [(row["network_usd_low"], row["network_usd_high"]) for row in rows]
    return _stacked(rows, bars, "network, M$", "{:.2f} M$", 1e6, ranges)


def _stacked(
    rows: Sequence[Row],
    bars: list[list[tuple[float, str, str]]],
    label: str,
    form: str,
    scale: float,
    ranges: list[tuple[float, float]] | None = None,
) -> str:
    fig, ax = canvas(width=WIDTH, height=1.25 + 0.32 * len(rows))
    most = max(sum(value for value, _, _ in bar) for bar in bars)
    most = max([most, *(high for _, high in ranges)]) if ranges else most
    for place, bar in enumerate(bars):
        left = 0.0
        for value, name, colour in bar:
            ax.barh(place, value / scale, 0.62, left=left / scale, color=colour, edgecolor="white", lw=0.6,
                    label=name if place == 0 else None)  # fmt: skip
            left += value
        end = left
        if ranges and ranges[place][0] != ranges[place][1]:
            low, high = ranges[place]
            ax.plot([low / scale, high / scale], [place, place], color="#1c2127", lw=1.0, marker="|", ms=6)
            end = high
        ax.text((end + 0.015 * most) / scale, place, form.format(left / scale), va="center", fontsize=8.5)
    ax.set_yticks(range(len(rows)), [row["topology"] for row in rows])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.22 * most / scale)
    ax.set_xlabel(label)
    _bare(ax)
    fig.legend(
        loc="outside upper left", ncols=4, fontsize=7.5, handlelength=1.0, columnspacing=1.0, frameon=False
    )
    return svg(fig)


def price_and_step(rows: Sequence[Row], take: str) -> str:
    """Step time over price: the lower left corner wins; the recommended fabric has a ring."""
    fig, ax = canvas(width=WIDTH, height=2.9)
    names = [row["topology"] for row in rows]
    usd = np.array([row["network_usd"] for row in rows]) / 1e6
    seconds = np.array([row["step_time_s"] for row in rows])
    ends = _ends(rows, "step_time_s")
    for n, row in enumerate(rows):
        ax.plot(
            [usd[n]] * 2, [ends[0][n], ends[1][n]], color=colours(names)[row["topology"]], lw=1.0, alpha=0.6
        )
        ax.plot(usd[n], seconds[n], _MARKERS[n % len(_MARKERS)], color=colours(names)[row["topology"]], ms=7,
                zorder=3)  # fmt: skip
        if row["topology"] == take:
            ax.plot(usd[n], seconds[n], "o", ms=14, mfc="none", mec="#1c2127", mew=1.0)
    span = max(max(ends[1]) * 1.04 - min(ends[0]) * 0.98, 1e-9)
    ax.set_ylim(min(ends[0]) * 0.98, max(ends[1]) * 1.04)
    ax.set_xlim(0, usd.max() * 1.3)
    for (x, y), words in _together(usd, seconds, names, span).items():
        ax.annotate(", ".join(words), (x, y), xytext=(9, 6), textcoords="offset points", fontsize=8.5)
    ax.set_xlabel("network, M$")
    ax.set_ylabel("step time, s")
    return svg(fig)


def _together(x: Any, y: Any, names: Sequence[str], span: float) -> dict[tuple[float, float], list[str]]:
    """Names of the points that a reader could not tell apart, by the first of them."""
    found: dict[tuple[float, float], list[str]] = {}
    for here, there, name in zip(x.tolist(), y.tolist(), names, strict=True):
        near = [
            key for key in found if abs(key[0] - here) < 0.03 * x.max() and abs(key[1] - there) < 0.04 * span
        ]
        found.setdefault(near[0] if near else (here, there), []).append(name)
    return found


def gains(rows: Sequence[Row]) -> str:
    """Step time saved by 10 % more of each resource, a dot a fabric; `binding` rows without the free network."""
    names = list(dict.fromkeys(row["topology"] for row in rows))
    resources = [name for name in RESOURCES if name != "network"]
    fig, ax = canvas(width=WIDTH, height=2.9)
    for n, name in enumerate(names):
        mine = {row["resource"]: row["gain_pct"] for row in rows if row["topology"] == name}
        shift = (n - (len(names) - 1) / 2) * min(0.18, 0.6 / len(names))
        ax.plot([mine.get(r, 0.0) for r in resources], [k + shift for k in range(len(resources))],
                _MARKERS[n % len(_MARKERS)], color=colours(names)[name], ms=5, label=name)  # fmt: skip
    for place in range(len(resources) - 1):
        ax.axhline(place + 0.5, color="#e3e7eb", lw=0.6)
    ax.axvline(0, color="#1c2127", lw=0.8)
    ax.set_yticks(range(len(resources)), [RESOURCES[name] for name in resources])
    ax.set_ylim(len(resources) - 0.5, -0.5)
    ax.set_xlabel("step time saved by 10 % more, %")
    low = min(0.0, *(row["gain_pct"] for row in rows if row["resource"] != "network"))
    ax.set_xlim(left=low - 0.25)
    _bare(ax)
    fig.legend(
        loc="outside upper left", ncols=4, fontsize=8, handletextpad=0.2, columnspacing=1.0, frameon=False
    )
    return svg(fig)


def curves(rows: Sequence[Row]) -> str:
    """busbw over message size of one collective; fabrics that lie on each other share a line and its label."""
    names = list(dict.fromkeys(row["topology"] for row in rows))
    fig, ax = canvas(width=NARROW, height=2.7)
    drawn: dict[tuple[float, ...], list[str]] = {}
    for name in names:
        mine = [row for row in rows if row["topology"] == name]
        drawn.setdefault(tuple(float(f"{row['busbw_GBps']:.2g}") for row in mine), []).append(name)
    for group in drawn.values():
        mine = [row for row in rows if row["topology"] == group[0]]
        ax.plot([row["size_bytes"] for row in mine], [row["busbw_GBps"] for row in mine], "-o", ms=3, lw=1.4,
                color=colours(names)[group[0]], label=", ".join(group))  # fmt: skip
    sizes = sorted({row["size_bytes"] for row in rows})
    shown = sizes[:: -(-len(sizes) // 4)]
    ax.set_xscale("log", base=2)
    ax.set_xticks(shown, [size_label(size) for size in shown], fontsize=8)
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("message size")
    ax.set_ylabel("busbw, GB/s")
    ax.legend(fontsize=8, loc="upper left", frameon=False)
    return svg(fig)


def latencies(rows: Sequence[Row]) -> str:
    """Idle latency by path and fabric: `latency` rows that have a value."""
    names = list(dict.fromkeys(row["topology"] for row in rows))
    paths = [path for path in _PATHS if any(row["path"] == path for row in rows)]
    fig, ax = canvas(width=WIDTH, height=2.9)
    wide = 0.8 / len(names)
    for n, name in enumerate(names):
        mine = [(paths.index(r["path"]), r["latency_us"]) for r in rows if r["topology"] == name]
        ax.bar([at + (n - (len(names) - 1) / 2) * wide for at, _ in mine], [us for _, us in mine], wide * 0.9,
               color=colours(names)[name], label=name)  # fmt: skip
    ax.set_xticks(range(len(paths)), [path.replace("_", "\n") for path in paths], fontsize=8)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("idle latency of 64 B, us")
    fig.legend(
        loc="outside upper left", ncols=4, fontsize=8, handlelength=1.0, columnspacing=1.0, frameon=False
    )
    return svg(fig)


def over_size(rows: Sequence[Row], key: str, scale: float, label: str) -> str:
    """One quantity of `comparison` over the number of GPUs, a line a fabric."""
    names = list(dict.fromkeys(row["topology"] for row in rows))
    fig, ax = canvas(width=WIDTH, height=2.7)
    for n, name in enumerate(names):
        mine = sorted((row for row in rows if row["topology"] == name), key=lambda row: row["gpus"])
        if key == "step_time_s":
            ax.vlines(
                [row["gpus"] for row in mine],
                *_ends(mine, key),
                color=colours(names)[name],
                lw=1.0,
                alpha=0.6,
            )
        ax.plot([row["gpus"] for row in mine], [row[key] / scale for row in mine], _MARKERS[n % len(_MARKERS)] + "-",
                color=colours(names)[name], ms=5, lw=1.2, label=name)  # fmt: skip
    sizes = sorted({row["gpus"] for row in rows})
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    sides = _ends(rows, key)
    low, high = min(sides[0]) / scale, max(sides[1]) / scale
    ax.set_ylim(0.9 * low, 1.1 * high)
    ax.set_xlabel("GPUs")
    ax.set_ylabel(label)
    fig.legend(
        loc="outside upper left", ncols=4, fontsize=8, handletextpad=0.4, columnspacing=1.0, frameon=False
    )
    return svg(fig)


def _bare(ax: Any) -> None:
    """A chart of horizontal bars needs no lines between them."""
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
