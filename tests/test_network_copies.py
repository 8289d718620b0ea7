"""Copies of components: folded once they give the classes of folding all, and what differs is no copy."""

import numpy as np
import pytest

from netsim.network.coloured import Groups, make_coloured
from netsim.network.copies import find_copies
from netsim.network.flows import FlowTable, FlowTableBuilder
from netsim.network.fluid import drain
from netsim.network.folding import fold
from netsim.network.quotient import coarsest_quotient, quotient
from network_cases import random_table


def one_to_one(mine, other):
    """Whether two numberings of classes are the same partition."""
    pairs = np.unique(np.stack([mine, other]), axis=1).shape[1]
    return pairs == np.unique(mine).size == np.unique(other).size


def folded_as_plain(capacity, table, groups=None, batch_color=None, link_color=None):
    """The fold, after comparing it with that of all components at once."""
    mine = fold(capacity, table, groups, batch_color, link_color)
    plain = coarsest_quotient(make_coloured(capacity, table, groups, batch_color, link_color))
    for name in ("flow_class", "link_class", "batch_class", "actor_class"):
        assert one_to_one(getattr(mine, name), getattr(plain, name)), name
    assert (mine.capacity[mine.link_class] == plain.capacity[plain.link_class]).all()
    return mine


def drained_as_plain(capacity, table, begin):
    """Finish times by way of the fold equal those of every flow."""
    folded = folded_as_plain(capacity, table, batch_color=np.unique(begin, return_inverse=True)[1])
    of_class = np.zeros(folded.table.n_batches)
    of_class[folded.batch_class] = begin
    ends = drain(folded.capacity, folded.table, of_class)[folded.flow_class]
    np.testing.assert_allclose(ends, drain(capacity, table, begin), rtol=1e-9)
    return folded


def pieces(table):
    """Its batches as the arguments of `FlowTableBuilder.add`."""
    for b in range(table.n_batches):
        flows = slice(table.batch_ptr[b], table.batch_ptr[b + 1])
        hops = slice(table.link_ptr[flows.start], table.link_ptr[flows.stop])
        ptr = table.link_ptr[flows.start : flows.stop + 1] - hops.start
        numbers = (
            table.unit_share[flows],
            table.link_share[hops],
            table.rate_cap[flows],
            table.weight[flows],
        )
        yield ptr, table.link_ids[hops], *numbers


def scattered_copies(rng):
    """Copies of a few random networks over links of scattered numbers, their batches interleaved; and their kinds."""
    kinds = int(rng.integers(1, 4))
    networks = [
        random_table(rng, 5, int(rng.integers(1, 4)), plain=bool(rng.random() < 0.5)) for _ in range(kinds)
    ]
    kind = rng.permutation(np.repeat(np.arange(kinds), rng.integers(1, 5, kinds)))
    links = rng.permutation(5 * kind.size + 3).reshape(-1)  # three links without flows
    capacity = np.empty(links.size)
    capacity[links[5 * kind.size :]] = 1.0
    values = rng.choice([1.0, 1.0, 2.0], (kinds, 5))
    queues = []
    for number, k in enumerate(kind):
        own = links[5 * number : 5 * number + 5]
        capacity[own] = values[k]
        queues.append([(ptr, own[ids], *numbers) for ptr, ids, *numbers in pieces(networks[k])])
    builder, begin = FlowTableBuilder(), []
    while any(queues):
        queue = queues[rng.choice([i for i, q in enumerate(queues) if q])]
        builder.add(*queue[0])
        begin.append(float(len(queue) % 2))  # copies start alike
        queue.pop(0)
    return capacity, builder.build(), np.array(begin)


@pytest.mark.parametrize("block", range(12))
def test_scattered_copies_fold_as_if_folded_at_once(block):
    found = 0
    for seed in range(25 * block, 25 * block + 25):
        rng = np.random.default_rng(seed)
        capacity, table, begin = scattered_copies(rng)
        if seed % 5 == 0:
            begin[rng.integers(begin.size)] += 0.5
        if seed % 5 == 1:
            capacity[rng.integers(capacity.size)] *= 0.7
        drained_as_plain(capacity, table, begin)
        found += find_copies(make_coloured(capacity, table, None, np.zeros(begin.size), None)) is not None
    assert found > 10


