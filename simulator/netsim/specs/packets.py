"""The spec of a transport for `netsim packets`: packets, switches, how paths are chosen, and the law of the senders.

Equations and what they leave out stand with the code, in `netsim.congestion`; this is every constant that they read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from netsim.specs.base import Preset, Strict
from netsim.units import Bytes, Rate, Seconds

Spread = Literal["ecmp", "entropy", "spray", "adaptive", "flowlet"]
Law = Literal["static", "credit", "dcqcn", "hpcc", "nscc"]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
Part = Annotated[float, Field(ge=0.0, le=1.0)]


class PacketSpec(Strict):
    """Sizes of packets."""

    payload: Annotated[Bytes, Field(ge=64, le=1 << 24)] = 4096.0
    """Data of a full packet."""
    header: Annotated[Bytes, Field(ge=0, le=512)] = 64.0
    """Header of a data packet, on top of its payload."""
    control: Annotated[Bytes, Field(ge=1, le=512)] = 64.0
    """An acknowledgement, credit, notification, pause frame or trimmed packet."""


class SpreadSpec(Strict):
    """How the path of a packet is chosen (netsim.congestion.choose)."""

    by: Spread = "spray"
    """ecmp, entropy, spray, adaptive or flowlet."""
    paths: Annotated[int, Field(ge=1, le=1 << 16)] = 64
    """Entropies that a sender goes round (entropy)."""
    flowlet_gap: Seconds = 50e-6
    """A flow that has paused for longer takes another path (flowlet)."""


class EcnSpec(Strict):
    """Marking of data packets, by the time that the queue ahead takes."""

    on: bool = False
    """Whether switches mark."""
    low: Seconds = 32e-6
    """Below it nothing is marked."""
    high: Seconds = 128e-6
    """From it on everything is marked."""
    most: Part = 0.2
    """Probability just below `high`."""


class PauseSpec(Strict):
    """Priority flow control of a lossless switch, by what packets of one port and class hold of the buffer."""

    stop: Bytes = 0.0
    """A pause frame is sent above this; 0: never."""
    resume: Bytes = 0.0
    """A resume frame is sent at this."""


class BufferSpec(Strict):
    """The switches (netsim.congestion.switch)."""

    cut_through: bool = False
    """Whether a packet goes on when its header has come."""
    full: Literal["lossless", "trim", "drop"] = "lossless"
    """What a full queue does."""
    size: Annotated[Bytes, Field(ge=1)] = 64e6
    """Buffer of a switch, shared by its ports."""
    alpha: Annotated[float, Field(ge=0.0)] = 0.0
    """A queue may take this times what is free; 0: no such rule."""
    queue: Bytes = 1e15
    """A queue may take so much."""
    ecn: EcnSpec = EcnSpec()
    """Marking."""
    pause: PauseSpec = PauseSpec()
    """Pause frames."""


class SenderSpec(Strict):
    """What all laws share."""

    law: Law = "static"
    """static, credit, dcqcn, hpcc or nscc."""
    window: Bytes = 0.0
    """Bytes under way of a flow (static); 0: no bound."""
    rate: Part = 0.0
    """Rate of a flow as a part of its NIC's (static); 0: not paced."""
    acknowledge: Bytes = 0.0
    """Bytes that a receiver lets go by between two acknowledgements."""
    acknowledged: bool = True
    """Whether receivers acknowledge at all; only a static sender without a window does without."""
    ordered: bool = False
    """Whether a receiver keeps only the packet that is next (go-back-N)."""
    timeout: Seconds = 0.0
    """Until a sender takes what is under way for lost; 0: never, for networks that lose nothing."""


class CreditSpec(Strict):
    """Credit from the receiver (netsim.congestion.credit)."""

    initial: Bytes = 0.0
    """Bytes that a sender sends unasked."""
    pull_rate: Positive = 0.99
    """Interval between two credits over the time of a packet on the wire."""
    pull_overhead: Bytes = 38.0
    """What a frame costs on the wire besides its bytes, as the pacer counts it."""


class DcqcnSpec(Strict):
    """DCQCN (netsim.congestion.dcqcn)."""

    g: Part = 1 / 256
    """Gain of alpha."""
    cnp_interval: Seconds = 50e-6
    """At most one notification per flow in this time."""
    alpha_timer: Seconds = 55e-6
    """Period in which alpha falls."""
    rate_timer: Seconds = 55e-6
    """Period in which the rate rises."""
    byte_counter: Bytes = 10e6
    """Bytes after which it rises too."""
    fast_steps: Count = 5
    """Periods of fast recovery."""
    additive: Rate = 5e6
    """Additive increase of the target."""
    hyper: Rate = 50e6
    """Hyper increase of the target."""
    least_rate: Rate = 12.5e6
    """No flow is slower."""


class HpccSpec(Strict):
    """A window from telemetry (netsim.congestion.hpcc)."""

    eta: Positive = 0.95
    """Utilisation to hold."""
    stages: Count = 5
    """Additive steps before a multiplicative one."""
    additive: Part = 0.0005
    """Window added, as a part of a bandwidth-delay product."""


class NsccSpec(Strict):
    """A window from delay and marks (netsim.congestion.nscc)."""

    target_round_trips: Annotated[float, Field(ge=0.0)] = 0.0
    """Queueing delay to hold, in idle round trips; 0: 0.75 with trimming, 1 without."""
    gamma: Part = 0.8
    """Strength of a decrease."""
    most_window: Positive = 1.5
    """Largest window, in bandwidth-delay products."""


class FailoverSpec(Strict):
    """Until those who send on a dead link send elsewhere."""

    nic: Seconds = 1e-3
    """A NIC, off a dead port of its own or of its peer."""
    switch: Seconds = 1e-3
    """The switches, around a dead cable."""


class PacketsSpec(Preset):
    """A transport preset."""

    packet: PacketSpec = PacketSpec()
    """Sizes of packets."""
    spread: SpreadSpec = SpreadSpec()
    """How paths are chosen."""
    switch: BufferSpec = BufferSpec()
    """The switches."""
    sender: SenderSpec = SenderSpec()
    """The senders."""
    credit: CreditSpec = CreditSpec()
    """Credit from the receiver."""
    dcqcn: DcqcnSpec = DcqcnSpec()
    """DCQCN."""
    hpcc: HpccSpec = HpccSpec()
    """A window from telemetry."""
    nscc: NsccSpec = NsccSpec()
    """A window from delay and marks."""
    failover: FailoverSpec = FailoverSpec()
    """Reaction to failures."""

    @model_validator(mode="after")
    def _fits(self) -> PacketsSpec:
        sender, switch = self.sender, self.switch
        if sender.law != "static" and not sender.acknowledged:
            raise ValueError(f"sender.acknowledged = false: the {sender.law} law needs acknowledgements")
        if sender.window and not sender.acknowledged:
            raise ValueError("sender.acknowledged = false: a window needs acknowledgements")
        if sender.ordered and self.spread.by in ("entropy", "spray", "adaptive"):
            raise ValueError(
                f"sender.ordered = true: {self.spread.by} delivers out of order, must be ecmp or flowlet"
            )
        if switch.pause.stop and switch.full != "lossless":
            raise ValueError("switch.pause.stop: only a lossless switch pauses")
        if switch.pause.resume > switch.pause.stop:
            raise ValueError("switch.pause.resume: must be at most switch.pause.stop")
        if switch.ecn.low > switch.ecn.high:
            raise ValueError("switch.ecn.low: must be at most switch.ecn.high")
        if switch.full == "trim" and sender.ordered:
            raise ValueError("switch.full = trim: an ordered receiver has no use for headers")
        return self
