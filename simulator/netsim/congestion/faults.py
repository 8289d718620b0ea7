"""Links that fail, and come back, while packets move.

    "cable 17 down at 50us"                   both directions of a cable between switches, for good
    "port 3.2 down at 50us for 200us"         port 2 of NIC 3, and back (a flap)
    "cable random down at 50us for 200us"     one that the seed draws

What waits at the tail of a dead link or is on its way is lost, pause frames too (a class that was paused on it is not
any more). A NIC sees at once that a port of its own has no carrier; switches send around a dead cable, and NICs off the
dead port of a peer, after the fail-over time of the transport, and back on it as long after its return. Until then what
is sent there is lost, and comes again when its sender's time-out has passed.

Left out: links that lose some packets or are slow, switches that fail whole (list their cables), and routes that
oscillate while tables change. Next hops are those of shortest paths, made anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netsim import units
from netsim.congestion.heap import take
from netsim.congestion.jit import handle, part, table
from netsim.congestion.network import next_hops
from netsim.congestion.ports import nudge
from netsim.congestion.queues import leave
from netsim.congestion.rules import ps
from netsim.congestion.state import CLASSES, State
from netsim.congestion.switch import drop, release
from netsim.errors import NetsimError
from netsim.kernels import njit
from netsim.specs.packets import PacketsSpec
from netsim.topologies import LinkKind, Topology

_FORM = re.compile(
    r"(?:cable (?P<cable>\d+|random)|port (?P<nic>\d+)(?:\.(?P<port>\d+))?) down at (?P<at>\S+)(?: for (?P<span>\S+))?"
)
RULE = 'must be such as "cable 17 down at 50us" or "port 3.2 down at 50us for 200us"'


class Change(NamedTuple):
    """At `time_ps` a link (and its reverse) goes down or up, or its users learn of it."""

    time_ps: int
    link: int
    what: str


def changes(texts: Sequence[str], topology: Topology, spec: PacketsSpec, seed: int) -> list[Change]:
    """All changes of some faults, in order of time.

    Raises NetsimError for text that is no fault, parts that are not there, and transports that never send again.
    """
    if texts and not spec.sender.timeout:
        raise NetsimError(
            f"{spec.name}: sender.timeout = 0, so what a fault loses never comes again: set a time-out"
        )
    rng = np.random.default_rng([seed, 0xFA])
    found: list[Change] = []
    for text in texts:
        match = _FORM.fullmatch(" ".join(text.split()))
        if match is None:
            raise NetsimError(f"--fault {text!r}: {RULE}")
        link, delay_s = _link(match, topology, spec, text, rng)
        at = _time(match["at"], text)
        found += [Change(at, link, "down")]
        span = _time(match["span"], text) if match["span"] else None
        if span is None or span > ps(delay_s):
            found += [Change(at + ps(delay_s), link, "forget")]
        if span is not None:
            found += [Change(at + span, link, "up")]
            if span > ps(delay_s):
                found += [Change(at + span + ps(delay_s), link, "learn")]
    return sorted(found)


def _time(text: str, fault: str) -> int:
    try:
        return ps(units.bounded(text, "seconds"))
    except ValueError as error:
        raise NetsimError(f"--fault {fault!r}: {text}: {error}") from None


def _link(
    match: re.Match[str], topology: Topology, spec: PacketsSpec, text: str, rng: np.random.Generator
) -> tuple[int, float]:
    """The link, and how long its users take to learn of it."""
    cables = topology.switch_links
    if match["cable"]:
        if not cables:
            raise NetsimError(f"--fault {text!r}: the fabric has no cables between switches")
        number = int(rng.integers(cables)) if match["cable"] == "random" else int(match["cable"])
        if number >= cables:
            raise NetsimError(f"--fault {text!r}: no such cable, they are 0 to {cables - 1}")
        return topology.first(LinkKind.UP) + number, spec.failover.switch
    nic, port = int(match["nic"]), int(match["port"] or 0)
    if nic >= topology.nics or port >= topology.nic_ports:
        raise NetsimError(
            f"--fault {text!r}: no such port, NICs are 0 to {topology.nics - 1}, ports 0 to {topology.nic_ports - 1}"
        )
    return topology.first(LinkKind.PORT_TX) + nic * topology.nic_ports + port, spec.failover.nic


def apply(state: State, change: Change) -> State:
    """The state after a change."""
    links = (change.link, int(state.ports["reverse"][change.link]))
    state.totals["now"] = max(int(state.totals["now"][0]), change.time_ps)
    for link in links:
        if change.what == "down":
            state.ports["up"][link] = 0
            _cut(table(state), link, change.time_ps)
        elif change.what == "up":
            state.ports["up"][link] = 1
            _restore(table(state), link, change.time_ps)
        else:
            state.ports["known"][link] = change.what == "learn"
    if change.what in ("forget", "learn"):
        hops, found, _ = next_hops(state.ports, int(state.nic[3]))
        state = state._replace(hops=hops, links=found)
        _look(table(state), change.time_ps)
    return state


@part
def _empty_pipe(s, p):  # type: ignore[no-untyped-def]
    port, t = s.ports[p], s.totals[0]
    while port.pipe_head >= 0:
        k = np.int64(port.pipe_head)
        port.pipe_head = s.packets[k].next
        drop(s, p, k)
    port.pipe_tail = -1
    t.events = take(s.events, t.events, s.ports.size + p)


@njit(cache=True, _nrt=False)
def _cut(words, p, now):  # type: ignore[no-untyped-def]
    """All that waits for a link or is on it is lost."""
    s = handle(words.ctypes.data)
    for c in range(CLASSES):
        q = s.queues[p * CLASSES + c]
        while q.head >= 0:
            k = leave(s, p, c, now)
            if s.ports[p].source >= 0:
                release(s, p, k, now)
            drop(s, p, k)
        q.stopped = 0
        q.stopping = 0
    _empty_pipe(s, p)


@njit(cache=True, _nrt=False)
def _restore(words, p, now):  # type: ignore[no-untyped-def]
    """A link is back: it sends what is there to send."""
    nudge(handle(words.ctypes.data), p, now)


@njit(cache=True, _nrt=False)
def _look(words, now):  # type: ignore[no-untyped-def]
    """Ports where flows start look for something to send: what was barred may not be any more."""
    s = handle(words.ctypes.data)
    for p in range(s.ports.size):
        if s.ports[p].ring >= 0 and s.rings[s.ports[p].ring].head >= 0:
            nudge(s, p, now)
