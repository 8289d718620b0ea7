"""How often to repeat, how long to rest, and what to say of the samples: pure functions and one record.

Modelled: the two clock protocols as numbers. Left out: the GPU itself (`protocol`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

#: share of time that the kernel may run in the cool protocol, and the shortest rest, which hides the launches
COOL_DUTY = 0.25
SHORTEST_REST_S = 300e-6
LONGEST_REST_S = 0.5
HOT_WARM_UP_S = 0.09
#: kernels shorter than this are replayed from a CUDA graph when hot, so that launches do not bound them
GRAPH_BELOW_S = 200e-6
#: a pause of the host can hit several repetitions; then the measurement is done again, and the tightest kept
WIDE_SPREAD, SPREAD_FLOOR_US, ATTEMPTS = 0.2, 5.0, 3


@dataclass(frozen=True)
class Effort:
    """How long a kernel is repeated: `total_s` of its own time, within bounds on the repetitions."""

    total_s: float = 0.03
    fewest: int = 15
    most: int = 40

    def repetitions(self, kernel_s: float) -> int:
        """Repetitions of a kernel of about this time.

        >>> Effort().repetitions(1e-5), Effort().repetitions(1e-3), Effort().repetitions(0.1)
        (40, 30, 15)
        """
        return min(self.most, max(self.fewest, round(self.total_s / max(kernel_s, 1e-7))))


QUICK = Effort(total_s=0.003, fewest=5, most=10)


def rest_s(kernel_s: float) -> float:
    """The pause before each repetition that keeps the duty at or below `COOL_DUTY`.

    >>> rest_s(1e-3), rest_s(1e-6)
    (0.003, 0.0003)
    """
    return min(LONGEST_REST_S, max(SHORTEST_REST_S, kernel_s * (1 / COOL_DUTY - 1)))


def launches_a_sample(kernel_s: float) -> int:
    """Kernels in one hot sample: about 2 ms of them when they are short, else one.

    >>> launches_a_sample(1e-5), launches_a_sample(1e-3)
    (64, 1)
    """
    return 1 if kernel_s >= GRAPH_BELOW_S else min(64, math.ceil(2e-3 / max(kernel_s, 1e-6)))


@dataclass(frozen=True)
class Timing:
    """What repeated measurement of one kernel gave; NaN where a thing could not be read."""

    time_us: float
    p10_us: float
    p90_us: float
    min_us: float
    reps: int
    sm_clock_GHz: float = math.nan
    side_GBps: float = math.nan

    @property
    def spread_us(self) -> float:
        """From the 10 % to the 90 % quantile."""
        return self.p90_us - self.p10_us

    @property
    def wide(self) -> bool:
        """Whether the spread is more than the GPU itself makes.

        >>> Timing(100.0, 99.0, 130.0, 98.0, 40).wide, Timing(5.0, 4.0, 6.5, 4.0, 40).wide
        (True, False)
        """
        return self.spread_us > max(SPREAD_FLOOR_US, WIDE_SPREAD * self.time_us)


def summarise(
    samples_us: Sequence[float], sm_clock_GHz: float = math.nan, side_GBps: float = math.nan
) -> Timing:
    """Median and spread of samples.

    Raises ValueError when there is none, or one that is not a positive number.

    >>> summarise([3.0, 1.0, 2.0]).time_us
    2.0
    """
    values = np.asarray(samples_us, dtype=float)
    if values.size == 0 or not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(f"{values.size} samples, must be positive times")
    p10, median, p90 = np.percentile(values, (10, 50, 90))
    return Timing(
        float(median), float(p10), float(p90), float(values.min()), int(values.size), sm_clock_GHz, side_GBps
    )


def sm_clock_GHz(begin: np.ndarray, end: np.ndarray) -> float:
    """SM clock from stamps: cycles over nanoseconds, both summed over intervals, median over the SMs.

    begin, end : (n_intervals, n_sms, 2) clock64 and globaltimer of each SM, zero where a stamp did not run

    >>> sm_clock_GHz(np.array([[[100, 1000]]]), np.array([[[280, 1100]]]))
    1.8
    """
    seen = (begin[..., 1] > 0) & (end[..., 1] > begin[..., 1])
    elapsed = np.where(seen[..., None], end - begin, 0).sum(axis=0)
    ran = elapsed[:, 1] > 0
    return float(np.median(elapsed[ran, 0] / elapsed[ran, 1])) if ran.any() else math.nan


def tightest(measure: Callable[[], Timing]) -> Timing:
    """Measure again while the spread is wide, and keep the measurement with the least."""
    best = measure()
    for _ in range(ATTEMPTS - 1):
        if not best.wide:
            break
        best = min(best, measure(), key=lambda timing: timing.spread_us)
    return best
