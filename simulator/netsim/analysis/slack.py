"""How slow the network may get before an overlapped pair notices: its slack, of the public trace and as simulated.

Slack at a share p is the largest factor s by which every transfer may be stretched while the pair is at most p longer
than unstretched. `replayed_s` stretches the transport kernels of the trace, without their waits for slower ranks, and
keeps every other block; `simulated_s` stretches netsim's own transfers (`communication.slowdown`). Left out in both:
the compute that a slower transfer would disturb for longer.

Source: the trace, github.com/deepseek-ai/profile-data at 4496024; `reports/studies/h800_trace/blocks.csv`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from netsim.analysis.trace_pair import TRACE_SPEED, Pair, read_trace, replay, simulate_pair
from netsim.specs.case import make_case
from netsim.specs.catalog import root


def replayed_s(stretch: float) -> float:
    """Seconds of the trace's pair with its transport kernels stretched, and no waits for other ranks."""
    import pandas as pd

    rows = pd.read_csv(root() / "reports/studies/h800_trace/blocks.csv", comment="#")
    moved, waited = (rows[name].fillna(0).to_numpy(float) * 1e-6 for name in ("transport_us", "wait_us"))
    measured = read_trace()
    length = measured.end_s - measured.start_s - waited + (stretch - 1.0) * moved
    stretched: Pair = replace(measured, start_s=np.zeros_like(length), end_s=length)
    return replay(stretched)


def simulated_s(stretch: float) -> float:
    """Seconds of netsim's pair with every transfer stretched."""
    return simulate_pair(make_case(overrides={**TRACE_SPEED, "communication.slowdown": stretch})).seconds


def slack(seconds: Callable[[float], float], share: float, most: float = 4.0) -> float:
    """The largest stretch at which the pair is at most `share` longer, to 0.001.

    `seconds` : the pair's length at a stretch, which never falls as the stretch grows.

    >>> round(slack(lambda s: max(100.0, 50.0 * s), 0.01), 2)
    2.02
    """
    low, high, limit = 1.0, most, seconds(1.0) * (1.0 + share)
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if seconds(middle) <= limit else (low, middle)
    return low
