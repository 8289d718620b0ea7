"""The fluid network against closed forms and an event loop that solves everything at every event."""

import numpy as np
import pytest
import simpy

from netsim.execution.simpy_network import Network
from netsim.network.flows import FlowTable, FlowTableBuilder
from netsim.network.fluid import FluidNetwork, drain
from netsim.network.maxmin import maxmin_rates
from network_cases import engine_ends, naive_ends, random_case, random_table


def star_all_to_all(n, sizes=1.0):
    paths = [[i, n + j] for i in range(n) for j in range(n) if i != j]
    return FlowTable.from_batches([(paths, sizes)])


def carried(table, n_links):
    """(n_links,) bytes when every batch runs once."""
    flow = np.repeat(np.arange(table.n_flows), np.diff(table.link_ptr))
    return np.bincount(table.link_ids, table.link_share * table.unit_share[flow], minlength=n_links)


def test_all_to_all_ends_when_the_ports_have_sent_everything():
    # (n - 1) bytes a port at 2 bytes/s
    assert drain(np.full(16, 2.0), star_all_to_all(8)) == pytest.approx(np.full(56, 3.5))


def test_the_short_flow_leaves_its_share_to_the_long_one():
    # 1 and 3 bytes over 1 byte/s: both at 1/2 until t=2, then 2 bytes left at 1
    table = FlowTable.from_batches([([[0], [0]], [1.0, 3.0])])
    assert drain(np.array([1.0]), table).tolist() == [2.0, 4.0]


def test_equal_ends_are_one_event():
    net = FluidNetwork(np.full(16, 2.0), star_all_to_all(8))
    net.start(0.0, [0])
    assert net.advance(net.next_completion_s()).tolist() == [0]
    assert net.solves == 1
    assert net.next_completion_s() == np.inf


def test_an_event_does_not_visit_other_components():
    table = FlowTable.from_batches([([[i]] * 10, 1.0 + i) for i in range(50)])
    net = FluidNetwork(np.ones(50), table)
    net.start(0.0, range(50))
    net.next_completion_s()
    before = net.visits
    net.set_capacity(1.0, [7], [2.0])
    net.next_completion_s()
    assert net.visits - before == 10


def test_an_event_does_not_visit_levels_below_it():
    # link 0 holds 10 flows at 1/10; one of them crosses link 1, whose other two flows share the rest
    table = FlowTable.from_batches([([[0]] * 9 + [[0, 1]], 100.0), ([[1]], 0.45), ([[1]], 100.0)])
    net = FluidNetwork(np.ones(2), table)
    net.start(0.0, [0, 1, 2])
    assert net.next_completion_s() == pytest.approx(1.0)  # 0.45 bytes at (1 - 1/10) / 2
    before = net.visits
    assert net.advance(1.0).tolist() == [1]
    assert net.rates[-1] == pytest.approx(0.9)
    assert net.visits - before == 1


def test_a_batch_may_run_again_with_another_scale():
    net = FluidNetwork(np.array([2.0]), FlowTable.from_batches([([[0]], 4.0)]))
    net.start(0.0, [0])
    assert net.advance(2.0).tolist() == [0]
    net.start(5.0, [0], unit_bytes=0.5)
    assert net.next_completion_s() == 6.0
    assert net.advance(6.0).tolist() == [0]
    assert net.link_bytes.tolist() == [6.0]
    assert net.link_busy_s.tolist() == [3.0]


def test_a_degraded_link_keeps_what_was_sent():
    # 5 of 10 bytes in 1 s at 5 bytes/s, the rest at 1 byte/s
    net = FluidNetwork(np.array([5.0]), FlowTable.from_batches([([[0]], 10.0)]))
    net.start(0.0, [0])
    net.set_capacity(1.0, 0, 1.0)
    assert net.link_bytes.tolist() == [5.0]
    assert net.next_completion_s() == 6.0


def test_a_dead_link_stalls_and_a_repair_goes_on():
    net = FluidNetwork(np.array([0.0]), FlowTable.from_batches([([[0]], 10.0)]))
    net.start(0.0, [0])
    assert net.next_completion_s() == np.inf
    net.set_capacity(3.0, 0, 10.0)
    assert net.next_completion_s() == 4.0


