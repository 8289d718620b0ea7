"""Serving a model: iterations of prefill and decode on a fabric, and the requests that they answer."""

from netsim.inference.deployment import make_deployment
from netsim.inference.exchange import EVERYTHING, IDEAL, Assumptions
from netsim.inference.phases import Deployment, Iteration, decode, prefill

__all__ = [
    "EVERYTHING",
    "IDEAL",
    "Assumptions",
    "Deployment",
    "Iteration",
    "decode",
    "make_deployment",
    "prefill",
]
