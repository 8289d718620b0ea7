"""The spec of a collective library: launch, latency per step, cost of a message, and what its protocols waste.

A file without step tables has no software overhead: each step then costs the idle latency of its path.
"""

from __future__ import annotations

from typing import Literal

from netsim.specs.base import Preset, Strict
from netsim.specs.hardware import Fraction
from netsim.units import Bytes, Rate, Seconds

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


class FillSpec(Strict):
    """How long the pipeline of a large collective takes to fill: `time` x size / (size + half)."""

    time: Seconds = 0.0
    """What it comes to for the largest sizes."""
    half: Bytes = 0.0
    """Size that takes half of that."""


class StepSpec(Strict):
    """Launch of a collective, one step of it inside a host and between hosts under one switch, and its ramp."""

    base: ByProtocol = ByProtocol()
    """Launch of a collective."""
    local_step: ByProtocol = ByProtocol()
    """One step inside a host."""
    remote_step: ByProtocol = ByProtocol()
    """One step between hosts under one switch."""
    fill: FillSpec = FillSpec()
    """Filling the pipeline inside a host."""

    @property
    def given(self) -> bool:
        """Whether the file has such a table; without, a step costs the idle latency of its path."""
        return self != StepSpec()

    def fill_s(self, size_bytes: float) -> float:
        """Seconds until the pipeline of a collective of a size is full.

        >>> f'{StepSpec(fill=FillSpec(time="60 us", half="1 MB")).fill_s(2e6):.0e}'
        '4e-05'
        """
        whole = size_bytes + self.fill.half
        return self.fill.time * size_bytes / whole if whole else 0.0


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
    connection: Fraction = 1.0
    """Share of what its NIC moves that messages to one remote peer reach."""


class ExchangeSpec(Strict):
    """What one dispatch or combine kernel takes besides bytes and path."""

    normal: Seconds = 0.0
    """Beside bytes and path, in normal mode."""
    low_latency: Seconds = 0.0
    """The same in low-latency mode."""


class ReferenceSpec(Strict):
    """Idle latency of the paths that the step tables were measured on, and so hold already."""

    local: Seconds = 0.0
    """Between GPUs of a host."""
    remote: Seconds = 0.0
    """Between hosts."""


class ProtocolSpec(Preset):
    """A collective library preset."""

    reference: ReferenceSpec = ReferenceSpec()
    """What the steps hold of their paths."""
    ring: StepSpec = StepSpec()
    """Ring algorithms."""
    tree: StepSpec = StepSpec()
    """Double binary tree."""
    nvls: StepSpec = StepSpec()
    """Reductions in the scale-up switch; one protocol, `simple`."""
    in_switch: Fraction = 1.0
    """Share of the achieved NVLink rate that reductions in the switch reach."""
    copy_rate: Rate | None = None
    """What a kernel of the library copies within the memory of a GPU beside its sends; left out: no time."""
    efficiency: EfficiencySpec = EfficiencySpec()
    """Data bytes per byte moved."""
    message: MessageSpec = MessageSpec()
    """Point-to-point messages."""
    exchange: ExchangeSpec = ExchangeSpec()
    """Dispatch and combine kernels."""

    def steps(self, table: str) -> StepSpec:
        """The latencies of a table: those of messages are the ring's."""
        return {"tree": self.tree, "nvls": self.nvls}.get(table, self.ring)
