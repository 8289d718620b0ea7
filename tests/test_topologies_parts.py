"""Parts by name: their links, and what exists when there is no such part."""

import numpy as np
import pytest

from fault_cases import fabric
from netsim.errors import NetsimError
from netsim.faults.draw import part_names
from netsim.topologies import LinkKind
from netsim.topologies.parts import find_part, link_name

BOTH = 2


@pytest.mark.parametrize(
    ("name", "gpus", "text", "links", "gpus_of"),
    [
        ("mpft", 2048, "plane 3", BOTH * (256 + 256), 0),
        ("mpft", 2048, "switch leaf0.1", BOTH * 64, 0),
        ("mpft", 2048, "switch spine 7.3", BOTH * 64, 0),
        ("mpft", 2048, "link leaf0.1-spine0.3#7", BOTH, 0),
        ("mpft", 2048, "link spine0.3-leaf0.1#all", BOTH * 8, 0),
        ("mpft", 2048, "link host12.3", BOTH, 0),
        ("mpft", 2048, "link host12.3-leaf3.0", BOTH, 0),
        ("mpft_ideal", 2048, "nic host12.3", BOTH * 4, 0),
        ("mpft_ideal", 2048, "link host12.3.1", BOTH, 0),
        ("ft3", 2048, "switch leaf3", BOTH * 64, 0),
        ("ft3", 2048, "link leaf0.1-spine0.3", BOTH, 0),
        ("slim_fly", 2048, "switch switch3", BOTH * 52, 0),
        ("mpft", 2048, "nvlink host3", BOTH * 8, 0),
        ("mpft", 2048, "nvlink host3.2", BOTH, 0),
        ("mpft", 2048, "gpu host3.2", BOTH * 2, 1),
        ("mpft", 2048, "host 5", BOTH * 3 * 8, 8),
    ],
)
def test_parts(name: str, gpus: int, text: str, links: int, gpus_of: int) -> None:
    topology = fabric(name, gpus)
    part = find_part(topology, text)
    assert (np.unique(part.links).size, part.gpus.size) == (links, gpus_of)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("mpft", "plane 9", "no plane '9' on mpft with 2,048 GPUs: it has 8 planes, 0 to 7"),
        ("mpft", "switch spine0.99", "it has 4 switches, spine0.0 to spine0.3"),
        ("mpft", "switch core0.0", "it has 64 switches, leaf0.0 to leaf7.7; 32 switches, spine0.0 to spine7.3"),
        ("mpft", "link leaf0.1-leaf0.2", "leaf0.1 is cabled to 4 switches, spine0.0 to spine0.3"),
        ("mpft", "link leaf0.1-spine0.3", "has 8 parallel cables: write leaf0.1-spine0.3#0 to #7, or #all"),
        ("mpft", "link leaf0.1-spine0.3#8", "no cable #8: it has #0 to #7, or #all"),
        ("mpft", "link leaf0.1", "must be written leaf0.1-spine0.3"),
        ("mpft", "link host0.1-leaf0.0", "host0.1 is cabled to leaf1.0"),
        ("mpft", "nic host0.8", "it has host0.0 to host255.7: 256 hosts of 8 NICs"),
        ("mpft", "nic host0", "it has host0.0 to host255.7"),
        ("mpft", "host 256", "it has host0 to host255: 256 hosts of 8 GPUs, 0 to 7"),
        ("mpft", "gpu host3", "no GPU 'host3'"),
        ("mpft", "gpu host3.8", "no GPU 'host3.8'"),
        ("mpft", "nvlink 3.9", "no GPU '3.9'"),
        ("mpft", "cable 3", "no such kind of part"),
        ("mpft_ideal", "link host0.1", "has 4 cables: write host0.1.0 to host0.1.3, or nic host0.1 for all"),
        ("mpft_ideal", "link host0.1.4", "each with ports 0 to 3"),
        ("slim_fly", "switch spine0.0", "it has 128 switches, switch0.0 to switch0.127"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_there(name: str, text: str, line: str) -> None:
    with pytest.raises(NetsimError) as error:
        find_part(fabric(name, 2048), text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mpft", "mpft_ideal", "ft3", "dragonfly", "rail_only"])
def test_every_part_that_can_fail_is_found_by_its_name(name: str) -> None:
    topology = fabric(name, 128)
    for kind in ("gpu", "scale_up", "host", "nic", "switch", "cable"):
        names = part_names(topology, kind)
        for text in {names[0], names[-1], names[len(names) // 3]}:
            assert find_part(topology, text).name.startswith(text)
    cables = part_names(topology, "cable")
    assert len(set(cables)) == len(cables) == topology.endpoints + topology.switch_links


def test_links_have_names_with_a_direction() -> None:
    topology = fabric("mpft", 2048)
    names = [link_name(topology, topology.first(kind) + 9) for kind in LinkKind]
    assert names == [
        "nvlink host1.1 out", "nvlink host1.1 in", "pcie host1.1 out", "pcie host1.1 in", "nic host1.1 out",
        "nic host1.1 in", "leaf0.0 to spine0.1", "spine0.1 to leaf0.0",
    ]  # fmt: skip