@pytest.mark.parametrize("block", range(8))
def test_networks_of_chance_fold_as_if_folded_at_once(block):
    for seed in range(25 * block, 25 * block + 25):
        rng = np.random.default_rng(seed)
        n_links, n_batches = int(rng.integers(1, 20)), int(rng.integers(1, 12))
        table = random_table(rng, n_links, n_batches, plain=seed % 2 == 0)
        drained_as_plain(rng.choice([2.0, 3.0], n_links), table, rng.choice([0.0, 1.0], n_batches))


def rings(n=3, actors=4):
    """n rings of actors; each sends to the next over its link, and all rings start together."""
    ids, label, paths = [], [], []
    for ring in range(n):
        for a in range(actors):
            mine, after = ring * actors + a, ring * actors + (a + 1) % actors
            paths.append(([[mine, after]], 2.0))
            ids, label = [*ids, mine, after], [*label, 0, 1]
    count = n * actors
    ptr, color = np.arange(count + 1) * 2, np.zeros(count, np.int64)
    return FlowTable.from_batches(paths), Groups(ptr, np.array(ids), np.array(label), color)


def test_copies_are_found_and_their_nodes_are_those_of_the_first():
    table, groups = rings()
    copies = find_copies(make_coloured(np.ones(13), table, groups, None, None))
    assert copies is not None
    assert copies.batch.tolist() == copies.actor.tolist() == [0, 1, 2, 3] * 3
    assert copies.link.tolist() == [*[0, 1, 2, 3] * 3, 12]


@pytest.mark.parametrize("actor", [0, 5, 11])
def test_an_actor_of_its_own_kind_makes_its_ring_no_copy(actor):
    table, groups = rings()
    groups.actor_color[actor] = 1
    assert np.unique(folded_as_plain(np.ones(12), table, groups).batch_class).size == 1 + 4


@pytest.mark.parametrize("role", [2, 11, 19])
def test_a_role_of_its_own_makes_its_ring_no_copy(role):
    table, groups = rings()
    groups.label[role] = 7
    assert np.unique(folded_as_plain(np.ones(12), table, groups).actor_class).size > 1


def test_an_actor_of_two_rings_joins_them():
    """Rings 0 and 1 have an actor in common; ring 2 differs from both, ring 3 equals it."""
    table, groups = rings(4)
    groups.actor_ids[groups.actor_ids == 4] = 0
    folded = folded_as_plain(np.ones(16), table, groups)
    assert len(set(folded.batch_class[8:])) == 1
    assert not set(folded.batch_class[:8]) & set(folded.batch_class[8:])
    copies = find_copies(make_coloured(np.ones(16), table, groups, None, None))
    assert copies is not None
    assert copies.batch.tolist() == [*range(12), 8, 9, 10, 11]


def test_a_batch_of_two_parts_joins_them():
    """Link 0 and link 1 share a batch, so neither is a copy of link 2, nor of each other."""
    table = FlowTable.from_batches([([[0], [1]], 1.0), ([[2]], 1.0), ([[3]], 1.0), ([[4], [5]], 1.0)])
    folded = folded_as_plain(np.ones(6), table, batch_color=np.zeros(4))
    assert folded.batch_class.tolist() == [0, 1, 1, 0]
    assert folded.flow_class.tolist() == [0, 0, 1, 1, 0, 0]
    assert folded.link_class.tolist() == [0, 0, 1, 1, 0, 0]


def pairs_of_links(paths, second=None):
    """Two batches of equal flows, over links 0 to 2 and 3 to 5."""
    second = paths if second is None else second
    return FlowTable.from_batches([(paths, 1.0), ([[3 + link for link in path] for path in second], 1.0)])


