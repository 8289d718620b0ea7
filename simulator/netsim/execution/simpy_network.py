"""The fluid network as SimPy sees it: `transfer` returns an event that fires when a batch has ended.

Everything that starts or ends at one instant is one solve: the first change at an instant plans a look behind the
events of that instant, and the look asks for the next end once. An event that is planned for now fires after those
planned before it, so the look comes up while others of the instant may still wait; it then goes behind them again
(`env.peek()` is the time of the next event). One environment therefore holds one network: two would wait for each
other.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import simpy

from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork


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
        self._looking = False
        self._alarm: simpy.Event | None = None
        self._alarm_s, self._alarm_rang = np.inf, False
        self._one = np.zeros(1, np.int64)

    def transfer(self, batch: int, unit_bytes: float = 1.0, kernel_bytes_per_s: float = 1.0) -> simpy.Event:
        """Start `batch` now; the event fires when its last flow ends, with the batch as its value.

        `unit_bytes` and `kernel_bytes_per_s` multiply the registered sizes and rate caps, see `FluidNetwork.start`.
        """
        self._take_ended()
        self._one[0] = batch
        self.fluid.start(self.env.now, self._one, unit_bytes, kernel_bytes_per_s)
        done = self._waiting[batch] = self.env.event()
        self._plan_look()
        return done

    def set_capacity(self, links: Any, capacity_bytes_per_s: Any) -> None:
        """Change link capacities now, see `FluidNetwork.set_capacity`."""
        self._take_ended()
        self.fluid.set_capacity(self.env.now, links, capacity_bytes_per_s)
        self._plan_look()

    def reroute(self, table: FlowTable) -> None:
        """Flows take other paths now, see `FluidNetwork.reroute`."""
        self._take_ended()
        self.fluid.reroute(self.env.now, table)
        self._plan_look()

    def _take_ended(self) -> None:
        if self.env.now >= self._alarm_s:
            self._report()

    def _report(self) -> int:
        """Fire the events of the batches that have ended; how many."""
        self._alarm_s, self._alarm_rang = np.inf, False
        ended = self.fluid.advance(self.env.now)
        for batch in ended.tolist():
            self._waiting.pop(batch).succeed(batch)
        return ended.size

    def _plan_look(self) -> None:
        if not self._looking:
            self._looking = True
            self._after(0.0, self._look)

    def _look(self, _: simpy.Event) -> None:
        """When nothing else is left of this instant: report what has ended, or plan a wake-up at the next end."""
        if self.env.peek() <= self.env.now:
            self._after(0.0, self._look)
            return
        self._looking = False
        # the clock may have rounded to just before the end that the alarm stands for
        if self._alarm_rang and self._report():
            self._plan_look()  # whoever waited may start something in this very instant
        else:
            self._watch()

    def _watch(self) -> None:
        due = self.fluid.next_completion_s()
        if due != self._alarm_s:
            self._alarm, self._alarm_s = None, due
            if due < np.inf:
                self._alarm = self._after(max(due - self.env.now, 0.0), self._ring)

    def _ring(self, alarm: simpy.Event) -> None:
        if alarm is self._alarm:
            self._alarm_rang = True
            self._plan_look()

    def _after(self, delay_s: float, action: Callable[[simpy.Event], None]) -> simpy.Event:
        event = self.env.timeout(delay_s)
        event.callbacks.append(action)
        return event
