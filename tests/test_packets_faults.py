"""Failures and flaps: what is lost comes again, and what is down is gone around."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.congestion.faults import changes
from netsim.congestion.messages import Messages
from netsim.congestion.simulate import simulate
from netsim.congestion.workloads import Ask, all_to_all, permutation
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.topologies import LinkKind, build
from packet_worlds import transport, tree

SOON = {"failover__nic": "20 us", "failover__switch": "20 us"}


def conserved(run):
    """Every packet that was sent came, came again, was trimmed or was dropped; each is delivered once."""
    t, flows = run.state.totals[0], run.state.flows
    assert t["in_network"] == 0
    assert t["data_packets"] == t["delivered"] + t["copies"] + t["trimmed"] + t["dropped"]
    assert t["data_packets"] == flows["packets"].sum() + flows["resent"].sum()
    assert (run.state.ports["waiting"] == 0).all()
    assert (run.state.switches["used"] == 0).all()
    return np.isfinite(run.finish_s).all()


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["eqds", "ndp", "nscc", "roce"]),
    full=st.sampled_from(["trim", "drop"]),
    queue=st.integers(10_000, 100_000),
    flaps=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 80), st.integers(1, 100)), max_size=3),
)
def test_bytes_are_conserved_under_loss_and_flaps(name, full, queue, flaps):
    keys = {"switch__queue": f"{queue} B", "sender__timeout": "200 us", **SOON}
    keys |= {} if name == "roce" else {"switch__full": full}
    faults = [f"cable {cable} down at {at}us for {span}us" for cable, at, span in flaps]
    run = simulate(tree(16, radix=8), all_to_all(Ask(16, 60_000)), transport(name, **keys), faults=faults)
    assert conserved(run)


def test_a_flow_goes_around_a_dead_cable_once_the_switches_know():
    # one of 16 cables dies for good at 10 us, 20 us before the switches know
    fabric = tree(16, radix=8)
    first = simulate(
        fabric, permutation(Ask(16, 4_000_000)), transport("eqds", sender__timeout="60 us", **SOON)
    )
    run = simulate(
        fabric, permutation(Ask(16, 4_000_000)), transport("eqds", sender__timeout="60 us", **SOON),
        faults=["cable 0 down at 10us"],
    )  # fmt: skip
    assert conserved(run)
    assert run.state.totals["dropped"][0] > 0
    cable = run.topology.first(LinkKind.UP)
    assert run.state.ports["packets"][cable] < first.state.ports["packets"][cable] / 2
    assert run.seconds > first.seconds


@pytest.mark.parametrize("ports", [4, 8])
def test_a_nic_with_one_port_lost_keeps_the_others(ports):
    # P ports of line / P each; a port of the receiver is dead from the start: (P - 1) / P of the rate is left
    spec = load(TopologySpec, "topology", "mpft_ideal", {"planes": ports})
    fabric = build(spec, load(HardwareSpec, "hardware", "h800", {"gpus_per_host": 1, "nics_per_host": 1}), 4)
    wanted = transport("eqds", packet__payload="4086 B", sender__timeout="60 us", failover__nic="1 us")
    message = Messages.of(0, 1, 20_000_000)
    whole = simulate(fabric, message, wanted)
    hurt = simulate(fabric, message, wanted, faults=["port 1.0 down at 0us"])
    assert conserved(hurt)
    assert whole.seconds / hurt.seconds == pytest.approx((ports - 1) / ports, rel=0.02)


def test_the_wait_for_a_dead_link_is_the_time_out():
    # one packet is lost on the only way; it comes again when the time-out has passed and the link is back
    keys = {"sender__law": "static", "sender__acknowledged": True, "sender__timeout": "100 us"}
    run = simulate(
        tree(4), Messages.of(0, 1, 4096), transport("spray", **keys), faults=["port 0 down at 0.1us for 50us"]
    )
    assert run.seconds == pytest.approx(100e-6 + 2 * 83.2e-9 + 1e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cable 999 down at 1us", "no such cable"),
        ("port 0.1 down at 1us", "no such port"),
        ("cable 1 down at 5", "must be a quantity"),
        ("switch 1 down", "must be such as"),
    ],
)
def test_a_fault_that_is_none_is_one_clear_line(text, says):
    with pytest.raises(NetsimError, match=says):
        changes([text], tree(16, radix=8), transport("eqds"), 0)


def test_a_transport_that_never_sends_again_is_refused():
    with pytest.raises(NetsimError, match="time-out"):
        changes(["cable 0 down at 1us"], tree(16, radix=8), transport("spray"), 0)
