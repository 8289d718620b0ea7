"""A fabric as a picture a person can read at thousands of GPUs: switches by tier and plane, cables in bundles.

Trees: a panel a plane, tiers as rows, each leaf with the number of NICs below it. Other fabrics: switches on a circle
in the order of their numbers, groups with gaps between them. Parallel cables are one line, the wider the more.
Left out: single hosts and NICs; more than 16 planes are drawn as the first 16 and said so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.topologies import TIERS, Topology
from netsim.topologies.measure import adjacencies

Floats = NDArray[np.float64]

_PLANES, _LINES = 16, 60_000
_SWITCH, _CABLE = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}, "#555555"


def draw(topology: Topology) -> Any:
    """The figure.

    Raises NetsimError when there are too many cables to tell apart.
    """
    from netsim.reports.plots import canvas

    lower, upper, rate = adjacencies(topology)
    if lower.size > _LINES:
        raise NetsimError(
            f"{lower.size:,} bundles of cables, at most {_LINES:,} can be drawn: take fewer GPUs"
        )
    shown = min(topology.planes, _PLANES)
    rows = 1 if shown <= 2 else 2 if shown <= 8 else 4
    columns = -(-shown // rows)
    figure, axes = canvas(rows, columns, width=max(7.0, 4.2 * columns), height=max(4.2, 2.6 * rows))
    place = _tiers(topology) if topology.tiers > 1 or not topology.switch_links else _circle(topology)
    plane = topology.node_plane[topology.first_switch :]
    for number, ax in enumerate(np.atleast_1d(np.array(axes)).ravel()):
        ax.set_axis_off()
        if number < shown:
            mine = plane[lower] == number
            _cables(ax, place[lower[mine]], place[upper[mine]], rate[mine] / topology.spec.switch.port_rate)
            _switches(ax, topology, place, plane == number, shown)
            if topology.planes > 1:
                ax.set_title(f"plane {number}", fontsize=9)
    more = f", first {shown} of {topology.planes} planes" if shown < topology.planes else ""
    figure.suptitle(
        f"{topology.name}: {topology.gpus:,} GPUs, {topology.switches:,} switches, "
        f"{topology.switch_links:,} cables between them{more}", fontsize=11
    )  # fmt: skip
    return figure


def _tiers(topology: Topology) -> Floats:
    """Tiers as rows, the switches of a plane side by side in the order of their numbers."""
    tier = topology.node_tier[topology.first_switch :]
    plane = topology.node_plane[topology.first_switch :]
    place = np.zeros((topology.switches, 2))
    for t in range(1, topology.tiers + 1):
        for p in range(topology.planes):
            mine = np.flatnonzero((tier == t) & (plane == p))
            place[mine] = np.column_stack(
                [(np.arange(mine.size) + 0.5) / max(1, mine.size), np.full(mine.size, float(t))]
            )
    return place


def _circle(topology: Topology) -> Floats:
    """Around a circle, with a gap after each group."""
    group = topology.node_pod[topology.first_switch :].astype(np.int64)
    gaps = np.concatenate([[0], np.cumsum(np.diff(group) != 0)]) * 2.0
    turn = (np.arange(topology.switches) + gaps) / (topology.switches + gaps[-1] + 2.0) * 2 * np.pi
    return np.column_stack([np.sin(turn), np.cos(turn)])


def _cables(ax: Any, here: Floats, there: Floats, parallel: Floats) -> None:
    from matplotlib.collections import LineCollection

    if not len(here):
        return
    faint = float(np.clip(40 / np.sqrt(len(here)) / 8, 0.06, 0.6))
    width = 0.4 + 0.25 * np.sqrt(parallel)
    ax.add_collection(
        LineCollection(list(np.stack([here, there], axis=1)), colors=_CABLE, linewidths=width, alpha=faint)
    )


def _switches(ax: Any, topology: Topology, place: Floats, mine: NDArray[np.bool_], panels: int) -> None:
    tier = topology.node_tier[topology.first_switch :]
    below = np.bincount(topology.endpoint_switch, minlength=topology.switches)
    for t in range(1, topology.tiers + 1):
        chosen = np.flatnonzero(mine & (tier == t))
        if not chosen.size:
            continue
        size = float(np.clip(900 / chosen.size, 6, 60))
        ax.scatter(*place[chosen].T, s=size, marker="s", color=_SWITCH[t], zorder=3, linewidths=0)
        each = np.unique(below[chosen])
        nics = f", {'-'.join(f'{n}' for n in (each[[0, -1]] if each.size > 1 else each))} NIC ports each"
        name = TIERS[t] if topology.tiers > 1 else "switch"
        label = f"{chosen.size} x {name}{nics if each[-1] else ''}"
        flat = topology.tiers == 1 and bool(topology.switch_links)
        at = (0.0, -1.22) if flat else (0.5, t + (0.16 if t > 1 else -0.3))
        ax.text(*at, label, ha="center", va="center", fontsize=7 if panels > 2 else 9, color=_SWITCH[t])
    if topology.tiers > 1 or not topology.switch_links:
        ax.set_xlim(-0.03, 1.03)
        ax.set_ylim(0.5, topology.tiers + 0.4)
    else:
        ax.set_xlim(-1.4, 1.4)
        ax.set_ylim(-1.35, 1.1)
        ax.set_aspect("equal")
