"""The memory wall as a picture: HBM needed on a GPU over context length and over model size."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.analysis.codesign.memory_wall import PRECISIONS, Wall
from netsim.reports.plots import canvas
from netsim.workloads.attention import KINDS

_COLOURS = {"mha": "#D55E00", "gqa": "#E69F00", "mqa": "#009E73", "mla": "#0072B2"}


def draw(wall: Wall) -> Any:
    """Two panels, logarithmic: a colour a kind, a dashed line for FP8, the capacity across."""
    fig, axes = canvas(1, 2, width=10.0, height=3.8)
    for ax, over, label, scale in (
        (axes[0], "context", "context, thousands of tokens", 1e3),
        (axes[1], "parameters", "parameters, billions", 1e9),
    ):
        for kind in reversed(KINDS):  # what shares most below
            for precision in PRECISIONS:
                mine = [
                    row for row in wall.rows
                    if (row["over"], row["attention"], row["precision"]) == (over, kind, precision)
                ]  # fmt: skip
                ax.plot([row["x"] / scale for row in mine], [row["need_gb"] for row in mine],
                        "-" if precision == "bf16" else "--", color=_COLOURS[kind], lw=2.6 if kind == 'mla' else 1.3,
                        label=f"{kind.upper()} {precision.upper()}")  # fmt: skip
        for row in wall.crossings:
            xs = [r["x"] for r in wall.rows if r["over"] == over]
            if row["over"] == over and row["x"] is not None and min(xs) <= row["x"] <= max(xs):
                ax.plot(
                    row["x"] / scale, wall.capacity_gb, "o", ms=4, color=_COLOURS[row["attention"]], zorder=3
                )
        ax.axhline(wall.capacity_gb, color="#1c2127", lw=1.0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        low = float(np.min([row["need_gb"] for row in wall.rows]))
        ax.set_ylim(0.8 * low, 100 * wall.capacity_gb)
        ax.annotate(f"HBM {wall.capacity_gb:.0f} GB", (1.0, wall.capacity_gb), xycoords=("axes fraction", "data"),
                    xytext=(-2, 3), textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
        ax.set_xlabel(label)
        ax.set_ylabel("HBM needed on a GPU, GB")
    axes[0].legend(fontsize=7.5, ncols=2, loc="upper left")
    return fig
