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
    low_latency_128: Seconds = 0.0
    simple: Seconds = 0.0


class StepSpec(Strict):
    """Launch of a collective, and one step of it inside a host and between hosts under one switch."""

    base: ByProtocol = ByProtocol()
    local_step: ByProtocol = ByProtocol()
    remote_step: ByProtocol = ByProtocol()

    @property
    def given(self) -> bool:
        """Whether the file has such a table; without, a step costs the idle latency of its path."""
        return self != StepSpec()


class EfficiencySpec(Strict):
    """Data bytes per byte moved, under each protocol."""

    low_latency: Fraction = 1.0
    low_latency_128: Fraction = 1.0
    simple: Fraction = 1.0


class MessageSpec(Strict):
    """Point-to-point messages: posting one to a remote peer, and the largest that goes by the low-latency protocol."""

    low_latency_limit: Bytes = 0.0
    per_peer_low_latency: Seconds = 0.0
    per_peer: Seconds = 0.0


class ExchangeSpec(Strict):
    """What one dispatch or combine kernel takes besides bytes and path."""

    normal: Seconds = 0.0
    low_latency: Seconds = 0.0


class ProtocolSpec(Preset):
    """A collective library preset."""

    ring: StepSpec = StepSpec()
    tree: StepSpec = StepSpec()
    efficiency: EfficiencySpec = EfficiencySpec()
    message: MessageSpec = MessageSpec()
    exchange: ExchangeSpec = ExchangeSpec()
