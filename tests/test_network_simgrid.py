"""The fluid network against SimGrid on a two-layer fat-tree: to 1e-6 of the last end."""

import numpy as np
import pytest

import simgrid_oracle
from netsim.network.flows import FlowTable
from netsim.network.fluid import drain

pytestmark = pytest.mark.skipif(
    not simgrid_oracle.installed(),
    reason="SimGrid is not installed (pip install simgrid; needs Boost headers)",
)

HOSTS, PER_LEAF, SPINES = 32, 8, 8


def path(src, dst):
    a, b, spine = src // PER_LEAF, dst // PER_LEAF, dst % SPINES
    up, down = 2 * HOSTS, 2 * HOSTS + HOSTS // PER_LEAF * SPINES
    between = [] if a == b else [up + a * SPINES + spine, down + b * SPINES + spine]
    return [src, *between, HOSTS + dst]


def traffic(kind):
    """Pairs and whole bytes."""
    rng = np.random.default_rng(11)
    if kind == "ring":
        pairs = [(i, (i + 1) % HOSTS) for i in range(HOSTS)]
    elif kind == "incast":
        pairs = [(i, 5) for i in range(HOSTS) if i != 5]
    elif kind == "random":
        pairs = list({(int(a), int(b)) for a, b in rng.integers(0, HOSTS, (300, 2)) if a != b})
    else:
        pairs = [(a, b) for a in range(HOSTS) for b in range(HOSTS) if a != b]
    sizes = (
        np.full(len(pairs), 10**6) if kind == "equal all-to-all" else rng.integers(10**5, 10**7, len(pairs))
    )
    return np.array(pairs), sizes.astype(float)


@pytest.mark.parametrize("kind", ["equal all-to-all", "all-to-all", "ring", "incast", "random"])
def test_finish_times_against_simgrid(kind):
    pairs, sizes = traffic(kind)
    table = FlowTable.from_batches([([path(a, b) for a, b in pairs.tolist()], sizes)])
    capacity = np.full(2 * HOSTS + 2 * HOSTS // PER_LEAF * SPINES, 5e9)
    capacity[2 * HOSTS :: 3] *= 0.5  # some uplinks bind
    theirs, _ = simgrid_oracle.finish_times(capacity, table, pairs[:, 0], pairs[:, 1])
    ours = drain(capacity, table)
    assert np.abs(ours - theirs).max() <= 1e-6 * ours.max()
