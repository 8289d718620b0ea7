"""Levenberg and Marquardt's least squares for a handful of parameters, with robust weights.

Residuals are logarithms of predicted over measured, so an error of 10 % weighs the same for 5 us and 5 ms.
Weights 1 / sqrt(1 + (r / scale)^2) keep a few rows that follow another kernel from bending the rest (the
pseudo-Huber loss). Jacobians are finite differences: models have at most six parameters.

Source: Marquardt 1963; Hartley and Zisserman 2004, appendix 6.8 (pseudo-Huber).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
STEP = 1e-4


def minimise(
    residuals: Callable[[Vector], Vector], start: Vector, scale: float = 0.05, rounds: int = 60
) -> Vector:
    """Parameters that make weighted residuals least, from a start.

    residuals : parameters -> (n,) residuals

    >>> found = minimise(lambda p: np.log(np.exp(p) * np.array([1.0, 2.0]) / np.array([3.0, 6.0])), np.zeros(1))
    >>> round(float(np.exp(found[0])), 6)
    3.0
    """
    here, damping = np.array(start, dtype=np.float64), 1e-2
    current = residuals(here)
    for _ in range(rounds):
        slopes = np.stack(
            [(residuals(here + step) - current) / STEP for step in STEP * np.eye(len(here))], axis=1
        )
        weights = 1.0 / np.sqrt(1.0 + (current / scale) ** 2)
        normal = slopes.T @ (weights[:, None] * slopes)
        gradient = slopes.T @ (weights * current)
        moved = False
        while damping < 1e8 and not moved:
            ridge = damping * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(here))
            step = np.linalg.solve(normal + ridge, gradient)
            there = here - np.clip(step, -2.0, 2.0)
            new = residuals(there)
            moved = loss(new, scale) < loss(current, scale)
            damping *= 0.3 if moved else 5.0
        if not moved:
            break
        gained = loss(current, scale) - loss(new, scale)
        here, current = there, new
        if gained < 1e-9 * (1.0 + loss(current, scale)):
            break
    return here


def loss(residuals: Vector, scale: float) -> float:
    """Pseudo-Huber loss."""
    return float(np.sum(scale**2 * (np.sqrt(1.0 + (residuals / scale) ** 2) - 1.0)))
