"""The look of netsim's plots, and figures as text: the same figure gives the same SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from netsim.specs.borders import printable

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
    _as_written(fig)
    with mpl.rc_context(_STYLE):
        fig.savefig(text, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def save_png(fig: Any, path: Path) -> None:
    """Write the figure as a picture of 110 dots an inch."""
    import matplotlib as mpl

    _as_written(fig)
    with mpl.rc_context(_STYLE):
        fig.savefig(path, dpi=110, metadata={"Software": None})


def _as_written(fig: Any) -> None:
    """Show words as they stand: `$` begins no formula, and no control character gets into a file.

    Tick labels that matplotlib makes itself (powers of ten) keep their formulas; those that were given lose them.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    formulas: set[int] = set()
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = axis.get_majorticklabels()  # which makes them
            if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
                formulas |= {id(label) for label in labels}
            formulas |= {id(label) for label in axis.get_minorticklabels()} | {id(axis.offsetText)}
    for text in fig.findobj(Text):
        if id(text) not in formulas:
            text.set_parse_math(False)
            text.set_text(printable(text.get_text()))
