"""DCQCN: the rate control of RoCE NICs, from marks that the receiver turns into notification packets (CNP).

Receiver: a marked packet makes a CNP, at most one per flow and interval N. Sender, on a CNP:

    target = rate,   rate = rate (1 - alpha / 2),   alpha = (1 - g) alpha + g

Without one for a period of the alpha timer, alpha = (1 - g) alpha. The rate rises after every `byte_counter` bytes sent
and after every period of the rate timer; with T timer periods and B byte counts since the last CNP:

    max(T, B) <  F     fast recovery        rate = (rate + target) / 2
    min(T, B) >= F     hyper increase       target += hyper, then as above
    else               additive increase    target += additive, then as above

Defaults: g 1/256, N 50 us, timers 55 us, byte counter 10 MB, F 5, additive 40 Mb/s (Zhu et al., table 14 and section
4); marks from 100 KB to 400 KB per 25 Gb/s of the port with probability up to 0.2 (Li et al., HPCC, SIGCOMM 2019,
section 5.1), kept as times, 32 us and 128 us. A flow starts at line rate with alpha 1. In order: a packet that comes
out of turn is thrown away and the sender goes back (go-back-N), as RoCE NICs do.

Fixed point (Zhu et al., ECN or delay, CoNEXT 2016, equations 5 to 12): see `netsim.congestion.closed_form`.
Left out: the NIC's limit on the number of rate limiters, and CNP priority (control class here).
Source: Zhu et al., Congestion control for large-scale RDMA deployments, SIGCOMM 2015.
"""

from __future__ import annotations

from netsim.congestion.jit import part
from netsim.congestion.senders import arm

# use of the fields of a flow: a alpha, b target rate, t0 alpha timer, t1 rate timer, n0 timer periods, n1 byte counts,
# n2 bytes sent when the byte counter was last reset


@part
def start(s, i, now):  # type: ignore[no-untyped-def]
    """At line rate."""
    f = s.flows[i]
    f.rate, f.a, f.b = f.line, 1.0, f.line
    f.n0 = f.n1 = f.n2 = 0


@part
def on_cnp(s, i, now):  # type: ignore[no-untyped-def]
    """Cut the rate."""
    f, r = s.flows[i], s.rules[0]
    f.b = f.rate
    f.rate = max(f.rate * (1.0 - f.a / 2.0), r.least_rate)
    f.a = (1.0 - r.g) * f.a + r.g
    f.t0, f.t1 = now + r.alpha_timer, now + r.rate_timer
    f.n0, f.n1, f.n2 = 0, 0, f.sent_bytes
    arm(s, i, min(f.t0, f.t1))


@part
def _rise(f, r):  # type: ignore[no-untyped-def]
    if min(f.n0, f.n1) >= r.fast_steps:
        f.b += r.hyper
    elif max(f.n0, f.n1) >= r.fast_steps:
        f.b += r.additive
    f.b = min(f.b, f.line)
    f.rate = min((f.rate + f.b) / 2.0, f.line)


@part
def on_timer(s, i, now):  # type: ignore[no-untyped-def]
    """Periods that have passed."""
    f, r = s.flows[i], s.rules[0]
    if f.t0 > 0 and f.t0 <= now:
        f.a *= 1.0 - r.g
        f.t0 = now + r.alpha_timer
    if f.t1 > 0 and f.t1 <= now:
        f.n0 += 1
        f.t1 = now + r.rate_timer
        _rise(f, r)


@part
def on_sent(s, i):  # type: ignore[no-untyped-def]
    """Bytes that have been sent since the last count."""
    f, r = s.flows[i], s.rules[0]
    if f.t1 > 0 and f.sent_bytes - f.n2 >= r.byte_counter:
        f.n2 = f.sent_bytes
        f.n1 += 1
        _rise(f, r)
