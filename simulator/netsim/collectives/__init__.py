"""A collective to its transfers: pure functions from GPUs and sizes to flows; no clock and no paths."""

from netsim.collectives.catalogue import AUTOMATIC, COLLECTIVES
from netsim.collectives.experts import EXCHANGES
from netsim.collectives.plan import Group, Plan, together
from netsim.collectives.transfers import (
    Transfers,
    expert_exchange,
    join,
    nothing,
    point_to_point,
    rings,
    scaled,
    two_level_rings,
)

__all__ = [
    "AUTOMATIC",
    "COLLECTIVES",
    "EXCHANGES",
    "Group",
    "Plan",
    "Transfers",
    "expert_exchange",
    "join",
    "nothing",
    "point_to_point",
    "rings",
    "scaled",
    "together",
    "two_level_rings",
]
