"""Fabrics side by side on the same job: step, price, power, latency, what binds, and what changed and why."""

from netsim.analysis.comparison.compare import compare
from netsim.analysis.comparison.question import CompareRequest

__all__ = ["CompareRequest", "compare"]
