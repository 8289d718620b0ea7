"""From a transport spec to the one row of numbers that the kernel reads."""

from __future__ import annotations

import numpy as np

from netsim.congestion.state import (
    ADAPTIVE,
    CREDITS,
    DCQCN,
    DROP,
    ECMP,
    ENTROPY,
    FLOWLET,
    HPCC,
    LOSSLESS,
    NSCC,
    PS,
    RULES,
    SPRAY,
    STATIC,
    TRIM,
    Records,
)
from netsim.specs.packets import PacketsSpec

SPREADS = {"ecmp": ECMP, "entropy": ENTROPY, "spray": SPRAY, "adaptive": ADAPTIVE, "flowlet": FLOWLET}
LAWS = {"static": STATIC, "credit": CREDITS, "dcqcn": DCQCN, "hpcc": HPCC, "nscc": NSCC}
FULL = {"lossless": LOSSLESS, "trim": TRIM, "drop": DROP}


def ps(seconds: float) -> int:
    """Whole picoseconds.

    >>> ps(0.5e-6)
    500000
    """
    return round(seconds * PS)


def rules_of(spec: PacketsSpec, rtt_s: float, line_bytes_per_s: float, seed: int) -> Records:
    """The row. rtt_s : the longest idle round trip; line_bytes_per_s : the rate of a NIC; both scale NSCC and HPCC."""
    row = np.zeros(1, RULES)
    r = row[0]
    r["salt"] = np.uint64(seed) * np.uint64(0x9E3779B9) + np.uint64(1)
    r["routing"], r["paths"] = SPREADS[spec.spread.by], spec.spread.paths
    r["flowlet_gap"] = ps(spec.spread.flowlet_gap)
    r["payload"], r["header"], r["control"] = spec.packet.payload, spec.packet.header, spec.packet.control
    switch = spec.switch
    r["full"], r["cut_through"] = FULL[switch.full], switch.cut_through
    r["buffer"], r["alpha"], r["queue"] = min(switch.size, 2.0**60), switch.alpha, min(switch.queue, 2.0**60)
    r["ecn"], r["ecn_most"] = switch.ecn.on, switch.ecn.most
    r["ecn_low_ps"], r["ecn_high_ps"] = switch.ecn.low * PS, switch.ecn.high * PS
    r["stop"], r["resume"] = switch.pause.stop, switch.pause.resume
    sender = spec.sender
    r["ack_bytes"] = sender.acknowledge if sender.acknowledged else -1
    r["ordered"], r["timeout"] = sender.ordered, ps(sender.timeout)
    _laws(spec, row, rtt_s, line_bytes_per_s)
    return row


def _laws(spec: PacketsSpec, row: Records, rtt_s: float, line_bytes_per_s: float) -> None:
    r = row[0]
    r["pull_rate"], r["pull_overhead"] = spec.credit.pull_rate, spec.credit.pull_overhead
    d = spec.dcqcn
    r["g"], r["byte_counter"], r["fast_steps"] = d.g, d.byte_counter, d.fast_steps
    r["cnp_interval"], r["alpha_timer"], r["rate_timer"] = (
        ps(d.cnp_interval),
        ps(d.alpha_timer),
        ps(d.rate_timer),
    )
    r["additive"], r["hyper"], r["least_rate"] = d.additive / PS, d.hyper / PS, d.least_rate / PS
    h = spec.hpcc
    r["eta"], r["stages"], r["additive_bytes"] = h.eta, h.stages, h.additive
    if spec.sender.law == "hpcc":
        r["telemetry"] = ps(rtt_s)
    n, mss = spec.nscc, spec.packet.payload
    round_trips = n.target_round_trips or (0.75 if spec.switch.full == "trim" else 1.0)
    target = max(rtt_s * round_trips, 1e-12)
    a, b = rtt_s * line_bytes_per_s / (12.5e9 * 12e-6), target / 12e-6
    r["target_delay"] = ps(target)
    r["proportional"], r["fair"], r["drift"] = (
        4.0 * mss * a * b / (target * PS),
        5.0 * mss * a,
        0.15 * mss * a,
    )
    r["gamma"], r["most_window"] = n.gamma, n.most_window
    r["adjust_bytes"] = 8 * (mss + spec.packet.header)
