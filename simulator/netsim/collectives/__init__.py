"""A collective to its transfers: pure functions from GPUs and sizes to flows; no clock and no paths."""

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
    "Transfers",
    "expert_exchange",
    "join",
    "nothing",
    "point_to_point",
    "rings",
    "scaled",
    "two_level_rings",
]
