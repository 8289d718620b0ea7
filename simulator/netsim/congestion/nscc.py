"""A window from delay and marks, after the Ultra Ethernet network-signalled congestion control (NSCC-like).

With the queueing delay d of the acknowledged packet (its round trip less the idle one) and its mark:

    no mark, d <  target     proportional increase     inc += alpha x acked x (target - d)
    no mark, d >= target     fair increase             inc += fair x acked
    mark,    d <  target     nothing
    mark,    d >= target     decrease, once a round trip by the smoothed delay D > target:
                             window x max(1 - gamma (D - target) / D, 1/2)

`inc / window` is added every `adjust_bytes` acknowledged or round trip, and `drift` with it. Quick adapt: when
something was trimmed or lost, or d > 4 target, and a round trip has brought less than 1/8 of the largest window, the
window becomes what it did bring, and nothing changes for a round trip.

Defaults, with the network's bandwidth-delay product in units of 150 kB (100 Gb/s x 12 us) as A, and B = target / 12 us:
target 0.75 round trips with trimming and 1 without; alpha 4 MSS A B / target; fair 5 MSS A; drift 0.15 MSS A;
gamma 0.8; smoothing 0.0125; adjust_bytes 8 MTU; largest window 1.5 bandwidth-delay products.
Left out: the receiver's credit (RCCC) that may run beside it, per-path entropies that marks steer (REPS), and the
initial window's start-up in rendezvous. Source: Ultra Ethernet Specification 1.0, section 3.6.13; htsim, uec.cpp
(initNsccParams).
"""

from __future__ import annotations

from netsim.congestion.jit import part

# use of the fields of a flow: a pending increase, b smoothed delay, t0 end of the round trip of quick adapt, t1 last
# decrease, n0 bytes since the last adjustment, n1 bytes brought in this round trip, n2 something was lost; c time of
# the last adjustment, d until when nothing changes


@part
def start(s, i, now):  # type: ignore[no-untyped-def]
    """The largest window."""
    f = s.flows[i]
    f.window = s.rules[0].most_window * f.line * f.rtt
    f.a, f.b, f.c, f.d = 0.0, 0.0, float(now), 0.0
    f.t0, f.t1 = now + f.rtt, now
    f.n0 = f.n1 = f.n2 = 0


@part
def _bounded(f, r):  # type: ignore[no-untyped-def]
    most = r.most_window * f.line * f.rtt
    f.window = min(max(f.window, float(r.payload + r.header)), most)


@part
def _quick_adapt(f, r, now, delay):  # type: ignore[no-untyped-def]
    """Whether the window was set to what a round trip brought."""
    if now < f.t0:
        return False
    brought = f.n1
    bad = f.n2 != 0 or delay > 4 * r.target_delay
    f.n1, f.t0 = 0, now + f.rtt
    f.n2 = 0
    if not bad or brought * 8.0 >= r.most_window * f.line * f.rtt:
        return False
    f.window = float(brought)
    f.a, f.n0, f.d = 0.0, 0, float(now + f.rtt)
    _bounded(f, r)
    return True


@part
def on_ack(s, i, now, newly, marked, round_trip):  # type: ignore[no-untyped-def]
    """A new window."""
    f, r = s.flows[i], s.rules[0]
    delay = max(round_trip - f.rtt, 0)
    f.n1 += newly
    f.b += 0.0125 * (delay - f.b)
    if _quick_adapt(f, r, now, delay) or now < f.d:
        return
    if marked == 0:
        if delay < r.target_delay:
            f.a += r.proportional * newly * (r.target_delay - delay)
        else:
            f.a += r.fair * newly
    elif delay >= r.target_delay and f.b > r.target_delay and now - f.t1 > f.rtt:
        f.window *= max(1.0 - r.gamma * (f.b - r.target_delay) / f.b, 0.5)
        f.t1 = now
    f.n0 += newly
    if f.n0 >= r.adjust_bytes or now - f.c >= f.rtt:
        f.window += f.a / f.window + r.drift
        f.a, f.n0, f.c = 0.0, 0, float(now)
    _bounded(f, r)


@part
def on_loss(s, i, now, size):  # type: ignore[no-untyped-def]
    """Something was trimmed, or has not come in time."""
    f, r = s.flows[i], s.rules[0]
    f.n2 = 1
    if now >= f.d:
        f.window -= size
        _bounded(f, r)