@pytest.mark.parametrize(
    "other",
    [
        [[0, 1], [0, 2]],  # the same link first, not last
        [[1, 0], [2, 1]],  # in another order
        [[0, 1], [1]],
        [[0, 1], [2, 0]],
        [[0, 1], [2, 2]],
        [[0, 1], [0, 1]],
        [[0, 0], [2, 1]],
        [[0, 1], [2, 1], []],
        [[], [2, 1]],
    ],
)
def test_paths_that_meet_elsewhere_are_no_copy(other):
    for paths in ([[0, 1], [2, 1]], other), (other, [[0, 1], [2, 1]]):
        table = pairs_of_links(*paths)
        assert find_copies(make_coloured(np.ones(6), table, None, np.zeros(2), None)) is None
        drained_as_plain(np.arange(1.0, 7.0), table, np.zeros(2))
        drained_as_plain(np.ones(6), table, np.zeros(2))


@pytest.mark.parametrize("paths", [[[0, 0], [1]], [[0, 1, 0], [2]], [[]], [[], [0]], [[0], [0], [0]]])
def test_links_met_twice_and_paths_without_links_may_be_copied(paths):
    table = pairs_of_links(paths)
    copies = find_copies(make_coloured(np.ones(6), table, None, np.zeros(2), None))
    assert copies is not None
    assert copies.batch.tolist() == [0, 0]
    drained_as_plain(np.array([1.0, 2.0, 3.0] * 2), table, np.zeros(2))


@pytest.mark.parametrize("name", ["unit_share", "rate_cap", "weight", "link_share"])
@pytest.mark.parametrize("place", [0, -1])
def test_one_number_of_its_own_is_no_copy(name, place):
    alike = pairs_of_links([[0, 1], [2, 1]])
    columns = {**vars(alike), name: np.array(getattr(alike, name))}
    columns[name][place] = 0.5
    folded = drained_as_plain(np.ones(6), FlowTable(**columns), np.zeros(2))
    assert folded.batch_class.tolist() == [0, 1]


@pytest.mark.parametrize("link", range(6))
def test_a_link_of_its_own_is_no_copy(link):
    table, capacity, color = pairs_of_links([[0, 1], [2, 1]]), np.ones(6), np.zeros(6, np.int64)
    capacity[link], color[link] = 0.5, 1
    assert drained_as_plain(capacity, table, np.zeros(2)).batch_class.tolist() == [0, 1]
    assert folded_as_plain(np.ones(6), table, None, [0, 0], color).batch_class.tolist() == [0, 1]


def test_what_starts_apart_is_no_copy():
    table = pairs_of_links([[0, 1], [2, 1]])
    assert drained_as_plain(np.ones(6), table, np.array([0.0, 0.1])).batch_class.tolist() == [0, 1]
    assert fold(np.ones(6), table).batch_class.tolist() == [
        0,
        1,
    ]  # nothing is known about who starts together


def test_many_kinds_of_one_size_are_folded_whether_found_or_not():
    """Twenty kinds that differ in their last flow only, twice: more than are tried."""
    builder = FlowTableBuilder()
    for number in range(40):
        builder.add([0, 1, 2], [number, number], [1.0, 2.0 + number % 20])
    folded = drained_as_plain(np.ones(40), builder.build(), np.zeros(40))
    assert folded.batch_class.tolist() == [*range(20), *range(20)]


def test_a_component_that_was_no_copy_of_one_may_be_of_another():
    """The third is compared with the second first, whose last link differs, and then with the first."""
    table = FlowTable.from_batches([([[0, 1]], 1.0), ([[2, 3]], 1.0), ([[4, 5]], 1.0)])
    copies = find_copies(make_coloured(np.array([1.0, 2, 1, 3, 1, 2]), table, None, np.zeros(3), None))
    assert copies is not None
    assert (copies.batch.tolist(), copies.link.tolist()) == ([0, 1, 0], [0, 1, 2, 3, 0, 1])


