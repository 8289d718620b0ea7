"""One overlapped pair against the public H800 trace."""

import pytest

from netsim.analysis.trace_pair import TRACE_SPEED, read_trace, replay, simulate_pair
from netsim.specs.case import make_case

MEASURED = read_trace()


def test_order_and_waits_reproduce_the_pair_from_its_blocks() -> None:
    # 129.012 ms measured; the first 0.475 ms are the host's, before the first compute kernel
    assert MEASURED.seconds == pytest.approx(0.129012)
    assert replay(MEASURED) == pytest.approx(MEASURED.seconds, rel=0.03)


def test_calibrated_pair_is_within_five_percent_and_hides_as_much() -> None:
    pair = simulate_pair(make_case(overrides=TRACE_SPEED))
    assert pair.seconds == pytest.approx(MEASURED.seconds, rel=0.05)
    assert pair.hidden_fraction == pytest.approx(0.963, abs=0.03)
    assert sorted(set(pair.block)) == sorted(set(MEASURED.block))
    assert len(pair.block) == len(MEASURED.block) == 40
