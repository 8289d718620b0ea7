"""Flows that change their links under way: bytes already sent are kept, whatever happens."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.folding import fold
from netsim.network.layers import split, stack
from network_cases import engine_ends, naive_ends, random_table


def other_links(table: FlowTable, rng: np.random.Generator, n_links: int) -> FlowTable:
    """The same flows over other links, at least one where there was one."""
    hops = [int(rng.integers(1, min(4, n_links) + 1)) if had else 0 for had in np.diff(table.link_ptr)]
    ids = np.concatenate([np.zeros(0, int), *(rng.choice(n_links, n, replace=False) for n in hops)])
    ptr = np.concatenate(([0], np.cumsum(hops)))
    return replace(table, link_ptr=ptr, link_ids=ids, link_share=rng.choice([1.0, 0.5], ids.size))


def changing_case(seed: int):
    """Capacities of a few links, some 0; a table; and events that start batches and reroute all flows."""
    rng = np.random.default_rng(seed)
    n_links, n_batches = int(rng.integers(1, 8)), int(rng.integers(1, 10))
    table = random_table(rng, n_links, n_batches)
    capacity = rng.integers(0, 5, n_links).astype(float)
    events = [(float(t), "start", b, 1.0) for b, t in enumerate(rng.integers(0, 6, n_batches) / 2)]
    for t in rng.integers(0, 9, rng.integers(1, 5)):
        change = (
            ("reroute", 0, other_links(table, rng, n_links))
            if rng.random() < 0.7
            else ("capacity", int(rng.integers(n_links)), float(rng.integers(0, 5)))
        )
        events.append((float(t) / 2, *change))
    return capacity, table, sorted(events, key=lambda e: e[0])


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_changes_against_solving_everything_at_every_event(seed: int) -> None:
    capacity, table, events = changing_case(seed)
    expected = naive_ends(capacity, table, events)
    found, net = engine_ends(capacity, table, events)
    assert [b for b, _ in found] == [b for b, _ in expected]
    assert [t for _, t in found] == pytest.approx([t for _, t in expected], rel=1e-9, abs=1e-9)
    # who has not ended stands still, and everybody else has all bytes across
    ended = {b for b, _ in found}
    batch_of = np.repeat(np.arange(table.n_batches), np.diff(table.batch_ptr))
    assert set(batch_of[net.standing].tolist()) == set(range(table.n_batches)) - ended


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bytes_are_counted_where_they_went(seed: int) -> None:
    """One link each flow and state: the bytes of all links are the bytes of all flows, whenever flows move."""
    rng = np.random.default_rng(seed)
    n_links, n_flows = int(rng.integers(1, 6)), int(rng.integers(1, 8))
    sizes = rng.integers(1, 5, n_flows).astype(float)

    def table() -> FlowTable:
        paths = [[int(link)] for link in rng.integers(0, n_links, n_flows)]
        return FlowTable.from_batches([([path], size) for path, size in zip(paths, sizes, strict=True)])

    net = FluidNetwork(rng.integers(1, 5, n_links).astype(float), table())
    net.start(0.0, np.arange(n_flows))
    for at in np.sort(rng.random(3) * 3):
        while net.next_completion_s() <= at:
            net.advance(net.next_completion_s())
        net.reroute(float(at), table())
    while net.next_completion_s() < np.inf:
        net.advance(net.next_completion_s())
    assert net.link_bytes.sum() == pytest.approx(sizes.sum(), rel=1e-12)
    assert (net.link_bytes > -1e-12).all()


@pytest.mark.parametrize(("start", "outage"), [(0.0, 1.0), (0.5, 0.25), (1.999, 10.0), (3.0, 1.0)])
def test_a_link_that_flaps_delays_its_flow_by_the_outage(start: float, outage: float) -> None:
    up, down = (FlowTable.from_batches([([[link]], 20.0)]) for link in (0, 1))
    net = FluidNetwork(np.array([10.0, 0.0]), up)
    net.start(0.0, [0])
    for at, table in ((start, down), (start + outage, up)):
        if net.next_completion_s() > at:
            net.reroute(at, table)
    assert net.next_completion_s() == pytest.approx(2.0 + (outage if start < 2 else 0.0), rel=1e-15)


def test_stacked_states_fold_and_split_to_the_same_rates() -> None:
    # four equal flows on four links; in the second state flow 3 shares link 2 with flow 2
    first = FlowTable.from_batches([([[n]], 12.0) for n in range(4)])
    second = FlowTable.from_batches([([[min(n, 2)]], 12.0) for n in range(4)])
    union = stack([first, second], 4)
    layer = np.arange(8) // 4
    folded = fold(np.full(8, 3.0), union, batch_color=np.zeros(4), link_color=layer)
    assert folded.flow_count.tolist() == [2, 2]
    own = np.zeros(folded.capacity.size, dtype=np.int64)
    own[folded.link_class] = layer
    tables = split(folded.table, own, 2)
    net = FluidNetwork(folded.capacity, tables[0])
    net.start(0.0, [0, 1])
    net.reroute(1.0, tables[1])
    assert net.advance(4.0).tolist() == [0]
    assert net.next_completion_s() == pytest.approx(1 + 9 / 1.5)


def test_misuse_is_refused_in_one_line() -> None:
    table = FlowTable.from_batches([([[0]], 1.0)])
    net = FluidNetwork(np.ones(2), table)
    with pytest.raises(ValueError, match="unit_share differs"):
        net.reroute(0.0, FlowTable.from_batches([([[1]], 2.0)]))
    with pytest.raises(ValueError, match="a flow without links"):
        net.reroute(0.0, FlowTable.from_batches([([[]], 1.0)]))
    net.start(0.0, [0])
    with pytest.raises(ValueError, match="past an end at 1"):
        net.reroute(2.0, table)
