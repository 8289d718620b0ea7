"""The packet model: closed forms, and where the fluid limit holds."""

import numpy as np
import pytest

from netsim.network.flows import FlowTable
from netsim.network.fluid import drain
from netsim.network.packet import simulate_packets


def star(pairs, n, size):
    """Each pair over its source's link up and its destination's link down."""
    return FlowTable.from_batches([([[a, n + b] for a, b in pairs], size)])


def all_pairs(n):
    return [(a, b) for a in range(n) for b in range(n) if a != b]


def test_one_packet_pays_every_queue_and_pipe():
    # 64/16 + 1 + 64/32 + 2
    table = FlowTable.from_batches([([[0, 1]], 64.0)])
    assert simulate_packets(np.array([16.0, 32.0]), [1.0, 2.0], table).finish_s.tolist() == [9.0]


def test_a_train_of_packets_pays_one_packet_for_each_further_link():
    # 10 packets of 10 bytes at 10 bytes/s, store and forward over 3 links: 10 + 2 s
    table = FlowTable.from_batches([([[0, 1, 2]], 100.0)])
    run = simulate_packets(np.full(3, 10.0), 0.0, table, packet_bytes=10.0)
    assert run.finish_s == pytest.approx([12.0])
    assert run.packets == 10


def test_a_window_smaller_than_the_pipe_bounds_the_rate():
    # one packet per round trip: 1 s of service, 4 s out, 4 s back; five packets, the last one only goes out
    table = FlowTable.from_batches([([[0]], 50.0)])
    run = simulate_packets(np.array([10.0]), 4.0, table, packet_bytes=10.0, window=1)
    assert run.finish_s == pytest.approx([4 * 9.0 + 5.0])


@pytest.mark.parametrize("kind", ["all-to-all", "incast", "permutation"])
def test_large_messages_approach_the_fluid_times(kind):
    n = 24
    pairs = {
        "all-to-all": all_pairs(n),
        "incast": [(a, 0) for a in range(1, n)],
        "permutation": [(a, (a * 5 + 1) % n) for a in range(n) if a != (a * 5 + 1) % n],
    }[kind]
    table, capacity = star(pairs, n, 4096 * 400.0), np.full(2 * n, 50e9)
    packets = simulate_packets(capacity, 0.0, table).finish_s.max()
    fluid = drain(capacity, table).max()
    assert fluid <= packets * (1 + 1e-9)
    assert packets == pytest.approx(fluid, rel=0.05)


def test_the_error_shrinks_with_the_packet():
    n = 16
    table, capacity = star(all_pairs(n), n, 1e6), np.full(2 * n, 50e9)
    fluid = drain(capacity, table).max()
    errors = [
        simulate_packets(capacity, 0.0, table, size).finish_s.max() / fluid - 1 for size in (64e3, 16e3, 4e3)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_messages_of_64_bytes_are_ruled_by_latency_not_by_rates():
    # the fluid network sees 15 x 64 bytes at 50 GB/s, 19 ns; two pipes of 0.5 us are fifty times that
    n = 16
    table, capacity = star(all_pairs(n), n, 64.0), np.full(2 * n, 50e9)
    packets = simulate_packets(capacity, 0.5e-6, table).finish_s.max()
    assert packets > 50 * drain(capacity, table).max()


def test_a_burst_queues_where_the_fluid_network_has_no_queue():
    # 23 first windows of 16 packets meet at one port of the speed of each source
    n = 24
    table = star([(a, 0) for a in range(1, n)], n, 4096 * 16.0)
    run = simulate_packets(np.full(2 * n, 50e9), 0.0, table)
    # in the time a source needs for 16 packets the port serves 16 - 1 of 23 x 16 (the first arrives a packet late)
    assert run.queue_bytes[n] == pytest.approx(4096 * (23 * 16 - 15), rel=1e-6)


def test_bad_questions_are_refused_in_one_line():
    table = FlowTable.from_batches([([[0]], 1.0)])
    with pytest.raises(ValueError, match="window = 0"):
        simulate_packets(np.ones(1), 0.0, table, window=0)
    with pytest.raises(ValueError, match="positive capacities"):
        simulate_packets(np.zeros(1), 0.0, table)
    half = FlowTable(**{**vars(table), "link_share": np.array([0.5])})
    with pytest.raises(ValueError, match="every share must be 1"):
        simulate_packets(np.ones(1), 0.0, half)
