"""Folded equals unfolded, with and without symmetry."""

import numpy as np
import pytest

from netsim.network.coloured import Groups
from netsim.network.flows import FlowTable, FlowTableBuilder
from netsim.network.fluid import FluidNetwork, drain
from netsim.network.folding import fold
from network_cases import random_table


def leaf_spine(hosts, per_leaf, spines):
    """Link numbers of a two-layer tree: NIC up, NIC down, leaf to spine, spine to leaf; and how many there are."""
    leaves = -(-hosts // per_leaf)
    up = 2 * hosts
    down = up + leaves * spines

    def path(src, dst):
        a, b, spine = src // per_leaf, dst // per_leaf, dst % spines
        if a == b:
            return [src, hosts + dst]
        return [src, up + a * spines + spine, down + b * spines + spine, hosts + dst]

    return path, down + leaves * spines


def all_to_all_groups(path, groups, size):
    """One batch per group; `size` bytes for ``(src, dst)``."""
    return FlowTable.from_batches(
        [
            (
                [path(a, b) for a in group for b in group if a != b],
                [size(a, b) for a in group for b in group if a != b],
            )
            for group in groups
        ]
    )


def drain_folded(capacity, table, start=None):
    """Finish times by way of the quotient, (n_flows,); batches that start at one time may be folded."""
    begin = np.zeros(table.n_batches) if start is None else start
    folded = fold(capacity, table, batch_color=np.unique(begin, return_inverse=True)[1])
    of_class = np.zeros(folded.table.n_batches)
    of_class[folded.batch_class] = begin
    return drain(folded.capacity, folded.table, of_class)[folded.flow_class]


def same(capacity, table, start=None):
    """Folded finish times equal the plain ones."""
    assert drain_folded(capacity, table, start) == pytest.approx(drain(capacity, table, start), rel=1e-9)


def groups_in_a_row(hosts, size):
    return [list(range(g, g + size)) for g in range(0, hosts, size)]


def test_equal_groups_fold_to_a_flow_in_a_leaf_and_one_between():
    path, n_links = leaf_spine(64, 8, 8)
    table = all_to_all_groups(path, groups_in_a_row(64, 16), lambda a, b: 1.0)
    folded = fold(np.ones(n_links), table, batch_color=np.zeros(4))
    # 7 partners in the own leaf, 8 in the other
    assert folded.flow_count.tolist() == [64 * 7, 64 * 8]
    assert folded.batch_count.tolist() == [4]
    assert folded.link_count.tolist() == [2 * 64, 2 * 64]  # NIC links, leaf-spine links
    same(np.ones(n_links), table)


@pytest.mark.parametrize("hosts", [16, 24, 32])
@pytest.mark.parametrize(
    "kind", ["equal", "by distance", "degraded NIC", "degraded uplink", "skewed", "random", "placed"]
)
def test_structured_traffic(hosts, kind):
    path, n_links = leaf_spine(hosts, 4, 4)
    rng = np.random.default_rng(hosts)
    capacity, groups = np.full(n_links, 2.0), groups_in_a_row(hosts, 8)
    skew = rng.random((hosts, hosts))
    size = {
        "by distance": lambda a, b: 1.0 + (b - a) % 8,
        "skewed": lambda a, b: 1.0 if b % 8 else 3.0,
        "random": lambda a, b: skew[a, b],
    }.get(kind, lambda a, b: 1.0)
    if kind.startswith("degraded"):
        capacity[3 if kind == "degraded NIC" else 2 * hosts + 1] = 0.3
    if kind == "placed":
        groups = rng.permutation(hosts).reshape(-1, 8).tolist()
    same(capacity, all_to_all_groups(path, groups, size))


def test_one_degraded_link_makes_more_classes_only_where_it_matters():
    path, n_links = leaf_spine(64, 8, 8)
    table = all_to_all_groups(path, groups_in_a_row(64, 16), lambda a, b: 1.0)
    capacity = np.ones(n_links)
    plain = fold(capacity, table, batch_color=np.zeros(4)).table.n_flows
    capacity[0] = 0.5
    hurt = fold(capacity, table, batch_color=np.zeros(4))
    assert plain < hurt.table.n_flows < 40
    assert np.unique(hurt.batch_class).size == 2
    same(capacity, table)


@pytest.mark.parametrize("block", range(20))
def test_random_tables(block):
    for seed in range(20 * block, 20 * block + 20):
        rng = np.random.default_rng(seed)
        n_links, n_batches = int(rng.integers(1, 12)), int(rng.integers(1, 10))
        table = random_table(rng, n_links, n_batches, plain=seed % 2 == 0)
        same(rng.choice([2.0, 2.0, 2.0, 3.0], n_links), table, rng.choice([0.0, 0.0, 1.0], n_batches))


@pytest.mark.parametrize("seed", range(40))
def test_copies_of_a_random_network_fold_onto_one(seed):
    rng = np.random.default_rng(seed)
    copies, n_links = int(rng.integers(2, 6)), int(rng.integers(2, 8))
    one = random_table(rng, n_links, 3)
    builder = FlowTableBuilder()
    for b in range(3):
        flows = slice(one.batch_ptr[b], one.batch_ptr[b + 1])
        hops = slice(one.link_ptr[flows.start], one.link_ptr[flows.stop])
        ptr = one.link_ptr[flows.start : flows.stop + 1] - hops.start
        for copy in range(copies):
            ids = one.link_ids[hops] + copy * n_links
            builder.add(
                ptr, ids, one.unit_share[flows], one.link_share[hops], one.rate_cap[flows], one.weight[flows]
            )
    table = builder.build()
    capacity = np.tile(rng.random(n_links) + 0.1, copies)
    folded = fold(capacity, table, batch_color=np.repeat([0, 1, 2], copies))
    assert folded.table.n_batches <= 3
    assert folded.table.n_flows <= one.n_flows
    assert (folded.flow_count >= copies).all()
    same(capacity, table, np.repeat([0.0, 0.3, 0.5], copies))


def ring_of_actors(n, capacity_of_first=1.0):
    """Each actor has an own batch over its link and a send to the next actor; labels 0 sender, 1 receiver."""
    builder, ids, label, ptr = FlowTableBuilder(), [], [], [0]
    for a in range(n):
        builder.add([0, 1, 2], [a, a], 4.0)
        ids, label = [*ids, a], [*label, 0]
        ptr.append(len(ids))
    for a in range(n):
        builder.add([0, 2], [a, (a + 1) % n], 2.0)
        ids, label = [*ids, a, (a + 1) % n], [*label, 0, 1]
        ptr.append(len(ids))
    capacity = np.ones(n)
    capacity[0] = capacity_of_first
    groups = Groups(np.array(ptr), np.array(ids), np.array(label), np.zeros(n, np.int64))
    return capacity, builder.build(), groups, np.repeat([0, 1], n)


def test_actors_that_cannot_be_told_apart_become_one():
    capacity, table, groups, color = ring_of_actors(8)
    folded = fold(capacity, table, groups, color)
    assert folded.actor_class.tolist() == [0] * 8
    assert folded.batch_class.tolist() == [0] * 8 + [1] * 8
    # the own batch puts two flows on the link; of the sends a link carries one leaving and one arriving
    assert folded.table.link_share.tolist() == [2.0, 2.0]


def test_an_actor_with_a_slow_link_is_told_apart_and_so_are_its_neighbours_by_distance():
    capacity, table, groups, color = ring_of_actors(8, capacity_of_first=0.5)
    folded = fold(capacity, table, groups, color)
    # undirected distance would pair +d and -d; sender and receiver roles break that
    assert np.unique(folded.actor_class).size == 8


def test_folding_stays_valid_while_actors_act_at_their_own_times():
    """Each actor runs own, send, own, ... as soon as its last has ended; folded actors stand for all of their class."""
    capacity, table, groups, color = ring_of_actors(6)
    folded = fold(capacity, table, groups, color)

    def play(net, batches_of):
        log, turn = [], dict.fromkeys(range(len(batches_of)), 0)
        net.start(0.0, [own for own, _ in batches_of])
        while len(log) < 12 * len(batches_of):
            now = net.next_completion_s()
            for batch in net.advance(now):
                actor = next(i for i, pair in enumerate(batches_of) if batch in pair)
                turn[actor] += 1
                log.append((actor, now))
                net.start(now, [batches_of[actor][turn[actor] % 2]])
        return log

    plain = play(FluidNetwork(capacity, table), [(a, 6 + a) for a in range(6)])
    quotient = play(FluidNetwork(folded.capacity, folded.table), [(0, 1)])
    assert [t for a, t in plain if a == 3] == pytest.approx([t for _, t in quotient])


def test_what_is_on_a_link_lifts_too():
    path, n_links = leaf_spine(16, 4, 4)
    table = all_to_all_groups(path, groups_in_a_row(16, 8), lambda a, b: 1.0)
    folded = fold(np.ones(n_links), table, batch_color=np.zeros(2))
    plain, quotient = FluidNetwork(np.ones(n_links), table), FluidNetwork(folded.capacity, folded.table)
    plain.start(0.0, [0, 1])
    quotient.start(0.0, [0])
    plain.advance(100.0)
    quotient.advance(100.0)
    assert quotient.link_bytes[folded.link_class] == pytest.approx(plain.link_bytes)
    assert quotient.link_busy_s[folded.link_class] == pytest.approx(plain.link_busy_s)


def test_a_link_may_be_kept_apart_for_a_fault_to_come():
    table = FlowTable.from_batches([([[0], [1], [2]], 1.0)])
    assert fold(np.ones(3), table).link_class.tolist() == [0, 0, 0]
    assert fold(np.ones(3), table, link_color=[0, 1, 0]).link_class.tolist() == [0, 1, 0]


def test_batches_are_not_assumed_to_start_together():
    table = FlowTable.from_batches([([[0]], 1.0), ([[1]], 1.0)])
    assert fold(np.ones(2), table).batch_class.tolist() == [0, 1]
    assert fold(np.ones(2), table, batch_color=[5, 5]).batch_class.tolist() == [0, 0]


def test_the_classes_do_not_depend_on_the_order_of_flows():
    path, n_links = leaf_spine(16, 4, 4)
    pairs = [(a, b) for a in range(16) for b in range(16) if a != b and (a + b) % 3]
    shuffled = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    tables = [FlowTable.from_batches([([path(*pair) for pair in order], 1.0)]) for order in (pairs, shuffled)]
    classes = [fold(np.ones(n_links), table).flow_class for table in tables]
    by_pair = [
        dict(zip(order, c.tolist(), strict=True)) for order, c in zip((pairs, shuffled), classes, strict=True)
    ]
    assert len({(by_pair[0][p], by_pair[1][p]) for p in pairs}) == np.unique(classes[0]).size


def test_bad_groups_are_refused_in_one_line():
    table = FlowTable.from_batches([([[0]], 1.0)])
    one = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="actor_ptr"):
        fold(np.ones(1), table, Groups(one, one, one, one))
    with pytest.raises(ValueError, match=r"actor ids 3\.\.3"):
        fold(np.ones(1), table, Groups(np.array([0, 1]), one + 3, one, one))
