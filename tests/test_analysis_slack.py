"""The slack of the published trace, and netsim's own."""

import pytest

from netsim.analysis.slack import replayed_s, simulated_s, slack

PUBLISHED = 1.35  # of the trace's analysis: "about 1.35x slack before the pair slows down"


@pytest.mark.parametrize(
    ("stretch", "milliseconds"), [(1.4, 128.6), (1.6, 136.2), (1.8, 148.3), (2.0, 163.0), (3.0, 243.0)]
)
def test_the_stretched_replay_is_that_of_the_trace_analysis(stretch: float, milliseconds: float) -> None:
    assert replayed_s(stretch) * 1e3 == pytest.approx(milliseconds, rel=0.005)


def test_the_pair_does_not_notice_a_slightly_slower_network() -> None:
    assert replayed_s(1.2) == replayed_s(1.0)
    assert simulated_s(1.2) == pytest.approx(simulated_s(1.0), rel=1e-9)


def test_slack_is_within_a_tenth_of_the_published_and_of_the_replay() -> None:
    found = slack(simulated_s, 0.005)
    assert found == pytest.approx(PUBLISHED, rel=0.10)
    assert slack(replayed_s, 0.005) == pytest.approx(PUBLISHED, rel=0.02)
    # whatever is called noticing, the two agree better than that
    for share in (0.0025, 0.01, 0.02):
        assert slack(simulated_s, share) == pytest.approx(slack(replayed_s, share), rel=0.10)


def test_a_slower_network_is_slower_by_its_transfers_once_they_bind() -> None:
    # far beyond the slack the transfers are the pair: a line through the origin of the exchanges
    slope = simulated_s(5.0) - simulated_s(4.0)
    assert simulated_s(6.0) - simulated_s(5.0) == pytest.approx(slope, rel=1e-3)
    assert slope == pytest.approx(0.0803, rel=0.02)  # 80.5 ms of transport kernels in the trace
