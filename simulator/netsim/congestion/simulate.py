"""A packet simulation from end to end: a fabric, messages and a transport in; times, queues and losses out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from netsim.congestion.faults import apply, changes
from netsim.congestion.kernel import run
from netsim.congestion.messages import Messages
from netsim.congestion.network import Rates
from netsim.congestion.prepare import more_packets, prepare, sample_every
from netsim.congestion.result import PacketResult
from netsim.congestion.state import NEVER, PS, State
from netsim.specs.packets import PacketsSpec
from netsim.topologies import Topology

#: queues are looked at this often at first; a long run looks less often (`netsim.congestion.kernel`)
FIRST_SAMPLE_S = 1e-7


def simulate(
    topology: Topology,
    messages: Messages,
    spec: PacketsSpec,
    *,
    rates: Rates = "line",
    seed: int = 0,
    faults: Sequence[str] = (),
    sampled: bool = False,
    limit_s: float = 10.0,
) -> PacketResult:
    """Send all messages.

    rates : see `netsim.congestion.network`; faults : see `netsim.congestion.faults`
    sampled : whether queues are looked at over time
    limit_s : simulated seconds after which the run ends, with messages that have not come

    Raises NetsimError for messages that the fabric cannot carry.
    """
    planned = changes(faults, topology, spec, seed)
    prepared = prepare(topology, messages, spec, rates=rates, seed=seed)
    state = sample_every(prepared.state, FIRST_SAMPLE_S) if sampled else prepared.state
    run(state, -1)  # compiles, if it must
    started = time.perf_counter()
    end = min(int(limit_s * PS), int(NEVER))
    for change in planned:
        if change.time_ps < end and state.totals["open_flows"][0] > 0:
            state = apply(advance(state, change.time_ps), change)
    state = advance(state, end)
    wall = time.perf_counter() - started
    finish = state.flows["finish"]
    totals = state.totals[0]
    taken = int(totals["sample"])
    every = float(totals["sample_every"]) / PS
    return PacketResult(
        topology=topology, spec=spec, messages=messages, state=state,
        finish_s=np.where(finish >= 0, finish / PS, np.nan), ideal_s=prepared.ideal_s,
        queue_times_s=np.arange(taken, dtype=np.float64) * every, queue_bytes=state.samples[:taken, :-1],
        delivered_packets=state.samples[:taken, -1], wall_s=wall,
    )  # fmt: skip


def advance(state: State, until: int) -> State:
    """The state when nothing more happens before `until`, picoseconds; packets are added as they are needed."""
    while run(state, until) == -1:
        state = more_packets(state, state.packets.size)
    return state
