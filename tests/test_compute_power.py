"""The power limit: algebra of a made-up card, and the clocks of measured mixes that the fit did not see."""

from itertools import groupby

import numpy as np
import pytest

from netsim.compute.power import Load, State, energy_j, slowdown, state, steady
from netsim.measure.mix_table import read_parts
from netsim.specs import load
from netsim.specs.catalog import root
from netsim.specs.power import PowerSpec
from netsim.specs.profile import ProfileSpec
from netsim.validation.evidence.constants import loads_of

MEMORY = {"per_byte_pJ": 100.0}
PRODUCT = {"per_flop_pJ": 1.0, "rested_clock": "1.6 GHz"}
CARD = PowerSpec.model_validate(
    {
        "static": "100 W", "reference": "1.5 GHz", "voltage_slope": 0.0, "inside": 1.0, "pause": 0.0,
        "groups": {**dict.fromkeys(("bf16", "attention_fwd", "attention_bwd"), PRODUCT), "memory": MEMORY},
        "source": "made up",
    }
)  # fmt: skip
H200 = load(ProfileSpec, "profile", "h200").power
#: mixes whose attention set the power of heads 64 and 256 wide
SEEN = ("attn_bwd:bf16:16384x16x256", "attn_fwd:bf16:16384x64x64", "residual_add:16384x8192")


def test_products_slow_down_until_their_power_meets_the_cap() -> None:
    # 800 TFLOPS rested at 1 pJ: 100 + 800 W; the cap of 700 allows 600 TFLOPS, 3/4 of 1.6 GHz
    found = steady(CARD, [Load("bf16", 1.0, 8e14, 0.0)], 0.0, 700.0, 2e9)
    assert found.clock_hz == pytest.approx(1.2e9, rel=1e-6)
    assert found.mean_w == pytest.approx(700.0, rel=1e-6)
    assert slowdown(CARD, Load("bf16", 1.0, 8e14, 0.0), found.clock_hz) == pytest.approx(4 / 3, rel=1e-6)


def test_a_pause_lets_products_run_as_on_a_rested_card() -> None:
    # half of the time idle: 100 + 400 W
    assert steady(CARD, [Load("bf16", 1.0, 8e14, 0.0)], 1.0, 700.0, 2e9).mean_w == pytest.approx(500.0)


def test_memory_bound_work_keeps_its_time_at_any_clock() -> None:
    assert slowdown(CARD, Load("memory", 1.0, 0.0, 4e12), 1e9) == 1.0
    assert energy_j(CARD, Load("memory", 1.0, 0.0, 4e12), 1e9) == pytest.approx(400.0)


def test_nothing_to_do_draws_the_static_power() -> None:
    assert state(CARD, [], 1.0, 1.5e9) == State(1.5e9, 100.0, 100.0, 0.0)


def misses(table: str) -> tuple[list[float], list[float]]:
    """Relative errors of clocks and of slowdowns of a table of mixes."""
    clocks, slower = [], []
    rows = read_parts(root() / "workloads/compute/measured" / table)
    # a mix is its kernels in a row; the same mix may follow on another card
    for mix, some in groupby(rows, key=lambda row: (row.mix, row.power_w)):
        parts = list(some)
        if mix[0] in SEEN:
            continue
        loads, idle_s = loads_of(parts)
        found = steady(H200, loads, idle_s, 700.0, 1.98e9)
        clocks.append(found.clock_hz / 1e6 / parts[0].clock_mhz - 1.0)
        slower += [
            slowdown(H200, one, found.clock_hz) / (part.hot_us / part.cold_us) - 1.0
            for one, part in zip(loads, parts, strict=True)
        ]
    return clocks, slower


def test_clocks_of_mixes_that_were_not_used_are_within_three_percent() -> None:
    clocks, slower = misses("h200_mixes_held_out.csv")
    assert len(clocks) == 13
    assert np.median(np.abs(clocks)) < 0.02
    # one of thirteen misses three percent: products with pauses of 20 %, whose clock is 1.65 GHz and comes out at 1.59;
    # and so does the fast limit of products on a card with pauses of a half (the driver reports less than boost)
    assert np.sum(np.abs(clocks) > 0.03) <= 2
    assert np.median(np.abs(slower)) < 0.02
    assert np.max(np.abs(slower)) < 0.04


def test_clocks_of_the_mixes_of_the_fit_are_within_three_percent() -> None:
    clocks, slower = misses("h200_mixes.csv")
    assert np.sum(np.abs(clocks) > 0.03) <= 1
    assert np.max(np.abs(slower)) < 0.03
