"""Congestion packet by packet, where the fluid answer is not enough: queues, marks, pauses, losses, laws of senders."""

from pathlib import Path

from netsim.network.compiled import forget_outdated

forget_outdated(Path(__file__).parent, (Path(__file__).parent,))
