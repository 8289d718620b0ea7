"""Where DCQCN settles: the fixed point of its published fluid model, to test the packets against.

With N flows at rate R = C / N (packets/s), marking probability p, alpha timer t', cut interval t, rate timer T, byte
counter B (packets), F steps of fast recovery:

    alpha = 1 - (1 - p)^(t' R)                                        a = 1 - (1 - p)^(t R)
    b = R p / ((1 - p)^-B - 1)       c = R p / ((1 - p)^-(T R) - 1)
    cuts equal recoveries            R alpha a / (2 t)     = (target - R) (b + c) / 2
    target falls as it rises         (target - R) a / t    = additive ((1 - p)^(F B) b + (1 - p)^(F T R) c)

p comes from bisection, the queue from the marking law, low + p / most (high - low). Left out, as in the model: hyper
increase, the time that a notification takes, and that rates differ.

Source: Zhu, Ghobadi, Misra, Padhye, ECN or delay: lessons learnt from analysis of DCQCN and TIMELY, CoNEXT 2016,
equations 3 to 9.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.specs.packets import PacketsSpec


class FixedPoint(NamedTuple):
    """Marking probability, alpha, and the queue as the time that it takes."""

    marked: float
    alpha: float
    queue_s: float


def fixed_point(spec: PacketsSpec, flows: int, line_bytes_per_s: float) -> FixedPoint:
    """Where so many flows on one link settle."""
    low, high = 1e-9, 0.5
    for _ in range(200):
        middle = (low * high) ** 0.5
        if _excess(spec, flows, line_bytes_per_s, middle) > 0:
            high = middle
        else:
            low = middle
    ecn, size = spec.switch.ecn, spec.packet.payload + spec.packet.header
    rate = line_bytes_per_s / size / flows
    queue = ecn.low + low / ecn.most * (ecn.high - ecn.low)
    return FixedPoint(low, 1 - (1 - low) ** (spec.dcqcn.alpha_timer * rate), min(queue, ecn.high))


def _excess(spec: PacketsSpec, flows: int, line_bytes_per_s: float, p: float) -> float:
    """Falling of the target less its rise, bytes/s per s."""
    d, size = spec.dcqcn, spec.packet.payload + spec.packet.header
    rate = line_bytes_per_s / size / flows
    counter, steps = d.byte_counter / size, d.fast_steps
    alpha = 1 - (1 - p) ** (d.alpha_timer * rate)
    a = 1 - (1 - p) ** (d.cnp_interval * rate)
    b, c = _events(rate, p, counter), _events(rate, p, d.rate_timer * rate)
    above = rate * alpha * a / d.cnp_interval / max(b + c, 1e-300)
    fall = above * a / d.cnp_interval
    rise = (
        d.additive
        / size
        * (_power(1 - p, steps * counter) * b + _power(1 - p, steps * d.rate_timer * rate) * c)
    )
    return fall - rise


def _events(rate: float, p: float, packets: float) -> float:
    """Recovery events a second after so many packets without a mark."""
    return rate * p / (_power(1 - p, -packets) - 1)


def _power(base: float, exponent: float) -> float:
    """A power that may not overflow."""
    try:
        return float(base**exponent)
    except OverflowError:
        return float("inf")
