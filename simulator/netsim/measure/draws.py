"""Random shapes from one seed: what the fits are trained on and, drawn apart, tested with.

Sizes are log-uniform, rounded to what the libraries take (rows to 64 or 16, matrix sides to 128), and redrawn
when they would not fit the memory or would take longer than a repeated measurement should.
"""

from __future__ import annotations

import zlib

import numpy as np

#: of one product, about 10 ms in BF16
_MOST_FLOPS = 8e12
_MOST_BYTES = 4e9


class Draws:
    """A stream of shapes; streams of different purposes are independent."""

    def __init__(self, seed: int, purpose: str) -> None:
        self.random = np.random.default_rng([seed, zlib.crc32(purpose.encode())])

    def _log(self, low: int, high: int, step: int) -> int:
        value = np.exp(self.random.uniform(np.log(low), np.log(high)))
        return max(low, round(float(value) / step) * step)

    def gemm(self) -> tuple[int, int, int]:
        """Rows, and two sides of a matrix."""
        while True:
            m, n, k = self._log(64, 16384, 64), self._log(512, 32768, 128), self._log(512, 18432, 128)
            if 2.0 * m * n * k <= _MOST_FLOPS and 2.0 * (m * k + n * k + m * n) <= _MOST_BYTES:
                return m, n, k

    def wgrad(self) -> tuple[int, int, int]:
        """Two sides of a matrix, and rows."""
        while True:
            m, n, k = self._log(512, 32768, 128), self._log(512, 18432, 128), self._log(512, 16384, 128)
            if 2.0 * m * n * k <= _MOST_FLOPS and 4.0 * m * n <= _MOST_BYTES:
                return m, n, k

    def grouped(self, skewed: bool) -> tuple[tuple[int, ...], int, int]:
        """Rows of each of 2 to 32 groups, and two sides of a matrix."""
        while True:
            groups, each = int(2 ** self.random.integers(1, 6)), self._log(128, 8192, 64)
            n, k = self._log(1024, 8192, 128), self._log(1024, 8192, 128)
            if 2.0 * groups * each * n * k <= _MOST_FLOPS and 2.0 * groups * n * k <= _MOST_BYTES:
                rows = (self.skewed_rows if skewed else self.even_rows)(groups * each, groups)
                return rows, n, k

    def even_rows(self, rows: int, groups: int) -> tuple[int, ...]:
        """Balanced: the same rows in every group, as multiples of 16."""
        return (max(16, rows // groups // 16 * 16),) * groups

    def skewed_rows(self, rows: int, groups: int, exponent: float = 0.8) -> tuple[int, ...]:
        """Zipf-distributed rows in random order, as multiples of 16, about `rows` together.

        >>> sum(Draws(0, "x").skewed_rows(32768, 4))
        32768
        """
        weight = np.arange(1, groups + 1, dtype=float) ** -exponent
        share = np.maximum(16, np.floor(rows * weight / weight.sum() / 16) * 16).astype(int)
        share[0] += max(0, rows - int(share.sum())) // 16 * 16
        self.random.shuffle(share)
        return tuple(int(s) for s in share)

    def attention(self, most_heads: int) -> tuple[int, int]:
        """Heads, and a length."""
        heads = max(1, int(most_heads // 2 ** self.random.integers(0, 4)))
        return heads, self._log(768, 8192, 128)

    def rows(self) -> tuple[int, int]:
        """Rows and columns of a memory-bound kernel."""
        while True:
            rows, columns = self._log(512, 65536, 64), self._log(512, 16384, 128)
            if 10.0 * rows * columns <= _MOST_BYTES:
                return rows, columns
