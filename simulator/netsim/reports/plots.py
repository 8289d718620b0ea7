"""The look of netsim's plots, and figures as text: the same figure gives the same SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

#: points are measured (dark), curves are simulated
MEASURED, SIMULATED, SECOND, MUTED = "#222222", "#1769aa", "#c2571a", "#8a8a8a"
_STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "netsim",
}


def canvas(rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.6) -> tuple[Any, Any]:
    """A figure and its axes, in netsim's style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        return fig, fig.subplots(rows, columns)


def svg(fig: Any) -> str:
    """The figure as SVG text, without a date."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        fig.savefig(text, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def save_png(fig: Any, path: Path) -> None:
    """Write the figure as a picture of 110 dots an inch."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        fig.savefig(path, dpi=110, metadata={"Software": None})
