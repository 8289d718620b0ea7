"""Serving a model: iterations of prefill and decode on a fabric, and the requests that they answer."""

from netsim.inference.decode_step import decode, decode_memory
from netsim.inference.deployment import make_deployment, refuse_idle
from netsim.inference.exchange import EVERYTHING, IDEAL, Assumptions
from netsim.inference.iteration import Deployment, Iteration
from netsim.inference.prefill_step import prefill

__all__ = [
    "EVERYTHING",
    "IDEAL",
    "Assumptions",
    "Deployment",
    "Iteration",
    "decode",
    "decode_memory",
    "make_deployment",
    "prefill",
    "refuse_idle",
]
