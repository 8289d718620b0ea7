"""Every algorithm of every collective: bytes counted, and times against closed forms on an idle fabric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_cases import NIC, NVLINK, preset
from netsim.collectives import trees
from netsim.collectives.catalogue import AUTOMATIC, COLLECTIVES, latency_table
from netsim.collectives.plan import Group, Plan
from netsim.collectives.ring import orders
from netsim.collectives.sweep import sweep
from netsim.errors import NetsimError

ALL = [(kind, name) for kind, c in COLLECTIVES.items() for name in c.algorithms]
SHAPES = [(1, 4), (2, 1), (2, 4), (3, 1), (4, 2), (5, 8), (8, 8)]
SIZE = 1 << 30

#: bytes that must move in all for n ranks, in units of the size: the least that the definition allows
LEAST = {
    "all_to_all": lambda n: n - 1,
    "all_reduce": lambda n: 2 * (n - 1),
    "reduce_scatter": lambda n: n - 1,
    "all_gather": lambda n: n - 1,
    "broadcast": lambda n: n - 1,
    "send_recv": lambda n: n,
}


def plan_of(kind: str, name: str, hosts: int, width: int) -> tuple[Group, Plan]:
    group = Group.of(np.arange(hosts * width), width)
    if name in ("one_host", "nvls") and hosts > 1:
        with pytest.raises(NetsimError, match="span"):
            COLLECTIVES[kind].algorithms[name](group)
        pytest.skip("one host only")
    return group, COLLECTIVES[kind].algorithms[name](group)


@pytest.mark.parametrize(("hosts", "width"), SHAPES)
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_contract(kind: str, name: str, hosts: int, width: int) -> None:
    group, plan = plan_of(kind, name, hosts, width)
    flows = plan.transfers
    assert len(flows) == len(flows.target) == len(flows.share) == len(flows.kernel_share)
    assert set(flows.source.tolist()) | set(flows.target.tolist()) <= set(group.grid.ravel().tolist())
    assert (flows.share > 0).all()
    assert (flows.source != flows.target).all()
    assert plan.repeats >= 1
    assert min(plan.local_steps, plan.remote_steps, plan.messages) >= 0
    assert (plan.remote_steps > 0) == (hosts > 1)
    # nothing is moved twice, except what the host's other GPUs forward for a rank
    moved = plan.repeats * flows.share.sum()
    if (kind, name) == ("all_to_all", "pxn"):
        assert moved >= LEAST[kind](group.ranks) - 1e-9
    elif name == "nvls":  # the switch adds up: 1 + 1/n of the buffer out of each of n GPUs
        assert moved == pytest.approx(group.ranks + 1)
    else:
        assert moved == pytest.approx(LEAST[kind](group.ranks))


@pytest.mark.parametrize(("hosts", "width"), [s for s in SHAPES if s[0] > 1])
@pytest.mark.parametrize("name", list(COLLECTIVES["all_to_all"].algorithms))
def test_all_to_all_sends_each_host_its_part(name: str, hosts: int, width: int) -> None:
    group, plan = plan_of("all_to_all", name, hosts, width)
    flows = plan.transfers
    remote = flows.source // width != flows.target // width
    # n - width of n parts leave each host's rank over its NIC, and as many arrive
    for end in (flows.source, flows.target):
        found = np.bincount(end[remote], flows.share[remote], minlength=group.ranks)
        np.testing.assert_allclose(found, (group.ranks - width) / group.ranks)


def test_pxn_stays_on_its_rail() -> None:
    flows = plan_of("all_to_all", "pxn", 4, 8)[1].transfers
    remote = flows.source // 8 != flows.target // 8
    assert (flows.source % 8 == flows.target % 8)[remote].all()


@pytest.mark.parametrize(("hosts", "width"), SHAPES)
def test_every_ring_visits_every_rank_and_leaves_hosts_on_its_rail(hosts: int, width: int) -> None:
    group = Group.of(np.arange(hosts * width), width)
    order = orders(group)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.arange(group.ranks)[None].repeat(width, axis=0))
    here, there = order, np.roll(order, -1, axis=1)
    crosses = here // width != there // width
    same_rail = here % width == there % width
    closing = np.zeros_like(crosses)
    closing[:, -1] = hosts % 2 == 1  # an odd number of hosts cannot close on the rail
    assert (same_rail | ~crosses | closing).all()
    # each NIC sends one ring's traffic and receives one's
    assert (np.bincount(here[crosses], minlength=group.ranks) == (1 if hosts > 1 else 0)).all()


@given(st.integers(2, 300))
@settings(max_examples=60, deadline=None)
def test_double_tree_loads_every_rank_with_at_most_two_buffers(nodes: int) -> None:
    child, parent = trees.both(nodes)
    children = np.bincount(parent[: nodes - 1], minlength=nodes)
    assert children.max() <= 2
    # both are trees: every node but one has a parent, and all reach the root
    up = dict(zip(child[: nodes - 1].tolist(), parent[: nodes - 1].tolist(), strict=True))
    for node in range(nodes):
        hops = 0
        while node in up:
            node, hops = up[node], hops + 1
            assert hops <= 2 * nodes.bit_length()
        assert node == 0
    # halves sent: up in both trees, down to each child; never more than 2 x size, that is four halves
    sent = np.bincount(child, minlength=nodes) + np.bincount(parent, minlength=nodes)
    assert sent.max() <= 4


def time_s(kind: str, name: str, ranks: int, width: int, fabric: str = "ft2") -> float:
    setup = preset(fabric, ranks, width=width)
    return sweep(setup, kind, [range(ranks)], [SIZE], name)[0].time_us / 1e6


@pytest.mark.parametrize("n", [4, 8, 9, 32])
@pytest.mark.parametrize(
    ("kind", "name", "parts"),
    [
        ("all_reduce", "ring", lambda n: 2 * (n - 1) / n),
        ("all_reduce", "hierarchical", lambda n: 2 * (n - 1) / n),
        ("all_reduce", "tree", lambda n: 2.0),
        ("reduce_scatter", "ring", lambda n: (n - 1) / n),
        ("all_gather", "ring", lambda n: (n - 1) / n),
        ("broadcast", "ring", lambda n: 1.0),
        ("broadcast", "tree", lambda n: 1.0),
        ("all_to_all", "direct", lambda n: (n - 1) / n),
        ("all_to_all", "pxn", lambda n: (n - 1) / n),
        ("send_recv", "next", lambda n: 1.0),
    ],
)
def test_one_gpu_a_host_meets_the_closed_form(kind: str, name: str, parts: object, n: int) -> None:
    assert time_s(kind, name, n, 1) == pytest.approx(parts(n) * SIZE / NIC, rel=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("hosts", [2, 4, 8])
@pytest.mark.parametrize("fabric", ["mpft", "mrft", "ft2"])
def test_eight_gpus_a_host_meet_the_closed_forms(fabric: str, hosts: int) -> None:
    n = 8 * hosts
    # a ring: 7 of 8 rings leave a GPU over NVLink, 1 of 8 over its NIC
    around = SIZE * (n - 1) / n / 8
    assert time_s("reduce_scatter", "ring", n, 8, fabric) == pytest.approx(
        max(around * 7 / NVLINK, around / NIC), rel=1e-6
    )
    # two levels: 7/8 of the buffer inside, (h - 1)/h of an eighth between
    inside, between = SIZE * 7 / 8 / NVLINK, SIZE / 8 * (hosts - 1) / hosts / NIC
    assert time_s("all_reduce", "hierarchical", n, 8, fabric) == pytest.approx(
        2 * max(inside, between), rel=1e-6
    )
    # all-to-all: the NIC carries the part of the other hosts
    assert time_s("all_to_all", "pxn", n, 8, fabric) == pytest.approx(SIZE * (n - 8) / n / NIC, rel=1e-6)


def test_one_host_runs_over_nvlink() -> None:
    # 7/8 of the buffer out of each GPU, twice
    assert time_s("all_reduce", "one_host", 8, 8) == pytest.approx(2 * 7 / 8 * SIZE / NVLINK, rel=1e-6)


def test_planes_forward_what_rails_route() -> None:
    # straight pairs: MPFT must forward over NVLink what MRFT sends through its spines; both NICs carry the same
    assert time_s("all_to_all", "direct", 32, 8, "mpft") == pytest.approx(
        time_s("all_to_all", "direct", 32, 8, "mrft"), rel=1e-6
    )


def test_groups_that_share_a_host_run_at_once() -> None:
    setup = preset("mpft", 64)
    alone = sweep(setup, "all_to_all", [range(16)], [SIZE], "pxn")[0]
    four = sweep(setup, "all_to_all", np.arange(64).reshape(4, 16), [SIZE], "pxn")[0]
    assert (alone.groups, four.groups) == (1, 4)
    assert four.time_us == pytest.approx(alone.time_us, rel=1e-9)


def test_ranks_spread_unevenly_are_refused() -> None:
    with pytest.raises(NetsimError, match="every host must hold as many"):
        Group.of([0, 1, 8], 8)


@pytest.mark.parametrize("kind", COLLECTIVES)
def test_automatic_choices_exist_and_every_algorithm_has_latencies(kind: str) -> None:
    assert set(AUTOMATIC[kind]) <= set(COLLECTIVES[kind].algorithms)
    assert {latency_table(kind, name) for name in COLLECTIVES[kind].algorithms} <= {
        "ring",
        "tree",
        "nvls",
        "message",
    }
