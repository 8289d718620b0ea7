"""Reliability tables: they load, name their sources, and give back the counts that they were made of."""

import pytest

from netsim.errors import NetsimError
from netsim.specs import catalog, load
from netsim.specs.reliability import PARTS, ReliabilitySpec

DAY_S = 86400.0


@pytest.mark.parametrize("name", catalog.names("reliability"))
def test_every_table_loads_with_sources(name: str) -> None:
    table = load(ReliabilitySpec, "reliability", name)
    assert table.name == name
    assert "repair" in table.sources
    assert set(table.parts()) <= set(PARTS)
    assert table.parts()


def test_llama3_gives_419_interruptions_in_54_days_on_its_cluster() -> None:
    table = load(ReliabilitySpec, "reliability", "llama3")
    # table 5 of arXiv 2407.21783 and a leaf switch for 16 GPUs
    counts = {"gpu": 16384, "host": 2048, "nic": 16384, "cable": 16384, "switch": 1024, "software": 16384}
    found = {name: 54 * DAY_S * counts[name] / part.mtbf for name, part in table.parts().items()}
    assert found["gpu"] == pytest.approx(268, rel=1e-3)
    assert found["cable"] + found["switch"] == pytest.approx(35, rel=1e-3)
    assert sum(found.values()) == pytest.approx(419, rel=1e-3)


def test_a_wrong_key_names_the_nearest() -> None:
    with pytest.raises(NetsimError, match="did you mean 'mtbf'"):
        load(ReliabilitySpec, "reliability", "llama3", {"gpu.mtfb": "3 day"})
    with pytest.raises(NetsimError, match="must be a quantity of seconds"):
        load(ReliabilitySpec, "reliability", "llama3", {"gpu.mtbf": 3})
