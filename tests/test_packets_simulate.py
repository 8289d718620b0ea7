"""The packet engine end to end: closed forms, and what must always hold."""

import numpy as np
import pytest

from netsim.congestion.messages import Messages
from netsim.congestion.simulate import simulate
from netsim.congestion.workloads import Ask, all_to_all
from packet_worlds import transport, tree


def test_a_lone_message_pays_every_link_once_and_the_rest_at_line_rate():
    # 10 packets of 4160 bytes at 50 GB/s, 4 links: (10 + 3) x 83.2 ns + 4 x 0.5 us
    run = simulate(tree(64), Messages.of(0, 63, 40960), transport("spray"))
    assert run.seconds == pytest.approx(13 * 83.2e-9 + 2e-6, rel=1e-9)
    assert run.ideal_s.tolist() == pytest.approx([run.seconds], rel=1e-9)


def test_cut_through_pays_the_packet_once_and_the_header_at_every_switch():
    # store and forward only at the host: 83.2 ns once, 3 headers of 1.28 ns
    run = simulate(tree(64), Messages.of(0, 63, 4096), transport("spray", switch__cut_through=True))
    assert run.seconds == pytest.approx(83.2e-9 + 3 * 1.28e-9 + 2e-6, rel=1e-9)


def test_incast_shares_the_last_link_fairly():
    # 7 x 1 MB over one link of 50 GB/s
    run = simulate(tree(8), Messages.of(np.arange(1, 8), 0, 1_000_000), transport("spray"))
    wire = 7 * (1_000_000 + 245 * 64) / 50e9
    assert run.seconds == pytest.approx(wire + 83.2e-9 + 1e-6, rel=1e-3)
    assert run.record()["groups"][0]["fairness"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", ["spray", "eqds", "ndp", "roce", "hpcc", "nscc"])
def test_every_transport_delivers_every_packet_once(name):
    run = simulate(tree(16, radix=8), all_to_all(Ask(16, 200_000)), transport(name))
    totals, flows = run.state.totals[0], run.state.flows
    assert np.isfinite(run.finish_s).all()
    assert totals["delivered"] == flows["packets"].sum()
    assert totals["in_network"] == 0
    assert (
        totals["data_packets"]
        == totals["delivered"] + totals["copies"] + totals["dropped"] + totals["trimmed"]
    )


@pytest.mark.parametrize("name", ["spray", "eqds", "roce"])
def test_littles_law_holds_on_every_queue(name):
    run = simulate(tree(16, radix=8), all_to_all(Ask(16, 200_000)), transport(name))
    ports = run.state.ports
    assert (ports["waiting"] == 0).all()
    assert ports["area"].tolist() == ports["wait"].tolist()
    assert ports["wait"].sum() > 0


def test_the_same_seed_gives_the_same_bits():
    runs = [
        simulate(tree(16, radix=8), all_to_all(Ask(16, 50_000)), transport("spray"), seed=s)
        for s in (3, 3, 4)
    ]
    assert runs[0].finish_s.tobytes() == runs[1].finish_s.tobytes() != runs[2].finish_s.tobytes()
