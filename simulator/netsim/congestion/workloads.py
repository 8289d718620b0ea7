"""Traffic to look at: who sends how much to whom, from a name.

    all_to_all   every rank to every other; rank r begins with r + 1, so receivers are not hit in step
    incast       ranks 1 .. n to rank 0, and a victim: from a neighbour of the first sender to a rank near the receiver
    permutation  every rank to one other, drawn without fixed points
    ring         every rank to the next
    pair         rank 0 to the last

Ranks are GPUs 0 .. n - 1. Left out: arrivals over time (all start at once) and compute between messages.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netsim.congestion.messages import Messages
from netsim.errors import NetsimError, did_you_mean


def all_to_all(ranks: int, size_bytes: int, rng: np.random.Generator) -> Messages:
    """Every rank to every other.

    >>> all_to_all(3, 10, np.random.default_rng(0)).target.tolist()
    [1, 2, 2, 0, 0, 1]
    """
    source = np.repeat(np.arange(ranks), ranks - 1)
    target = (source + np.tile(np.arange(1, ranks), ranks)) % ranks
    return Messages.of(source, target, size_bytes, "all_to_all")


def ring(ranks: int, size_bytes: int, rng: np.random.Generator) -> Messages:
    """Every rank to the next."""
    source = np.arange(ranks)
    return Messages.of(source, (source + 1) % ranks, size_bytes, "ring")


def permutation(ranks: int, size_bytes: int, rng: np.random.Generator) -> Messages:
    """Every rank to one other; a cycle through all of them in an order that is drawn."""
    order = rng.permutation(ranks)
    target = np.empty(ranks, np.int64)
    target[order] = np.roll(order, -1)
    return Messages.of(np.arange(ranks), target, size_bytes, "permutation")


def pair(ranks: int, size_bytes: int, rng: np.random.Generator) -> Messages:
    """Rank 0 to the last."""
    return Messages.of(0, ranks - 1, size_bytes, "pair")


Pattern = Callable[[int, int, np.random.Generator], Messages]
PATTERNS: dict[str, Pattern] = {
    "all_to_all": all_to_all,
    "permutation": permutation,
    "ring": ring,
    "pair": pair,
}


def pattern(name: str, ranks: int, size_bytes: int, seed: int) -> Messages:
    """Traffic by name.

    Raises NetsimError for an unknown name, or fewer ranks than it needs.
    """
    if name not in PATTERNS:
        raise NetsimError(f"no traffic {name!r}: {did_you_mean(name, PATTERNS)}")
    if ranks < 2:
        raise NetsimError(f"--ranks {ranks}: must be at least 2")
    return PATTERNS[name](ranks, size_bytes, np.random.default_rng([seed, 0xF10]))
