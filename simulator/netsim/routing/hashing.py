"""The hash that spreads flows over equal paths: 64 bits, seeded, the same on every machine.

Each input word is folded in with the finaliser of SplitMix64, a bijection of 64-bit words that passes
BigCrush: h <- mix(h + GOLDEN + word). Order matters, so (a, b) and (b, a) fall apart. A switch's hash is told
from the others' by a tier number among the words: real switches seed theirs for the same reason (without it,
traffic that one tier has sorted is not spread by the next: polarisation, which is left out).

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(*words: ArrayLike) -> NDArray[np.uint64]:
    """A 64-bit hash of words, which broadcast against each other.

    >>> mix(0, [1, 2]).tolist() == [int(mix(0, 1)[0]), int(mix(0, 2)[0])]
    True
    >>> int(mix(1, 2)[0]) == int(mix(2, 1)[0])
    False
    """
    h = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for word in words:
            h = h + _GOLDEN + np.asarray(word, dtype=np.int64).astype(np.uint64)
            h = (h ^ (h >> np.uint64(30))) * _M1
            h = (h ^ (h >> np.uint64(27))) * _M2
            h = h ^ (h >> np.uint64(31))
    return h


def pick(choices: ArrayLike, *words: ArrayLike) -> NDArray[np.int64]:
    """A number below `choices` (at least 1) for each combination of words; its bias is below 2^-50."""
    return (mix(*words) % np.asarray(choices, dtype=np.uint64)).astype(np.int64)
