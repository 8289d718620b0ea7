"""Components: what shares no link runs by itself, and nobody can tell."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.network import components, state
from netsim.network.flows import FlowTable


def labels(table: FlowTable, n_links: int) -> list[int]:
    return components.component_of_batch(state.make_state(np.ones(n_links), table)).tolist()


def test_batches_are_joined_through_links_however_indirectly() -> None:
    table = FlowTable.from_batches(
        [([[0, 1]], 1.0), ([[5]], 1.0), ([[2, 3]], 1.0), ([[1, 2]], 1.0), ([[4], [5]], 1.0), ([[]], 1.0)]
    )
    assert labels(table, 6)[:5] == [0, 1, 0, 0, 1]


def test_a_rate_cap_joins_nobody() -> None:
    builder = [np.array([0, 1]), np.array([0, 1, 2]), np.array([1.0, 1.0])]
    table = FlowTable(
        link_ptr=np.array([0, 1, 2]), link_ids=np.array([0, 1]), link_share=np.ones(2), batch_ptr=builder[1],
        unit_share=builder[2], rate_cap=np.array([0.5, 0.5]), weight=np.ones(2),
    )  # fmt: skip
    assert labels(table, 2) == [0, 1]


@settings(deadline=None)  # the first example compiles
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=4),
            st.integers(1, 50), st.integers(0, 5),
        ),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_one_after_another_ends_as_all_at_once(batches: list[tuple[int, list[set[int]], int, int]]) -> None:
    """Four islands of four links each."""
    table = FlowTable.from_batches(
        [([[4 * island + link for link in sorted(path)] for path in paths], float(size))
         for island, paths, size, _ in batches]
    )  # fmt: skip
    capacity, begin = np.arange(1.0, 17.0), np.array([float(b[3]) for b in batches])
    order = np.argsort(begin, kind="stable")
    together, apart = state.make_state(capacity, table), state.make_state(capacity, table)
    components.run_to_end(together, order, begin)
    components.run_by_component(apart, order, begin)
    assert not apart.flow["active"].any()
    np.testing.assert_allclose(apart.flow["since"], together.flow["since"], rtol=1e-12)
    np.testing.assert_allclose(apart.tally["bytes"], together.tally["bytes"], rtol=1e-12)
    np.testing.assert_allclose(apart.tally["busy"], together.tally["busy"], rtol=1e-9, atol=1e-12)
