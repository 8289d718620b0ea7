"""The fewest switches: against search by hand, and the textbook cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cost.bill import network_cost
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.prices import PriceBook
from netsim.topologies import LinkKind, build, check
from netsim.topologies.sizing import fewest_uppers, leaf_limit, ports_down, shape, uplinks


def naive_uppers(down: list[int], ratio: float, radix: int) -> int:
    """Try every number of upper switches, counting ports one by one."""
    need = [next(n for n in range(radix + 1) if n * ratio >= d - 1e-9) for d in down]
    for count in range(1, radix + 1):
        cables = [next(m for m in range(radix + 1) if m * count >= n) for n in need]
        upper_ok = sum(cables) <= radix
        lower_ok = all(d + m * count <= radix for d, m in zip(down, cables, strict=True))
        if upper_ok and lower_ok:
            return count
    raise AssertionError


@given(
    radix=st.sampled_from([4, 8, 10, 16, 36, 64]),
    ratio=st.sampled_from([1.0, 1.5, 2.0, 3.0, 7.0]),
    leaves=st.integers(2, 64),
    last=st.integers(1, 64),
)
def test_fewest_uppers_against_naive_search(radix: int, ratio: float, leaves: int, last: int) -> None:
    full = ports_down(radix, ratio)
    down = [full] * (min(leaves, radix) - 1) + [min(last, full)]
    found = fewest_uppers(np.array(down), ratio, radix)
    assert found.number == naive_uppers(down, ratio, radix)
    assert found.cables.sum() <= radix
    assert (found.cables * found.number >= uplinks(np.array(down), ratio)).all()


@given(radix=st.integers(2, 64).map(lambda n: 2 * n), ratio=st.floats(1.0, 64.0))
def test_ports_of_a_full_leaf_fit(radix: int, ratio: float) -> None:
    down = ports_down(radix, ratio)
    up = int(uplinks(np.array([down]), ratio)[0])
    assert 1 <= up <= down < radix
    assert down + up <= radix
    assert down <= up * ratio * (1 + 1e-6)


@given(leaves=st.integers(2, 128), last=st.integers(1, 8))
def test_three_tiers_of_radix_16_fit_at_any_size(leaves: int, last: int) -> None:
    down = np.array([8] * (leaves - 1) + [last])
    found = shape(down, 3, 16, (1.0, 1.0))
    pods = found.spine_cables.size
    if not found.cores:
        assert (pods, leaves <= 8) == (1, True)
        return
    below = np.bincount(found.leaf_pod, weights=found.leaf_cables)
    assert (below + found.spine_cables * found.cores <= 16).all()
    assert (found.spine_cables * found.cores >= below).all()
    assert found.spine_cables.sum() <= 16
    # no fewer than the ports alone demand
    assert pods * found.spines >= np.ceil((8 * (leaves - 1) + last) / 8)


def test_equal_switch_counts_take_the_largest_pods() -> None:
    # 2,048 endpoints: pods of 32, 16, 8, ... leaves all need 160 switches
    found = shape(np.full(64, 32), 3, 64, (1.0, 1.0))
    assert (found.spine_cables.size, found.spines, found.cores) == (2, 32, 1)


@pytest.mark.parametrize(("radix", "endpoints"), [(64, 65536), (128, 524288), (8, 128)])
def test_limit_of_three_tiers_is_k_cubed_over_four(radix: int, endpoints: int) -> None:
    assert leaf_limit(3, radix, (1.0, 1.0)) * ports_down(radix, 1.0) == endpoints == radix**3 // 4


@pytest.mark.parametrize("gpus", [512, 1024, 2048])
def test_more_oversubscription_never_needs_more_switches(gpus: int) -> None:
    # 51 ports down leave 13 up, a prime number that divides over no fewer than 13 spines; fewer ports down do better
    hardware = load(HardwareSpec, "hardware", "h800")
    counts = []
    for over in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0):
        spec = load(TopologySpec, "topology", "mpft", {"oversubscription": [over]})
        topology = build(spec, hardware, gpus)
        check(topology)
        counts.append(topology.switches)
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    ("nics", "rate", "rate_of_a_gpu", "radix"),
    [(8, "400 Gb/s", 50e9, 64), (32, "100 Gb/s", 50e9, 64), (16, "400 Gb/s", 100e9, 32)],
)
def test_nics_of_a_gpu_work_as_one(nics: int, rate: str, rate_of_a_gpu: float, radix: int) -> None:
    # four of 100 Gb/s share a port by a breakout cable; two of 400 Gb/s take two ports of a switch together
    hardware = load(HardwareSpec, "hardware", "h100", {"nics_per_host": nics, "nic.line_rate": rate})
    t = build(load(TopologySpec, "topology", "ft2"), hardware, 128)
    ports = t.links(LinkKind.PORT_TX)
    assert t.nominal_bytes_per_s[ports.start : ports.stop].tolist() == [rate_of_a_gpu] * 128
    assert t.radix == radix
    bill = network_cost(t, load(PriceBook, "prices", "published"))["lines"]
    assert next(row["count"] for row in bill if row["part"] == "nic") == 16 * nics


def test_nics_that_fit_no_gpu_are_refused() -> None:
    with pytest.raises(NetsimError, match=r"must divide gpus_per_host = 8, or be a multiple of it"):
        load(HardwareSpec, "hardware", "h100", {"nics_per_host": 12})
    hardware = load(HardwareSpec, "hardware", "h100", {"nics_per_host": 24})
    with pytest.raises(NetsimError, match="must be a multiple of the 3 ports"):
        build(load(TopologySpec, "topology", "ft2"), hardware, 64)
