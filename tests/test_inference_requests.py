"""Queues against Pollaczek-Khinchine, processor sharing against algebra, and the same seed the same requests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.inference.requests import draw, first_come_first_served, serve, shared
from netsim.inference.speculative import tokens_per_step
from netsim.specs.inference import RequestsSpec, SpreadSpec


def spec(count: int, prompt: float = 0.0, output: float = 0.0) -> RequestsSpec:
    return RequestsSpec(
        count=count,
        prompt=SpreadSpec(mean=1000.0, variation=prompt),
        output=SpreadSpec(mean=100.0, variation=output),
    )


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_mean_wait_is_that_of_one_server(load: float, variation: float) -> None:
    # M/G/1: W = load x service x (1 + variation^2) / (2 (1 - load)); M/D/1 for variation 0
    asked = draw(spec(400_000, prompt=variation), 1.0, seed=1)
    service = asked.prompt / 1000.0 * load
    start, _ = first_come_first_served(asked.arrival_s, service, 1)
    expected = load * load * (1 + variation**2) / (2 * (1 - load))
    assert (start - asked.arrival_s).mean() == pytest.approx(expected, rel=0.06)


def test_mean_wait_of_several_servers_is_erlang_c() -> None:
    # M/M/c with c = 3 and 2 servers' worth of work: C = 4/9, W = C x service / (3 - 2)
    rng = np.random.default_rng(4)
    arrival = np.cumsum(rng.exponential(0.5, 300_000))
    start, _ = first_come_first_served(arrival, rng.exponential(1.0, 300_000), 3)
    assert (start - arrival).mean() == pytest.approx(4 / 9, rel=0.06)


def test_sharing_a_fixed_capacity_is_as_long_as_first_come_first_served_in_all() -> None:
    # one token a second, shared: the last of three with 2 tokens each, from 0, ends at 6, as any work-conserving order
    end, most = shared(np.zeros(3), np.full(3, 2.0), lambda n: 1.0 / n, 8)
    assert end.tolist() == pytest.approx([6.0] * 3)
    assert most == 3
    end, most = shared(np.zeros(3), np.full(3, 2.0), lambda n: 1.0 / n, 1)
    assert end.tolist() == pytest.approx([2.0, 4.0, 6.0])
    assert most == 1


def test_mean_time_in_a_shared_server_is_that_of_processor_sharing() -> None:
    # M/G/1-PS: T = service / (1 - load), whatever the distribution
    asked = draw(spec(100_000, output=1.0), 0.006, seed=3)
    end, _ = shared(asked.arrival_s, asked.output, lambda n: 1.0 / n, 10**6)
    assert (end - asked.arrival_s).mean() == pytest.approx(100.0 / (1 - 0.6), rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), min_size=1, max_size=30), st.integers(1, 8))
def test_work_is_conserved_and_nobody_ends_early(items: list[tuple[float, int]], places: int) -> None:
    ready, tokens = np.array([i[0] for i in items]), np.array([float(i[1]) for i in items])
    end, most = shared(ready, tokens, lambda n: 2.0, places)
    assert (end >= ready + tokens / 2.0 - 1e-9).all()
    assert most <= places
    if places >= len(items):
        assert end == pytest.approx(ready + tokens / 2.0)


def test_first_token_and_the_rest_by_hand() -> None:
    asked = draw(spec(1), 1.0, seed=0)
    found = serve(asked, 500.0, 4, lambda n: 50.0, 10, transfer_s_per_token=1e-4)
    assert found.ttft_s.tolist() == pytest.approx([2.0])
    # 99 further tokens at 50 a second, behind the transfer of 1,000 tokens' cache
    assert found.tpot_s.tolist() == pytest.approx([(0.1 + 99 / 50) / 99])


def test_lengths_have_the_asked_mean_and_spread() -> None:
    asked = draw(spec(200_000, prompt=0.5, output=2.0), 10.0, seed=0)
    assert asked.prompt.mean() == pytest.approx(1000.0, rel=0.01)
    assert asked.prompt.std() == pytest.approx(500.0, rel=0.02)
    assert asked.output.mean() == pytest.approx(100.0, rel=0.03)
    assert np.diff(asked.arrival_s).mean() == pytest.approx(0.1, rel=0.01)
    assert asked.output.min() >= 1.0


def test_same_seed_same_requests_and_children_are_apart() -> None:
    one, two, other = (draw(spec(50, 1.0, 1.0), 2.0, seed) for seed in (7, 7, 8))
    assert (one.arrival_s == two.arrival_s).all()
    assert (one.prompt == two.prompt).all()
    assert (one.arrival_s != other.arrival_s).all()
    more = draw(spec(50, 1.0, 3.0), 2.0, 7)  # another spread of answers leaves the prompts alone
    assert (more.prompt == one.prompt).all()
    assert (more.output != one.output).any()


def test_expected_tokens_of_a_step_are_those_of_accepting_one_by_one() -> None:
    rng = np.random.default_rng(0)
    accepted = rng.random((200_000, 3)) < 0.8
    counted = 1 + np.cumprod(accepted, axis=1).sum(axis=1)
    assert tokens_per_step(0.8, 3) == pytest.approx(counted.mean(), rel=0.005)
