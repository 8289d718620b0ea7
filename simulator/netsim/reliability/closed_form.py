"""Goodput in closed form: the part of wall-clock time that becomes saved progress at full speed.

Failures stop the job at rate `f` (Poisson, in time in which the job runs or restarts). Each costs a restart of `R` and
what was done since the last checkpoint; checkpoints are written every `t` of work and stop it for `d`. A segment of
t + d then takes (e^(f (t + d)) - 1) e^(f R) / f on average, so the job saves

    D = f t e^(-f R) / (e^(f (t + d)) - 1)                     (Daly 2006, equation 13, exact for this process)

of the time in which it is not waiting for repairs. The best interval solves e^(f (t + d)) (1 - f t) = 1; Young's
sqrt(2 d / f) and Daly's series are its first and higher orders in f d.

A failure that takes a host out uses a spare while one is there. With k hosts in repair at a rate of 1/r each, no
failures while the job waits, and S spares, k is a birth and death process that ends at S + 1: the job waits for a host
with probability B = Erlang-B(S + 1, f_host r), whatever the distribution of repairs. Failures that nothing replaces
make it wait their whole repair. So it runs A = 1 / (1 + B / (1 - B) + sum f_wait r) of the time (hosts that are
repaired while another repair is waited for are left out).

Parts that only slow the job, by speeds v_i, are down in Poisson numbers n_i = N_i r_i / mtbf_i, and the slowest counts:
V = sum_i v_i (1 - e^-n_i) prod_(j slower) e^-n_j + prod e^-n. Goodput is A D V.

Left out: failures that come in bursts, wear and infant mortality, spares that fail on the shelf, checkpoints that are
written beside compute.

Sources: Young, CACM 17(9), 1974; Daly, Future Generation Computer Systems 22(3), 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, log1p, sqrt


def young_interval_s(write_s: float, rate_per_s: float) -> float:
    """Work between checkpoints by Young's first order.

    >>> young_interval_s(50.0, 1e-4)
    1000.0
    """
    return sqrt(2.0 * write_s / rate_per_s)


def daly_interval_s(write_s: float, rate_per_s: float) -> float:
    """The same by Daly's higher order (his equation 37)."""
    ratio = write_s * rate_per_s / 2.0
    if ratio >= 1.0:
        return 1.0 / rate_per_s
    return sqrt(2.0 * write_s / rate_per_s) * (1.0 + sqrt(ratio) / 3.0 + ratio / 9.0) - write_s


def best_interval_s(write_s: float, rate_per_s: float) -> float:
    """The interval of the highest goodput, by Newton's method on ln(1 - x) + x + f d = 0 with x = f t.

    >>> round(best_interval_s(60.0, 1e-4)), round(daly_interval_s(60.0, 1e-4))
    (1056, 1056)
    """
    product = write_s * rate_per_s
    if product == 0.0:
        return 0.0
    # x between 0 and 1: -ln(1 - x) - x = f d, convex and rising
    x = min(sqrt(2.0 * product), 0.999)
    for _ in range(200):
        step = (-log1p(-x) - x - product) * (1.0 - x) / x
        x = min(max(x - step, x / 2.0), (1.0 + x) / 2.0)
        if abs(step) < 1e-15 * x:
            break
    return x / rate_per_s


def saved_fraction(interval_s: float, write_s: float, restart_s: float, rate_per_s: float) -> float:
    """Saved work over the time in which the job runs or restarts."""
    if rate_per_s == 0.0:
        return interval_s / (interval_s + write_s)
    grown = rate_per_s * (interval_s + write_s)
    if grown > 700.0:
        return 0.0
    return rate_per_s * interval_s * exp(-rate_per_s * restart_s) / expm1(grown)


def erlang_b(servers: int, load: float) -> float:
    """Part of the time in which all of `servers` places are taken, at an offered load.

    >>> erlang_b(1, 1.0), erlang_b(2, 1.0)
    (0.5, 0.2)
    """
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def running_fraction(spares: int, host_load: float, waits: float) -> float:
    """Part of the time in which the job is not waiting for a repair.

    host_load : failures of hosts a repair time; waits : seconds waited for other repairs per second of running
    """
    blocked = erlang_b(spares + 1, host_load)
    return 1.0 / (1.0 + blocked / (1.0 - blocked) + waits)


def mean_speed(slowed: Sequence[tuple[float, float]]) -> float:
    """Mean speed, 1 when nothing is down; `slowed` holds (mean number down, speed then), and the slowest counts.

    >>> mean_speed([(0.1, 0.5)]) == 0.5 * -expm1(-0.1) + exp(-0.1), mean_speed([])
    (True, 1.0)
    """
    left, found = 1.0, 0.0
    for down, speed in sorted(slowed, key=lambda pair: pair[1]):
        found += left * speed * -expm1(-down)
        left *= exp(-down)
    return found + left