def test_what_has_no_bytes_or_no_links_ends_at_once():
    builder = FlowTableBuilder()
    builder.add([0, 1], [0], 0.0)
    builder.add([0], [], np.zeros(0))
    builder.add([0, 0], [], 5.0)
    builder.add([0, 0], [], 5.0, rate_cap=2.0)
    net = FluidNetwork(np.array([1.0]), builder.build())
    net.start(1.0, [0, 1, 2, 3])
    assert net.next_completion_s() == 1.0
    assert net.advance(1.0).tolist() == [0, 1, 2]
    assert net.next_completion_s() == 3.5
    assert net.advance(3.5).tolist() == [3]
    assert net.bottleneck_link(3) == -1


def test_bottleneck_link_names_what_bound_the_last_flow():
    net = FluidNetwork(np.array([9.0, 1.0]), FlowTable.from_batches([([[0], [0, 1]], 9.0)]))
    net.start(0.0, [0])
    net.advance(20.0)
    assert net.bottleneck_link(0) == 1


def test_misuse_is_refused_in_one_line():
    table = FlowTable.from_batches([([[0]], 1.0), ([[0]], 1.0)])
    net = FluidNetwork(np.array([1.0]), table)
    net.start(1.0, [0])
    for call, message in (
        (lambda: net.start(1.0, [0]), "batch 0 started at 1.0 s, but it is still running"),
        (lambda: net.start(1.0, [1, 1]), "batch 1 started"),
        (lambda: net.start(0.5, [1]), "before the last event"),
        (lambda: net.start(9.0, [1]), "past an end at 2.0 s"),
        (lambda: net.start(1.0, [2]), r"must be in 0\.\.1"),
        (lambda: net.start(1.0, [1], unit_bytes=np.nan), "unit_bytes"),
        (lambda: net.set_capacity(1.0, 0, -1.0), "capacity -1"),
        (lambda: net.set_capacity(1.0, 3, 1.0), r"links 3\.\.3"),
        (lambda: FluidNetwork(np.ones(0), table), "link id 0"),
        (lambda: drain(np.ones(1), table, np.zeros(1)), "start_s"),
        (lambda: FlowTable.from_batches([([[0]], -1.0)]), "unit_share"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    net.start(1.0, [1])
    assert net.advance(3.0).tolist() == [0, 1]


@pytest.mark.parametrize("block", range(20))
def test_engine_against_solving_everything_at_every_event(block):
    for seed in range(40 * block, 40 * block + 40):
        capacity, table, events = random_case(seed)
        expected = naive_ends(capacity, table, events)
        found, net = engine_ends(capacity, table, events)
        assert [b for b, _ in found] == [b for b, _ in expected], seed
        assert [t for _, t in found] == pytest.approx([t for _, t in expected], rel=1e-9, abs=1e-9), seed
        if len(found) == table.n_batches and all(e[3] == 1.0 for e in events if e[1] == "start"):
            assert net.link_bytes == pytest.approx(carried(table, capacity.size)), seed


@pytest.mark.parametrize("seed", range(30))
def test_rates_after_each_event_against_the_plain_solver(seed):
    rng = np.random.default_rng(seed)
    table = random_table(rng, 12, 25)
    capacity = rng.random(12) * 5
    net = FluidNetwork(capacity, table)
    for batch in range(25):
        net.start(0.0, [batch])
        active = np.flatnonzero(net.rates > 0)
        ptr = np.concatenate(([0], np.cumsum(np.diff(table.link_ptr)[active])))
        hops = np.concatenate(
            [np.arange(table.link_ptr[f], table.link_ptr[f + 1]) for f in active] or [np.zeros(0, int)]
        )
        expected, _ = maxmin_rates(
            *(
                capacity,
                ptr,
                table.link_ids[hops],
                table.link_share[hops],
                table.weight[active],
                table.rate_cap[active],
            )
        )
        assert net.rates[active] == pytest.approx(expected, rel=1e-9)


def test_random_all_to_all_against_the_plain_solver_and_conserves_bytes():
    n = 12
    table = star_all_to_all(n, np.random.default_rng(5).random(n * (n - 1)))
    events = [(0.0, "start", 0, 1.0)]
    capacity = np.random.default_rng(6).random(2 * n) + 0.5
    found, net = engine_ends(capacity, table, events)
    assert found[0][1] == pytest.approx(naive_ends(capacity, table, events)[0][1], rel=1e-9)
    assert net.link_bytes == pytest.approx(carried(table, 2 * n), rel=1e-12)
    assert (net.link_busy_s <= found[0][1]).all()


def test_small_changes_look_at_few_links():
    # 48 ranks, 2,256 ends, 96 links: a link is looked at about once an event, or not at all
    net = FluidNetwork(np.ones(96), star_all_to_all(48, np.random.default_rng(2).random(48 * 47)))
    net.start(0.0, [0])
    assert net.advance(1e9).tolist() == [0]
    assert net.looks < 96 * net.solves


def test_more_bytes_on_one_link_never_end_earlier():
    # one shared link: max-min there is processor sharing, which is monotone
    sizes = np.random.default_rng(1).random(40)
    paths = [[0]] * 40
    small = drain(np.ones(1), FlowTable.from_batches([(paths, sizes)]))
    large = drain(np.ones(1), FlowTable.from_batches([(paths, sizes * 1.25)]))
    assert (large >= small).all()
    assert (np.argsort(small) == np.argsort(sizes)).all()


def test_same_input_same_bits():
    table = random_table(np.random.default_rng(3), 10, 40)
    start = np.random.default_rng(4).random(40)
    assert drain(np.ones(10), table, start).tobytes() == drain(np.ones(10), table, start).tobytes()


def test_transfers_in_simpy_end_when_drain_says():
    capacity, table = np.array([3.0, 2.0, 4.0]), random_table(np.random.default_rng(8), 3, 12)
    start = np.arange(12) // 3 * 0.7
    env = simpy.Environment()
    net = Network(env, FluidNetwork(capacity, table))
    ends = np.zeros(12)

    def job(batch):
        yield env.timeout(start[batch])
        assert (yield net.transfer(batch)) == batch
        ends[batch] = env.now

    for batch in range(12):
        env.process(job(batch))
    env.run()
    finish = drain(capacity, table, start)
    last = [max([start[b], *finish[table.batch_ptr[b] : table.batch_ptr[b + 1]]]) for b in range(12)]
    assert ends == pytest.approx(last, rel=1e-9)


def test_starts_of_one_instant_are_one_solve_in_simpy():
    env = simpy.Environment()
    table = FlowTable.from_batches([([[0]], 1.0)] * 20)
    net = Network(env, FluidNetwork(np.ones(1), table))
    log = []

    def job(batch):
        for _ in range(3):
            yield net.transfer(batch)
            log.append((batch, env.now))

    for batch in range(20):
        env.process(job(batch))
    env.run()
    assert net.fluid.solves <= 4
    assert log == [(batch, pytest.approx(at)) for at in (20.0, 40.0, 60.0) for batch in range(20)]


def test_a_fault_in_simpy_changes_running_transfers():
    # 4 of 10 bytes by t=2, then 1 byte/s
    env = simpy.Environment()
    net = Network(env, FluidNetwork(np.array([2.0]), FlowTable.from_batches([([[0]], 10.0)])))
    done = net.transfer(0)

    def fault():
        yield env.timeout(2.0)
        net.set_capacity(0, 1.0)

    env.process(fault())
    env.run(done)
    assert env.now == pytest.approx(8.0)


@pytest.mark.parametrize("chained", [False, True])
def test_everything_that_one_instant_brings_about_is_one_solve(chained):
    # at t = 1 a transfer ends (1 byte alone at 1 byte/s) and three start, at once or each from the event of another
    env = simpy.Environment()
    net = Network(env, FluidNetwork(np.array([1.0]), FlowTable.from_batches([([[0]], 1.0)] * 4)))

    def relay(batch):
        if chained and batch < 3:
            env.process(relay(batch + 1))
        yield net.transfer(batch)

    def later():
        yield env.timeout(1.0)
        for batch in [1] if chained else [1, 2, 3]:
            env.process(relay(batch))

    env.process(later())
    net.transfer(0)
    env.run()
    assert env.now == 4.0
    assert net.fluid.solves == 3  # after the first start, the end of the first, and the three starts
