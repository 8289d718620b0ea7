"""The step as a picture: what every pipeline rank does when, chunk by chunk, and where it waits."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from netsim.training.result import chunk_spans, step_time_s
from netsim.training.simulate import Step

#: colour-blind safe (Okabe and Ito), light enough to see the edges of chunks
COLOURS = {"1F": "#56B4E9", "1B": "#E69F00", "1F1B": "#009E73", "1W": "#CC79A7", "opt": "#888888"}
NAMES = {
    "1F": "forward",
    "1B": "backward",
    "1F1B": "forward and backward overlapped",
    "1W": "weight gradient",
    "opt": "gradient exchange and optimizer",
}


def gantt(step: Step) -> Figure:
    """One row a pipeline rank (its first class of stage groups), one bar a chunk; white is waiting."""
    figure = Figure(figsize=(9.0, 0.8 + 0.22 * max(step.plan.pipeline, 4)), layout="constrained")
    axes = figure.add_subplot()
    spans = chunk_spans(step)
    total, last = step_time_s(step), max(float(span.end_s[-1]) for span in spans)
    seen = set()
    for rank in range(step.plan.pipeline):
        actor = int(np.flatnonzero(step.traffic.representative[:, 0] == rank)[0])
        span = spans[actor]
        for phase, colour in COLOURS.items():
            mine = span.phase == phase
            bars = list(
                zip(span.start_s[mine].tolist(), (span.end_s - span.start_s)[mine].tolist(), strict=True)
            )
            if phase == "opt":
                bars = [(last, total - last)]
            if bars:
                seen.add(phase)
                axes.broken_barh(bars, (rank - 0.42, 0.84), color=colour, edgecolor="white", linewidth=0.15)
    axes.set(
        xlim=(0, total), ylim=(step.plan.pipeline - 0.4, -0.6), xlabel="time (s)", ylabel="pipeline rank"
    )
    axes.set_yticks(range(0, step.plan.pipeline, max(1, step.plan.pipeline // 8)))
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=COLOURS[p], label=NAMES[p]) for p in COLOURS if p in seen]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write a figure as `svg` (text as text, the same bytes every time) or `png`."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "netsim"}):
        figure.savefig(path, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
