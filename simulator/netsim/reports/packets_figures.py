"""Pictures of a packet simulation: completion times, what arrives over time, and queues as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.congestion.result import PacketResult
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas
from netsim.topologies import LINK_KINDS

_COLOURS = (SIMULATED, SECOND, "#2f8f4e", "#7a4fa3", "#222222")


def fct_figure(result: PacketResult) -> Any:
    """Share of the messages of each group that have come within a time."""
    fig, axes = canvas()
    flows = result.flows
    for n, name in enumerate(result.messages.groups):
        rows = flows[result.messages.group == n]
        times = np.sort(rows["fct_us"].dropna().to_numpy())
        if not times.size:
            continue
        share = np.arange(1, times.size + 1) / len(rows)
        colour = _COLOURS[n % len(_COLOURS)]
        axes.step(np.r_[times[0], times], np.r_[0.0, share], where="post", color=colour, label=name)
        axes.axvline(float(rows["ideal_us"].median()), color=colour, linestyle=":", linewidth=1)
    axes.set_xlabel("time to completion, us")
    axes.set_ylabel("share of messages")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.legend(loc="upper left")
    return fig


def progress_figure(result: PacketResult) -> Any:
    """Payload that arrives per sender, GB/s, and what its NIC could send."""
    fig, axes = canvas()
    times, came = result.queue_times_s, result.delivered_packets
    senders = np.unique(result.messages.source).size
    if times.size > 2:
        rate = np.diff(came) * result.spec.packet.payload / np.diff(times) / senders / 1e9
        axes.step(times[1:] * 1e6, rate, where="pre", color=SIMULATED, label="arrives")
    remote = result.state.flows["target_nic"] >= 0
    if remote.any():
        line = float(result.state.flows["line"][remote].max()) * 1e3
        axes.axhline(line, color=MUTED, linestyle="--", label="line rate of a NIC")
    axes.set_xlabel("time, us")
    axes.set_ylabel("payload a sender, GB/s")
    axes.set_ylim(bottom=0)
    axes.legend(loc="center right")
    return fig


def heat_figure(result: PacketResult, links: list[int]) -> Any:
    """Bytes that wait, time by link."""
    fig, axes = canvas(width=9.0, height=max(2.4, 0.16 * len(links) + 1.2))
    seen = np.ma.masked_equal(result.queue_bytes[:, links].T / 1e3, 0.0)
    if not links or not seen.size:
        axes.text(0.5, 0.5, "nothing ever waited", ha="center", va="center", transform=axes.transAxes)
        return fig
    step = float(result.queue_times_s[1]) if result.queue_times_s.size > 1 else 1e-6
    edges = np.append(result.queue_times_s, result.queue_times_s[-1] + step) * 1e6
    mesh = axes.pcolormesh(edges, np.arange(len(links) + 1), seen, cmap="YlOrRd", vmin=0, rasterized=True)
    axes.invert_yaxis()
    kinds = [LINK_KINDS[result.topology.link_kind[link]] for link in links]
    axes.set_yticks(
        np.arange(len(links)) + 0.5, [f"{link} {kind}" for link, kind in zip(links, kinds, strict=True)]
    )
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(False)
    axes.set_xlabel("time, us")
    fig.colorbar(mesh, ax=axes, label="queued, KB")
    return fig
