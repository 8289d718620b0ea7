"""A window per destination from in-band telemetry (HPCC-like).

Every data packet brings back the largest utilisation U of a link on its way (`netsim.congestion.ports`). On each
acknowledgement, with the window of reference W_c, which changes once a round trip:

    U >= eta, or stage >= stages     W = W_c / (U / eta) + W_add,   stage = 0
    else                             W = W_c + W_add,               stage + 1

U is smoothed over a round trip, U = (1 - tau/T) U + (tau/T) u with tau the time since the last acknowledgement, at most
T. The flow is paced at W / T, from a window of line rate x T on.

Defaults: eta 0.95, stages 5, W_add = line rate x T (1 - eta) / 100 flows. Left out: a table of the last values per hop
at the sender (switches keep the window instead, see there), and per-port fields in the header (42 bytes at 5 hops).
Source: Li et al., HPCC, SIGCOMM 2019, algorithm 1 and section 5.1.
"""

from __future__ import annotations

from netsim.congestion.jit import part

# use of the fields of a flow: a smoothed utilisation, b window of reference, t0 last acknowledgement, t1 start of the
# round trip, n0 stage


@part
def start(s, i, now):  # type: ignore[no-untyped-def]
    """A window of one bandwidth-delay product."""
    f = s.flows[i]
    f.window = f.line * f.rtt
    f.rate, f.a, f.b, f.t0, f.t1, f.n0 = f.line, 0.0, f.window, now, now, 0


@part
def on_ack(s, i, now, u):  # type: ignore[no-untyped-def]
    """A new window."""
    f, r = s.flows[i], s.rules[0]
    tau = min(now - f.t0, f.rtt) / f.rtt
    f.t0 = now
    f.a = (1.0 - tau) * f.a + tau * u
    add = f.line * f.rtt * r.additive_bytes
    over = f.a >= r.eta or f.n0 >= r.stages
    window = f.b / max(f.a / r.eta, 1e-3) + add if over else f.b + add
    f.window = min(max(window, float(r.payload + r.header)), f.line * f.rtt)
    if now - f.t1 >= f.rtt:
        f.n0 = 0 if over else f.n0 + 1
        f.b, f.t1 = f.window, now
    f.rate = f.window / f.rtt
