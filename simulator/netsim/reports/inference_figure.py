"""A picture of an iteration: what the compute and the communication queue do over a few layers in its middle."""

from __future__ import annotations

from typing import Any

from netsim.inference import Iteration
from netsim.inference.timeline import COMMUNICATION, COMPUTE, Span

_LAYERS = 3
#: light and dark of a stage: the first and the second micro-batch
_SHADES = {
    "attn_0": ("#9ecae1", "#4292c6"),
    "attn_1": ("#6baed6", "#2171b5"),
    "shared": ("#c7e9c0", "#74c476"),
    "experts": ("#a1d99b", "#31a354"),
    "mlp": ("#a1d99b", "#31a354"),
    "merge": ("#d9d9d9", "#969696"),
    "dispatch": ("#fdbe85", "#e6550d"),
    "combine": ("#fcae91", "#cb181d"),
}


def middle(iteration: Iteration) -> list[Span]:
    """The spans of a few layers in the middle, of both micro-batches."""
    names = list(dict.fromkeys(span.layer for span in iteration.timeline.spans))
    first = max(0, len(names) // 2 - _LAYERS // 2)
    chosen = set(names[first : first + _LAYERS])
    inside = [span for span in iteration.timeline.spans if span.layer in chosen]
    begin, end = min(s.start_s for s in inside), max(s.end_s for s in inside)
    return [s for s in iteration.timeline.spans if s.end_s > begin and s.start_s < end]


def draw(iteration: Iteration) -> Any:
    """Two rows of bars; a shade a micro-batch, a colour a stage."""
    from matplotlib.patches import Patch

    from netsim.reports.plots import canvas

    fig, ax = canvas()
    spans = middle(iteration)
    begin = min(span.start_s for span in spans)
    rows = {COMPUTE: 1, COMMUNICATION: 0}
    for span in spans:
        shade = _SHADES[span.stage][span.microbatch]
        width = (span.end_s - span.start_s) * 1e3
        ax.barh(rows[span.queue], width, left=(span.start_s - begin) * 1e3, color=shade, height=0.6, lw=0)
    ax.set_yticks([0, 1], ["communication", "compute"])
    ax.set_xlabel(
        f"ms, {_LAYERS} layers in the middle of {iteration.phase} (light: first micro-batch, dark: second)"
    )
    shown = [stage for stage in _SHADES if any(span.stage == stage for span in spans)]
    handles = [Patch(color=_SHADES[stage][1], label=stage) for stage in shown]
    ax.legend(
        handles=handles,
        fontsize=8,
        ncols=len(handles),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
    )
    ax.grid(visible=False)
    fig.set_size_inches(9, 2.6)
    return fig
