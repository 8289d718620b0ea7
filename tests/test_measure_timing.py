"""Statistics, pauses and clocks of `netsim measure`, without a GPU."""

import math

import numpy as np
import pytest

from netsim.measure import timing
from netsim.measure.timing import Effort, Timing, launches_a_sample, rest_s, sm_clock_GHz, summarise, tightest


def test_quantiles_of_a_ramp() -> None:
    # 1..11: the median is 6, the 10 % quantile 2, the 90 % quantile 10
    result = summarise([float(i) for i in range(1, 12)])
    assert (result.time_us, result.p10_us, result.p90_us, result.min_us, result.reps) == (6, 2, 10, 1, 11)
    assert math.isnan(result.sm_clock_GHz)


@pytest.mark.parametrize("samples", [[], [1.0, math.nan], [1.0, 0.0], [1.0, -2.0]])
def test_impossible_samples_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        summarise(samples)


@pytest.mark.parametrize("kernel_s", [1e-6, 1e-4, 1e-3, 1e-2])
def test_cool_duty_is_kept(kernel_s: float) -> None:
    assert kernel_s / (kernel_s + rest_s(kernel_s)) <= timing.COOL_DUTY + 1e-9


def test_repetitions_fall_with_the_kernel_within_bounds() -> None:
    effort = Effort(total_s=0.03, fewest=15, most=40)
    counts = [effort.repetitions(s) for s in (1e-6, 1e-3, 1.5e-3, 1.0)]
    assert counts == [40, 30, 20, 15]
    assert launches_a_sample(5e-6) == 64
    assert launches_a_sample(3e-4) == 1


def test_clock_is_cycles_over_nanoseconds_of_sms_seen_twice() -> None:
    # two intervals of two SMs: SM 0 runs 1500 + 3000 cycles in 1000 + 2000 ns; SM 1 is held, never stamped
    begin = np.array([[[100, 10_000], [0, 0]], [[9_000, 30_000], [0, 0]]])
    end = np.array([[[1_600, 11_000], [0, 0]], [[12_000, 32_000], [0, 0]]])
    assert sm_clock_GHz(begin, end) == pytest.approx(1.5)
    assert math.isnan(sm_clock_GHz(np.zeros_like(begin), np.zeros_like(end)))


def test_a_wide_spread_is_measured_again_and_the_tightest_kept() -> None:
    def fake(time_us: float, spread_us: float) -> Timing:
        return Timing(time_us, time_us, time_us + spread_us, time_us, 20)

    results = iter([fake(190, 160), fake(104, 30), fake(105, 90), fake(103, 1)])
    assert tightest(lambda: next(results)).time_us == 104  # three attempts, then the least spread of them
    results = iter([fake(104, 2), fake(1, 1)])
    assert tightest(lambda: next(results)).time_us == 104  # tight at once: once is enough
