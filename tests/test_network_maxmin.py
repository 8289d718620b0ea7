"""The solver against closed forms, a textbook oracle, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.network.maxmin import maxmin_rates


def solve(capacity, paths, share=None, weight=None, cap=None):
    ptr = np.concatenate(([0], np.cumsum([len(p) for p in paths]))).astype(np.int64)
    ids = np.array([link for p in paths for link in p], np.int32)
    return maxmin_rates(np.array(capacity, float), ptr, ids, share, weight, cap)[0]


def textbook(capacity, paths, share, weight, cap):
    """Progressive filling as the book has it: raise all open levels to the first limit, stop those flows, repeat."""
    use = np.zeros((len(capacity), len(paths)))
    at = 0
    for f, path in enumerate(paths):
        for link in path:
            use[link, f] += share[at]
            at += 1
    rate, is_open = np.zeros(len(paths)), np.ones(len(paths), bool)
    while is_open.any():
        slope = use @ (weight * is_open)
        room = capacity - use @ rate
        with np.errstate(divide="ignore", invalid="ignore"):
            step_link = np.where(slope > 0, np.maximum(room, 0) / slope, np.inf)
            step_cap = np.where(is_open, (cap - rate) / weight, np.inf)
        step = min(step_link.min(initial=np.inf), step_cap.min())
        if step == np.inf:
            rate[is_open] = np.inf
            break
        rate = rate + step * weight * is_open
        full = step_link <= step * (1 + 1e-12)
        is_open &= ~(use[full] > 0).any(axis=0) & ~(step_cap <= step * (1 + 1e-12))
    return rate


@st.composite
def networks(draw, with_zero=True):
    n_links = draw(st.integers(1, 8))
    capacity = draw(
        st.lists(
            st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0][0 if with_zero else 1 :]),
            min_size=n_links,
            max_size=n_links,
        )
    )
    link_lists = st.lists(st.integers(0, n_links - 1), min_size=1, max_size=min(4, n_links), unique=True)
    paths = draw(st.lists(link_lists, min_size=1, max_size=12))
    n, nnz = len(paths), sum(map(len, paths))
    share = draw(st.lists(st.sampled_from([1.0, 1.0, 0.5, 0.25, 3.0]), min_size=nnz, max_size=nnz))
    weight = draw(st.lists(st.sampled_from([1.0, 1.0, 2.0, 0.3]), min_size=n, max_size=n))
    cap = draw(st.lists(st.sampled_from([np.inf, np.inf, 0.2, 1.0]), min_size=n, max_size=n))
    return np.array(capacity), paths, np.array(share), np.array(weight), np.array(cap)


def test_flows_share_one_link_equally():
    # n x = C
    assert solve([10.0], [[0]] * 4) == pytest.approx([2.5] * 4)


def test_weights_split_one_link_in_proportion():
    # x_f = w_f C / sum w
    assert solve([12.0], [[0]] * 3, weight=np.array([1.0, 2.0, 3.0])) == pytest.approx([2.0, 4.0, 6.0])


def test_parking_lot_gives_the_long_flow_half():
    # one flow over n links, one short flow on each: 2 x = C on every link
    n = 5
    assert solve([1.0] * n, [list(range(n)), *([link] for link in range(n))]) == pytest.approx(
        [0.5] * (n + 1)
    )


def test_three_flows_on_two_links():
    # link 0 (1): x0 + x1 = 1 -> 1/2 each; link 1 (3): x0 + x2 = 3 -> x2 = 5/2
    assert solve([1.0, 3.0], [[0, 1], [0], [1]]) == pytest.approx([0.5, 0.5, 2.5])


def test_a_cap_leaves_the_rest_to_the_others():
    # x0 = 1; 2 x = 10 - 1
    assert solve([10.0], [[0]] * 3, cap=np.array([1.0, np.inf, np.inf])) == pytest.approx([1.0, 4.5, 4.5])


def test_a_sprayed_flow_fills_all_its_paths():
    # x/4 <= 1 on each of four links, alone
    assert solve([1.0] * 4, [[0, 1, 2, 3]], share=np.full(4, 0.25)) == pytest.approx([4.0])


def test_all_to_all_on_a_star_is_bounded_by_the_ports():
    # every port carries n - 1 flows out and n - 1 in: x = C / (n - 1)
    n = 6
    paths = [[i, n + j] for i in range(n) for j in range(n) if i != j]
    assert solve([50.0] * 2 * n, paths) == pytest.approx([10.0] * n * (n - 1))


def test_a_dead_link_stops_its_flows_only():
    assert solve([0.0, 4.0], [[0, 1], [1]]).tolist() == [0.0, 4.0]


def test_nothing_bounds_a_flow_without_links():
    rates, bound_by = maxmin_rates(np.zeros(0), np.array([0, 0]), np.zeros(0, np.int32))
    assert rates.tolist() == [np.inf]
    assert bound_by.tolist() == [-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"capacity": [-1.0]}, "capacity of link 0"),
        ({"capacity": [np.nan]}, "capacity of link 0"),
        ({"share": np.array([0.0])}, "link_share must be positive"),
        ({"weight": np.array([np.nan])}, "weight must be positive"),
        ({"cap": np.array([-1.0])}, "rate_cap must be >= 0"),
        ({"paths": [[1]]}, "link ids 1..1"),
        ({"share": np.ones(2)}, "2 shares"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message):
        solve(**{"capacity": [1.0], "paths": [[0]], **change})


@settings(max_examples=1500, deadline=None)
@given(networks())
def test_rates_against_textbook_progressive_filling(net):
    capacity, paths, share, weight, cap = net
    expected = textbook(capacity, paths, share, weight, cap)
    assert solve(capacity, paths, share, weight, cap) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=500, deadline=None)
@given(networks())
def test_no_link_is_over_capacity_and_every_flow_has_a_bottleneck(net):
    capacity, paths, share, weight, cap = net
    rate = solve(capacity, paths, share, weight, cap)
    used, top = np.zeros(capacity.size), np.zeros(capacity.size)
    hops = [(f, link) for f, path in enumerate(paths) for link in path]
    for (f, link), part in zip(hops, share, strict=True):
        used[link] += part * rate[f]
        top[link] = max(top[link], rate[f] / weight[f])
    assert (used <= capacity * (1 + 1e-9) + 1e-12).all()
    assert (rate <= cap).all()
    full = used >= capacity * (1 - 1e-9)
    for f, path in enumerate(paths):
        at_top = any(full[link] and rate[f] / weight[f] >= top[link] * (1 - 1e-9) for link in path)
        assert at_top or rate[f] == pytest.approx(cap[f])


@settings(max_examples=200, deadline=None)
@given(networks(), st.randoms(use_true_random=False), st.sampled_from([1e-6, 3.0, 5e10]))
def test_order_and_units_do_not_matter(net, random, factor):
    capacity, paths, share, weight, cap = net
    rate = solve(capacity, paths, share, weight, cap)
    order = list(range(len(paths)))
    random.shuffle(order)
    ptr = np.concatenate(([0], np.cumsum([len(p) for p in paths])))
    shuffled_share = np.concatenate([share[ptr[f] : ptr[f + 1]] for f in order])
    shuffled = solve(
        capacity * factor, [paths[f] for f in order], shuffled_share, weight[order], cap[order] * factor
    )
    assert shuffled == pytest.approx(rate[order] * factor, rel=1e-9, abs=1e-9 * factor)


@settings(max_examples=100, deadline=None)
@given(networks())
def test_same_input_same_bits(net):
    assert solve(*net).tobytes() == solve(*net).tobytes()
