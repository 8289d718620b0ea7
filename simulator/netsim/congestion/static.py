"""No control: a fixed window, a fixed rate, or neither.

    in flight < window (0: no bound)          next packet no sooner than size / rate after the last (0: not paced)

The NIC's ring alone shares the port, so this is the sender of the fluid limit: with switches that spray and buffers
that hold, a flow gets what its queues give it. Left out: any reaction to marks, delay or loss; a lost packet comes
again after the time-out.
"""

from __future__ import annotations
