"""Published steps inside their intervals: as rows, as a part of the validation page, and as a calibration plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.analysis.uncertainty.coverage import LEVELS, WITHIN, Share, calibration, coverage
from netsim.analysis.uncertainty.predict import LEVEL, Errors
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas, svg

HEAD = ("published steps", "rows", "clusters", "inside, cluster left out", "inside, all in", "half width")


def cells(share: Share) -> tuple[str, ...]:
    """A share as words under HEAD."""
    inside = (f"{100.0 * part:.0f} %" for part in (share.left_out, share.all_in))
    return share.name, str(share.rows), str(share.clusters), *inside, f"{share.width_pct:.0f} %"


def coverage_section(errors: Errors) -> str:
    """Markdown with the plot's place."""
    shares = coverage(errors)
    lines = [
        "## How many published steps fall inside their intervals",
        "",
        f"Intervals at {100 * LEVEL:.0f} %; {100 * LEVEL:.0f} +- {100 * WITHIN:.0f} % over all rows is asked for. Each "
        "row is predicted without its cluster (left out), and as `netsim run` answers (all in). The half width is that "
        "of the median row. `netsim validate --coverage` prints it again.",
        "",
        "![Share of published steps inside intervals of each level](validation/coverage.svg)",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---|--:|--:|--:|--:|--:|",
        *(f"| {' | '.join(cells(share))} |" for share in shares),
    ]
    return "\n".join([*lines, "", ""])


def coverage_plot(errors: Errors) -> str:
    """Share inside over the level: on the diagonal an interval is what it says."""
    fig, axes = canvas(1, 2, width=8.6, height=3.8)
    _curves(axes[0], errors)
    _by_kind(axes[1], errors)
    return svg(fig)


def _curves(ax: Any, errors: Errors) -> None:
    rows = calibration(errors)
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--", label="as stated")
    for key, name, colour in (("left_out", "cluster left out", SIMULATED), ("all_in", "all in", SECOND)):
        ax.plot(LEVELS, [row[key] for row in rows], "o-", ms=3, color=colour, label=name)
    ax.axvspan(LEVEL - 0.005, LEVEL + 0.005, color=MUTED, alpha=0.3, lw=0)
    ax.set(xlabel="level of the interval", ylabel="share of published steps inside", xlim=(0, 1), ylim=(0, 1))
    ax.set_title(f"{len(errors.rows)} published steps", fontsize=9)
    ax.legend(fontsize=8)


def _by_kind(ax: Any, errors: Errors) -> None:
    shares = [share for share in coverage(errors) if not share.name.startswith("set ")]
    place = range(len(shares))
    ax.axvspan(100 * (LEVEL - WITHIN), 100 * (LEVEL + WITHIN), color=MUTED, alpha=0.25, lw=0)
    ax.plot([100 * s.left_out for s in shares], place, "o", color=SIMULATED, label="cluster left out")
    ax.plot([100 * s.all_in for s in shares], place, "x", color=SECOND, label="all in")
    ax.set_yticks(list(place), [f"{s.name} ({s.rows})" for s in shares], fontsize=7)
    ax.invert_yaxis()
    ax.set(xlim=(0, 104), xlabel=f"% inside at {100 * LEVEL:.0f} %")


def table(shares: Sequence[Share]) -> list[tuple[str, ...]]:
    """Rows for the terminal."""
    return [HEAD, *map(cells, shares)]