def test_a_network_without_flows_folds():
    nothing = FlowTable.from_batches([])
    assert folded_as_plain(np.array([1.0, 1.0, 2.0]), nothing).link_class.tolist() == [0, 0, 1]
    empty = FlowTable.from_batches([([], 1.0), ([], 1.0)])
    assert folded_as_plain(np.ones(1), empty, batch_color=[0, 0]).batch_class.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("flow", "link", "batch"),
    [
        ([0, 0, 1], [0, 1, 0], [0, 1]),  # flows of different size
        ([0, 1, 2], [0, 0, 1], [0, 1]),  # links of different load
        ([0, 1, 2], [0, 1, 2], [0, 0]),  # batches of different flows
        ([0, 1, 0], [0, 1, 0], [0, 0]),  # one without a flow of some class
        ([0, 1, 0], [0, 1, 0], [0, 1]),  # a class in two batches
        ([0, 1, 2], [0, 1, 0], [0, 1]),  # links of different flows
    ],
)
def test_classes_that_are_not_equitable_are_refused(flow, link, batch):
    table = FlowTable.from_batches([([[0], [1]], [1.0, 2.0]), ([[2]], 1.0)])
    network = make_coloured(np.ones(3), table, None, [0, 0], None)
    classes = [np.array(c, np.int32) for c in (flow, link, batch, [])]
    assert quotient(network, tuple(classes)) is None
    own = [np.arange(n, dtype=np.int32) for n in (3, 3, 2, 0)]
    assert quotient(network, tuple(own)) is not None


def test_roles_and_colours_are_checked_too():
    table, groups = rings(2, 3)
    alike = tuple(np.zeros(6, np.int32) for _ in range(4))
    assert quotient(make_coloured(np.ones(6), table, groups, None, None), alike) is not None
    assert quotient(make_coloured(np.ones(6), table, groups, [0, 0, 0, 0, 0, 1], None), alike) is None
    assert quotient(make_coloured(np.ones(6), table, groups, None, [0, 0, 1, 0, 0, 0]), alike) is None
    assert quotient(make_coloured(np.arange(1.0, 7.0), table, groups, None, None), alike) is None
    groups.label[3] = 2
    assert quotient(make_coloured(np.ones(6), table, groups, None, None), alike) is None
    groups.label[3] = 1
    groups.actor_color[0] = 1
    assert quotient(make_coloured(np.ones(6), table, groups, None, None), alike) is None


def test_one_number_for_all_is_as_good_as_a_column():
    full = pairs_of_links([[0, 1], [2, 1]])
    short = FlowTable(full.link_ptr, full.link_ids, 1.0, full.batch_ptr, 1.0, np.inf, 1.0)
    assert short.unit_share.strides == short.link_share.strides == (0,)
    for name, values in vars(full).items():
        assert np.array_equal(getattr(short, name), values), name
    capacity = np.array([1.0, 2.0, 3.0] * 2)
    assert drain(capacity, short).tolist() == drain(capacity, full).tolist()
    assert drained_as_plain(capacity, short, np.zeros(2)).flow_class.tolist() == [0, 1, 0, 1]
    capped = FlowTable(full.link_ptr, full.link_ids, 1.0, full.batch_ptr, 1.0, 0.25, 1.0)
    assert drain(capacity, capped).tolist() == [4.0] * 4


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("unit_share", -1.0, "unit_share must be >= 0 and finite, found -1.0"),
        ("unit_share", np.nan, "unit_share must be >= 0 and finite, found nan"),
        ("link_share", 0.0, "link_share must be positive"),
        ("weight", np.inf, "weight must be positive"),
        ("rate_cap", np.nan, "rate_cap must be >= 0 bytes/s, found nan"),
        ("weight", [1.0], "1 weights"),
    ],
)
def test_a_bad_number_for_all_is_refused(name, value, rule):
    columns = {**vars(pairs_of_links([[0]])), name: value}
    with pytest.raises(ValueError, match=rule):
        FlowTable(**columns)
