"""Goodput as a picture: over the checkpoint interval, and day by day over the sampled runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.reliability import closed_form
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas


def figure(record: dict[str, Any]) -> Any:
    """Two panels from the record of `netsim.reliability.study.goodput`."""
    fig, (left, right) = canvas(1, 2, width=9.0, height=3.4)
    policy, expected = record["policy"], record["goodput"]
    rate = record["stops"]["per_day"] / 86400.0
    interval = policy["checkpoint_interval_s"]
    around = np.geomspace(interval / 30, interval * 30, 200)
    rest = expected["running"] * expected["speed"]
    curve = [
        rest * closed_form.saved_fraction(t, policy["checkpoint_s"], policy["restart_s"], rate)
        for t in around.tolist()
    ]
    left.semilogx(around / 60, 100 * np.array(curve), color=SIMULATED, label="closed form")
    left.plot([interval / 60], [100 * expected["total"]], "o", color=SECOND, label="interval in use")
    left.set(xlabel="minutes of work between checkpoints", ylabel="goodput (%)")
    left.set_ylim(max(0.0, 100 * expected["total"] - 15), min(100.0, 100 * expected["total"] + 3))
    left.xaxis.set_major_formatter("{x:g}")
    left.legend(loc="lower center", frameon=False)
    sampled = record["sampled"]
    day = np.arange(1, sampled["days"] + 1)
    low, high = 100 * np.array(sampled["p5"]), 100 * np.array(sampled["p95"])
    right.fill_between(day, low, high, color=SIMULATED, alpha=0.2, linewidth=0,
                       label=f"5th to 95th percentile of {sampled['runs']:,} runs")  # fmt: skip
    right.plot(day, 100 * np.array(sampled["p50"]), color=SIMULATED, label="median")
    right.axhline(100 * expected["total"], color=MUTED, linestyle="--", label="long run, closed form")
    right.set(xlabel="days since the start", ylabel="goodput until then (%)", xlim=(1, max(2, day[-1])))
    right.set_ylim(min(float(low.min()), 100 * expected["total"] - 2) - 1, 100)
    right.legend(loc="lower right", frameon=False)
    return fig
