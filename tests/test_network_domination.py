"""Links that can never bind: which they are, and that leaving them out changes nothing, also when capacities change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.network import state
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.maxmin import maxmin_rates


def dominators(capacity: list[float], paths: list[list[int]]) -> list[int]:
    s = state.make_state(np.array(capacity), FlowTable.from_batches([(paths, 1.0)]))
    return s.dominator.tolist()


def test_a_spine_port_that_leads_to_one_host_is_dominated_by_its_nic() -> None:
    """Links: 0, 1 NICs out, 2, 3 spine to leaf, 4, 5 NICs in; flows of both senders to both receivers."""
    paths = [[0, 2, 4], [0, 3, 5], [1, 2, 4], [1, 3, 5]]
    assert dominators([1.0] * 6, paths) == [
        -1,
        -1,
        -1,
        -1,
        2,
        3,
    ]  # of two that carry the same the first stays
    assert dominators([1, 1, 2, 2, 1, 1], paths) == [-1, -1, 4, 5, -1, -1]
    assert dominators([1, 1, 0.5, 0.5, 1, 1], paths) == [-1, -1, -1, -1, 2, 3]


def test_one_flow_more_or_a_larger_part_makes_a_link_bind() -> None:
    assert dominators([1, 1], [[0, 1], [0, 1]]) == [-1, 0]
    assert dominators([1, 1], [[0, 1], [0, 1], [1]]) == [1, -1]
    assert dominators([1, 1], [[0, 1], [0], [1]]) == [-1, -1]
    assert dominators([1, 2], [[0, 1, 1]]) == [-1, -1]  # twice over link 1: half of its capacity
    # the second flow crosses link 0 twice: r + 2 q <= 1.5 does not follow from r + q <= 1
    assert dominators([1.5, 1], [[0, 1], [0, 0, 1]]) == [-1, -1]


def test_equals_do_not_dominate_each_other() -> None:
    assert dominators([1, 1, 1], [[0, 1, 2]]) == [-1, 0, 0]


def test_a_dominated_link_binds_once_it_has_less_than_the_other() -> None:
    net = FluidNetwork(np.array([10.0, 20.0]), FlowTable.from_batches([([[0, 1]], 100.0)]))
    net.start(0.0, [0])
    net.set_capacity(2.0, [1], [5.0])  # 20 bytes are across
    assert net.next_completion_s() == pytest.approx(2.0 + 80.0 / 5.0)
    net.set_capacity(4.0, [1], [20.0])  # 30
    assert net.next_completion_s() == pytest.approx(4.0 + 70.0 / 10.0)
    net.set_capacity(5.0, [0], [40.0])  # 40; now the other has less
    assert net.next_completion_s() == pytest.approx(5.0 + 60.0 / 20.0)
    assert net.advance(8.0).tolist() == [0]
    np.testing.assert_allclose(net.link_bytes, [100.0, 100.0])
    np.testing.assert_allclose(net.link_busy_s, [8.0, 8.0])
    assert net.bottleneck_link(0) == 1


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0, 3.0])), max_size=4),
)
def test_rates_are_those_of_all_constraints(paths: list[list[int]], changes: list[tuple[int, float]]) -> None:
    """Nested and repeated paths, where domination abounds; a link may be crossed twice."""
    nested = [path[:k] for path in paths for k in range(1, len(path) + 1)]
    capacity = np.array([1.0, 1.0, 2.0, 2.0, 3.0, 1.0])
    table = FlowTable.from_batches([(nested, 1e9)])
    net = FluidNetwork(capacity, table)
    net.start(0.0, [0])
    for step, (link, value) in enumerate([(0, 1.0), *changes], start=1):
        net.set_capacity(float(step), [link], [value])
        capacity[link] = value
        expected, _ = maxmin_rates(
            capacity, table.link_ptr, table.link_ids, table.link_share, table.weight, table.rate_cap
        )
        net.next_completion_s()
        np.testing.assert_allclose(net.rates, expected, rtol=1e-9)
