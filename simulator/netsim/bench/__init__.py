"""A collective on an otherwise idle fabric, timed over message sizes as nccl-tests and DeepEP's tests do."""

from netsim.bench.drain import Drained, drain_transfers
from netsim.bench.sweep import Row, Setup, sweep

__all__ = ["Drained", "Row", "Setup", "drain_transfers", "sweep"]
