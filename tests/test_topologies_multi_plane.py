"""Multi-plane fabrics of NICs with several ports: counts against three tiers, and what a lost part takes."""

import pytest

from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.topologies import LinkKind, Topology, build, max_gpus
from netsim.topologies.measure import faults

HOST = load(HardwareSpec, "hardware", "b300")


def fabric(name: str, gpus: int, **overrides: object) -> Topology:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return build(load(TopologySpec, "topology", name, given), HOST, gpus)


def test_two_tiers_of_512_ports_hold_131072_gpus() -> None:
    assert max_gpus(load(TopologySpec, "topology", "mrc"), HOST) == 512 * 512 // 2


def test_switches_and_optics_against_three_tiers() -> None:
    # k ports of 800 Gb/s in three tiers hold k^3 / 4 GPUs on 5 k^2 / 4 switches; 8 k ports of 100 Gb/s in two tiers
    # and eight planes need 8 x (k^3 / 4) x 3 / (8 k) of them; cables: 3 a GPU, and 8 x 2 of an eighth of the rate
    k = 8
    three = fabric("ft3", k**3 // 4, switch__radix=k, switch__port_rate="800 Gb/s")
    eight = fabric("mrc", k**3 // 4, switch__radix=8 * k)
    assert (eight.switches, three.switches) == (48, 80)
    assert eight.switches / three.switches == 0.6

    def terabits(t: Topology) -> float:
        return float(t.nominal_bytes_per_s[t.first(LinkKind.PORT_TX) :].sum())

    assert terabits(eight) / terabits(three) == pytest.approx(2 / 3)


def test_a_lost_port_is_an_eighth_of_a_nic_and_cuts_nobody_off() -> None:
    lost = {row["failed"]: row for row in faults(fabric("mrc", 128, switch__radix=64))}
    assert lost["plane"]["capacity_lost"] == 1 / 8
    assert all(row["nics_cut_off"] == 0 for row in lost.values())
    assert fabric("mrc", 128, switch__radix=64).nic_ports == 8


@pytest.mark.parametrize("name", ["mpft4", "mrc"])
def test_ports_of_a_nic_share_its_rate(name: str) -> None:
    t = fabric(name, 64)
    ports = t.nominal_bytes_per_s[t.links(LinkKind.PORT_TX).start : t.links(LinkKind.PORT_TX).stop]
    assert ports.reshape(64, -1).sum(axis=1).tolist() == [100e9] * 64
