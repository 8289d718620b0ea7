"""htsim's all-to-alls that take too long for `netsim validate`, and how many packets a second this takes."""

import numpy as np
import pytest

from netsim.validation.experiments_packets import packets

EQDS = {"kind": "all_to_all", "ranks": 64, "transport": "eqds", "packet": 9000, "queue": 35, "window": 50}


@pytest.mark.slow
def test_one_hashed_path_a_flow_as_a_mean_over_20_seeds():
    (time_us,) = packets([EQDS | {"spread": "ecmp", "seeds": 20}])
    assert time_us == pytest.approx(1530.0, rel=0.05)


@pytest.mark.slow
def test_twice_the_ranks():
    (time_us,) = packets([EQDS | {"spread": "entropy", "ranks": 128}])
    assert time_us == pytest.approx(2617.0, rel=0.03)


def test_credit_spares_the_victim_of_an_incast_and_dcqcn_does_not():
    dcqcn, credit = packets(
        [
            {"kind": "victim", "transport": "roce", "seeds": 8},
            {"kind": "victim", "transport": "eqds", "seeds": 2},
        ]
    )
    assert np.isfinite(dcqcn)
    assert dcqcn < 75.0
    assert credit > 99.0
