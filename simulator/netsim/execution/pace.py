"""Compute that slows while kernels of transfers hold SMs of its GPU.

A task of `seconds` runs at the speed 1 / (1 + slope x held), with `held` SMs taken from it at the moment: a product
loses its SMs for as long as a transfer is resident, and no longer. Left out: that the slope is no straight
line (waves of tiles are whole), and that a kernel keeps the SMs that it started with.
"""

from __future__ import annotations

import simpy


class Pace:
    """The compute queue of one actor: at most one task at a time, and the SMs held beside it.

    >>> env = simpy.Environment(); pace = Pace(env)
    >>> done = pace.run(2.0, slope=0.5); pace.hold(+2)  # half speed from the start
    >>> env.run(until=done); env.now
    4.0
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env, self.held = env, 0
        self._done: simpy.Event | None = None
        self._left_s = self._slope = self._since_s = 0.0
        self._turn = 0  # ends that were planned before the last change do not count

    def run(self, seconds: float, slope: float) -> simpy.Event:
        """An event at the end of a task that starts now."""
        done = self._done = self.env.event()
        self._left_s, self._slope, self._since_s = seconds, slope, self.env.now
        self._plan()
        return done

    def hold(self, sms: int) -> None:
        """Take SMs, or give them back."""
        if sms and self._done is not None:
            self._left_s -= (self.env.now - self._since_s) / (1.0 + self._slope * self.held)
            self._since_s = self.env.now
        self.held += sms
        if sms and self._done is not None:
            self._plan()

    def _plan(self) -> None:
        self._turn += 1
        due = self.env.timeout(max(self._left_s, 0.0) * (1.0 + self._slope * self.held), self._turn)
        due.callbacks.append(self._end)

    def _end(self, event: simpy.Event) -> None:
        if event.value == self._turn and self._done is not None:
            done, self._done = self._done, None
            done.succeed()
