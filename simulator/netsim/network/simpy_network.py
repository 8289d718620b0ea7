"""The fluid network as SimPy sees it: `transfer` returns an event that fires when a batch has ended.

Everything that starts or ends at one instant is one solve: the first change at an instant plans a flush behind all
events of that instant, and the flush asks for the next end once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import simpy
from simpy.events import NORMAL, EventPriority

from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork

#: after every ordinary event of the instant (SimPy sorts by time, then priority, then age)
LATE = EventPriority(NORMAL + 1)


class Network:
    """Transfers over a fluid network inside a SimPy environment.

    Examples
    --------
    >>> from netsim.network.flows import FlowTable
    >>> env = simpy.Environment()
    >>> table = FlowTable.from_batches([([[0]], 10.0), ([[0]], 30.0)])
    >>> net = Network(env, FluidNetwork(np.array([10.0]), table))
    >>> log = []
    >>> def job(batch):
    ...     yield net.transfer(batch)
    ...     log.append((batch, env.now))
    >>> _ = env.process(job(0)), env.process(job(1))
    >>> env.run()
    >>> log
    [(0, 2.0), (1, 4.0)]
    """

    def __init__(self, env: simpy.Environment, fluid: FluidNetwork) -> None:
        self.env = env
        self.fluid = fluid
        self._waiting: dict[int, simpy.Event] = {}
        self._flush_planned = False
        self._alarm: simpy.Event | None = None
        self._alarm_s = np.inf
        self._one = np.zeros(1, np.int64)

    def transfer(self, batch: int, scale: float = 1.0, cap_scale: float = 1.0) -> simpy.Event:
        """Start `batch` now; the event fires when its last flow ends, with the batch as its value.

        `scale` and `cap_scale` multiply the registered sizes and rate caps, see `FluidNetwork.start`.
        """
        self._take_ended()
        self._one[0] = batch
        self.fluid.start(self.env.now, self._one, scale, cap_scale)
        done = self._waiting[batch] = self.env.event()
        self._plan_flush()
        return done

    def set_capacity(self, links: Any, capacity_bytes_per_s: Any) -> None:
        """Change link capacities now, see `FluidNetwork.set_capacity`."""
        self._take_ended()
        self.fluid.set_capacity(self.env.now, links, capacity_bytes_per_s)
        self._plan_flush()

    def reroute(self, table: FlowTable) -> None:
        """Flows take other paths now, see `FluidNetwork.reroute`."""
        self._take_ended()
        self.fluid.reroute(self.env.now, table)
        self._plan_flush()

    def _take_ended(self) -> None:
        if self.env.now >= self._alarm_s:
            self._report()

    def _report(self) -> int:
        """Fire the events of the batches that have ended; how many."""
        self._alarm_s = np.inf
        ended = self.fluid.advance(self.env.now)
        for batch in ended.tolist():
            self._waiting.pop(batch).succeed(batch)
        return ended.size

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._at(0.0, self._flush)

    def _flush(self, _: simpy.Event) -> None:
        self._flush_planned = False
        self._watch()

    def _watch(self) -> None:
        """Plan a wake-up at the next end, once per change."""
        due = self.fluid.next_completion_s()
        if due != self._alarm_s:
            self._alarm, self._alarm_s = None, due
            if due < np.inf:
                self._alarm = self._at(max(due - self.env.now, 0.0), self._ring)

    def _ring(self, alarm: simpy.Event) -> None:
        if alarm is not self._alarm:
            return
        if self._report():
            self._plan_flush()  # whoever waited may start something in this very instant
        else:
            self._watch()

    def _at(self, delay_s: float, action: Callable[[simpy.Event], None]) -> simpy.Event:
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        event.callbacks = [action]
        self.env.schedule(event, LATE, delay_s)
        return event
