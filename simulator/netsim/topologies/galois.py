"""Arithmetic in a finite field of q = p^n elements, as tables: what the Slim Fly graphs are made of.

Element number a_0 + a_1 p + ... stands for the polynomial a_0 + a_1 x + ... modulo an irreducible one, which is
found by trying all; fields here have tens of elements. Source: Lidl, Niederreiter, Finite Fields, 1997.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Field(NamedTuple):
    """Tables of a field: (q, q) sums and products, (q,) negatives, and the powers of a generator, (q - 1,)."""

    plus: Ints
    times: Ints
    minus: Ints
    powers: Ints


def prime_power(q: int) -> tuple[int, int] | None:
    """The (p, n) with q = p^n, None when there is none.

    >>> prime_power(27), prime_power(28), prime_power(29)
    ((3, 3), None, (29, 1))
    """
    if q < 2:
        return None
    p = next((d for d in range(2, int(q**0.5) + 1) if q % d == 0), q)
    n = 0
    while q % p == 0:
        q, n = q // p, n + 1
    return (p, n) if q == 1 else None


def field(q: int) -> Field:
    """The field of q elements, q a prime power.

    >>> seven = field(7)
    >>> int(seven.plus[5, 4]), int(seven.times[5, 4]), sorted(seven.powers.tolist())
    (2, 6, [1, 2, 3, 4, 5, 6])
    """
    found = prime_power(q)
    assert found, f"{q} is no prime power"
    p, n = found
    digits = np.array([[e // p**i % p for i in range(n)] for e in range(q)])
    place = p ** np.arange(n)
    plus = ((digits[:, None] + digits[None]) % p) @ place
    for low in product(range(p), repeat=n):
        times = _products(digits, np.array(low), p) @ place
        powers = _powers(times, q)
        if powers is not None:
            return Field(plus, times, (-digits % p) @ place, powers)
    raise AssertionError(f"no irreducible polynomial of degree {n} over {p}")


def _products(digits: Ints, low: Ints, p: int) -> Ints:
    """(q, q, n) products modulo x^n = -low, digit by digit."""
    n = low.size
    result = np.zeros((len(digits), len(digits), n), dtype=np.int64)
    shifted = digits.copy()  # the second factor times x^i
    for i in range(n):
        result = (result + digits[:, None, i, None] * shifted[None]) % p
        carry = shifted[:, -1:]
        shifted = np.concatenate([np.zeros_like(carry), shifted[:, :-1]], axis=1)
        shifted = (shifted - carry * low) % p
    return result


def _powers(times: Ints, q: int) -> Ints | None:
    """The powers of a generator, None when no element has order q - 1: the polynomial is reducible."""
    for start in range(1, q):
        powers = [1]
        while (following := int(times[powers[-1], start])) not in (0, 1) and len(powers) < q:
            powers.append(following)
        if len(powers) == q - 1 and following == 1 and len(set(powers)) == q - 1:
            return np.array(powers)
    return None
