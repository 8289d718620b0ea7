"""The spec of a collective library: launch, latency per step, cost of a message, and what its protocols waste.

A file without step tables has no software overhead: each step then costs the idle latency of its path.
"""

from __future__ import annotations

from typing import Literal

from netsim.specs.base import Preset, Strict
from netsim.specs.hardware import Fraction
from netsim.units import Bytes, Seconds

#: how a byte is told from its neighbours: a flag in every 8 bytes, one in every 128, or a counter beside the data
Protocol = Literal["low_latency", "low_latency_128", "simple"]
PROTOCOLS: tuple[Protocol, ...] = ("low_latency", "low_latency_128", "simple")


class ByProtocol(Strict):
    """A time under each protocol."""

    low_latency: Seconds = 0.0
    """Under the low-latency protocol (LL)."""
    low_latency_128: Seconds = 0.0
    """Under LL128."""
    simple: Seconds = 0.0
    """Under the simple protocol."""


class StepSpec(Strict):
    """Launch of a collective, and one step of it inside a host and between hosts under one switch."""

    base: ByProtocol = ByProtocol()
    """Launch of a collective."""
    local_step: ByProtocol = ByProtocol()
    """One step inside a host."""
    remote_step: ByProtocol = ByProtocol()
    """One step between hosts under one switch."""

    @property
    def given(self) -> bool:
        """Whether the file has such a table; without, a step costs the idle latency of its path."""
        return self != StepSpec()


class EfficiencySpec(Strict):
    """Data bytes per byte moved, under each protocol."""

    low_latency: Fraction = 1.0
    """Under the low-latency protocol (LL)."""
    low_latency_128: Fraction = 1.0
    """Under LL128."""
    simple: Fraction = 1.0
    """Under the simple protocol."""


class MessageSpec(Strict):
    """Point-to-point messages: posting one to a remote peer, and the largest that goes by the low-latency protocol."""

    low_latency_limit: Bytes = 0.0
    """Largest message that goes by the low-latency protocol."""
    per_peer_low_latency: Seconds = 0.0
    """Posting such a message to a remote peer."""
    per_peer: Seconds = 0.0
    """Posting a larger one."""


class ExchangeSpec(Strict):
    """What one dispatch or combine kernel takes besides bytes and path."""

    normal: Seconds = 0.0
    """Beside bytes and path, in normal mode."""
    low_latency: Seconds = 0.0
    """The same in low-latency mode."""


class ProtocolSpec(Preset):
    """A collective library preset."""

    ring: StepSpec = StepSpec()
    """Ring algorithms."""
    tree: StepSpec = StepSpec()
    """Double binary tree."""
    efficiency: EfficiencySpec = EfficiencySpec()
    """Data bytes per byte moved."""
    message: MessageSpec = MessageSpec()
    """Point-to-point messages."""
    exchange: ExchangeSpec = ExchangeSpec()
    """Dispatch and combine kernels."""
