"""Table 3 of arXiv 2505.09343 from counts and the published book; the arithmetic of a bill."""

import pytest

from fabrics import fabric
from netsim.cost.bill import bill, network_cost
from netsim.errors import SpecError
from netsim.specs import load
from netsim.specs.prices import PriceBook
from netsim.topologies import FAMILIES

BOOK = load(PriceBook, "prices", "published")


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "custom"])
@pytest.mark.parametrize("gpus", [8, 72, 2048])
def test_a_bill_adds_up(family: str, gpus: int) -> None:
    t = fabric(family, gpus)
    cost, lines = network_cost(t, BOOK), bill(t, BOOK)
    count = {line.part: line.count for line in lines}
    in_groups = count.pop("group_link", 0)
    assert in_groups == (t.structure.local_cables if family == "dragonfly" else 0)
    assert count == {
        "switch": t.switches, "switch_link": t.switch_links - in_groups, "endpoint_link": t.endpoints, "nic": gpus
    }  # fmt: skip
    assert cost["network_usd"] == sum(line.count * line.unit_usd for line in lines)
    assert cost["network_usd"] == cost["switch_usd"] + cost["cable_usd"] + cost["nic_usd"]
    scale, part = t.radix * t.spec.switch.port_rate / (64 * 50e9), t.spec.switch.port_rate / 50e9
    watts = 747 * scale * t.switches + 17 * part * t.switch_links + 17.5 * part * t.endpoints + 25 * gpus
    assert cost["power_kw"] == pytest.approx(watts / 1e3)
    assert all(line.source for line in lines)
    assert cost["lines"][0]["usd"] == cost["switch_usd"]


def test_another_switch_is_priced_by_its_ports_and_said_so() -> None:
    line = bill(fabric("ft2", 2048, switch__radix=128), BOOK)[0]
    assert line.unit_usd == 2 * 80460
    assert line.status == "assumption"
    assert line.source.startswith("2 times the port capacity")
    assert network_cost(fabric("ft2", 2048, switch__radix=128), BOOK)["status"] == "assumption"


def test_a_book_without_a_date_or_source_is_refused() -> None:
    with pytest.raises(SpecError, match="date"):
        load(PriceBook, "prices", "published", {"date": "May"})
    with pytest.raises(SpecError, match=r"switch\.source"):
        load(PriceBook, "prices", "published", {"switch.source": ""})
