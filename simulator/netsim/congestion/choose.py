"""Which link a packet takes next: through the host, up and down the switches, and back for what answers it.

A fixed path is a list of links (netsim's own `ecmp` and `static` routing). Otherwise every switch picks among its links
that lie on a shortest path to the target's switch:

    ecmp       hash(flow, switch): one path a flow
    entropy    hash(flow, entropy of the packet, switch): the sender goes round so many entropies, as NDP and EQDS do
    flowlet    the same with an entropy that changes when the flow has paused for longer than the gap
    spray      any, drawn evenly for each packet (oblivious)
    adaptive   the one with the fewest bytes ahead, the first of equals from a place that moves on

Acknowledgements, credits and other answers take the same choice, or a fixed path backwards.

Left out: weights of unequal links, and loads further on than the switch's own queues. Source: Handley et al., NDP,
SIGCOMM 2017, section 3; Vanini et al., LetFlow, NSDI 2017; the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.jit import part
from netsim.congestion.state import ADAPTIVE, DATA, ECMP, HEADER, SPRAY

_GOLDEN, _M1, _M2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_TO_UNIT = 1.0 / 2.0**53
_S11 = np.uint64(11)
#: no link leads there
NOWHERE = -2


@part
def mixed(h):  # type: ignore[no-untyped-def]
    """A bijection of 64-bit words."""
    h = (h ^ (h >> _S30)) * _M1
    h = (h ^ (h >> _S27)) * _M2
    return h ^ (h >> _S31)


@part
def draw(s):  # type: ignore[no-untyped-def]
    """A 64-bit word of the run's own generator."""
    t = s.totals[0]
    t.random = t.random + _GOLDEN
    return mixed(t.random)


@part
def unit(s):  # type: ignore[no-untyped-def]
    """A number in [0, 1)."""
    return float(draw(s) >> _S11) * _TO_UNIT


@part
def _hashed(s, flow, entropy, switch, back):  # type: ignore[no-untyped-def]
    words = np.uint64(flow) * np.uint64(2) + np.uint64(back)
    h = mixed(s.rules[0].salt + _GOLDEN + words)
    h = mixed(h + _GOLDEN + np.uint64(entropy))
    return mixed(h + _GOLDEN + np.uint64(switch))


@part
def _least(s, first, n, here, now):  # type: ignore[no-untyped-def]
    """Of n links, the one that would send first."""
    sw = s.switches[here]
    sw.turn += 1
    at = sw.turn % n
    best, least = np.int64(-1), 0.0
    for _ in range(n):
        link = np.int64(s.links[first + at])
        port = s.ports[link]
        ahead = port.queued * port.ps_per_byte + max(port.busy_until - now, 0)
        if best < 0 or ahead < least:
            best, least = link, ahead
            if ahead == 0.0:
                break
        at += 1
        if at == n:
            at = 0
    return best


@part
def _at_switch(s, pk, here, now):  # type: ignore[no-untyped-def]
    f = s.flows[pk.flow]
    rules = s.rules[0]
    back = 0 if pk.kind == DATA or pk.kind == HEADER else 1
    nic = f.source_nic if back else f.target_nic
    out = s.nic[1] + nic * s.nic[2] + pk.plane
    there = s.ports[out].source
    if here == there:
        return np.int64(out)
    pair = here * s.nic[3] + there
    first = s.hops[pair]
    n = s.hops[pair + 1] - first
    if n == 0:
        return NOWHERE
    if n == 1:
        return np.int64(s.links[first])
    if rules.routing == ADAPTIVE:
        return _least(s, first, n, here, now)
    if rules.routing == SPRAY:
        return np.int64(s.links[first + np.int64(draw(s) % np.uint64(n))])
    entropy = 0 if rules.routing == ECMP else pk.entropy
    return np.int64(s.links[first + np.int64(_hashed(s, pk.flow, entropy, here, back) % np.uint64(n))])


@part
def next_link(s, k, p, now):  # type: ignore[no-untyped-def]
    """The link after p; -1 where the packet has arrived, `NOWHERE` where no link leads on."""
    pk, port = s.packets[k], s.ports[p]
    f = s.flows[pk.flow]
    ahead = pk.kind == DATA or pk.kind == HEADER
    if f.path >= 0:
        pk.hop += 1 if ahead else -1
        if pk.hop < 0 or pk.hop >= f.hops:
            return -1
        link = np.int64(s.paths[f.path + pk.hop])
        return link if ahead else np.int64(s.ports[link].reverse)
    if port.target >= 0:
        return _at_switch(s, pk, port.target, now)
    if port.host_kind == 1:
        return np.int64(f.inside if ahead else s.ports[f.origin].reverse)
    if port.host_kind == 2:
        return np.int64(s.nic[0] + f.source_nic * s.nic[2] if ahead and f.target_nic >= 0 else -1)
    return np.int64(-1 if ahead or f.origin < 0 else s.ports[f.inside].reverse)
