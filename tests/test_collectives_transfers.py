"""Flows of a collective: counting identities."""

import numpy as np
import pytest

from netsim.collectives import expert_exchange, point_to_point, rings, two_level_rings
from netsim.collectives.step import GroupShape, StageParameters, gathering, members_a_host, step_batches
from netsim.errors import SpecError
from netsim.workloads.moe import RoutingStatistics


def per_gpu(ends: np.ndarray, share: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.bincount(ends[mask], share[mask])


@pytest.mark.parametrize("hosts", [1, 2, 4, 8])
def test_expert_exchange_moves_what_the_gate_says(hosts: int) -> None:
    routing = RoutingStatistics(hosts, 2.0 if hosts > 1 else 1.0, 5.0)
    flows = expert_exchange(np.arange(hosts * 8), 8, routing)
    remote = flows.source // 8 != flows.target // 8
    # every GPU sends and receives `remote_hosts` units over its NIC and `devices` units over NVLink
    for ends in (flows.source, flows.target):
        if hosts > 1:
            np.testing.assert_allclose(per_gpu(ends, flows.share, remote), routing.remote_hosts)
        np.testing.assert_allclose(per_gpu(ends, flows.share, ~remote), routing.devices)
    # over the NIC only between GPUs of the same index
    assert (flows.source % 8 == flows.target % 8)[remote].all()
    # a sender's flows share its kernel rate
    if hosts > 1:
        np.testing.assert_allclose(np.bincount(flows.source[remote], flows.kernel_share[remote]), 1.0)


@pytest.mark.parametrize("members", [1, 2, 5, 32])
def test_ring_sends_the_reduce_scatter_share(members: int) -> None:
    flows = rings(np.arange(members * 3).reshape(members, 3))
    # (n - 1)/n of the buffer to the successor
    assert len(flows) == (0 if members == 1 else members * 3)
    np.testing.assert_allclose(flows.share, (members - 1) / members)


def test_two_levels_leave_an_eighth_for_the_nics() -> None:
    flows = two_level_rings(np.arange(32).reshape(4, 8))
    remote = flows.source // 8 != flows.target // 8
    # inside: 7/8 of the buffer leaves each GPU; between: 3/4 of an eighth
    np.testing.assert_allclose(per_gpu(flows.source, flows.share, ~remote), 7 / 8)
    np.testing.assert_allclose(per_gpu(flows.source, flows.share, remote), 3 / 4 / 8)


def test_point_to_point_is_one_flow_a_pair() -> None:
    flows = point_to_point(np.arange(4), np.arange(4, 8))
    assert flows.share.tolist() == [1.0] * 4


@pytest.mark.parametrize("expert", [1, 2, 4, 8])
def test_gradients_cross_the_nics_once_a_host_however_small_the_groups(expert: int) -> None:
    # two ranks of 8 GPUs, a host each, both holding both stages: dense gradients over 2 hosts of 8,
    # so 1/8 x 1/2 of a parameter on each NIC; experts over 2 x 8/expert copies, of which hosts hold half each
    placement = np.arange(16).reshape(2, 8 // expert, expert)
    held = [StageParameters(dense=1.0, expert=0.0)] * 2
    routing = RoutingStatistics(1, 1.0, 1.0)
    batches = step_batches(placement, 8, routing, held, [(0, 1), (0, 1)], [])
    for batch in (b for b in batches if b.key[0] == "gradient"):
        flows = batch.transfers
        remote = flows.source // 8 != flows.target // 8
        np.testing.assert_allclose(np.bincount(flows.source[remote], flows.share[remote], 16), 1 / 16)
        np.testing.assert_allclose(np.bincount(flows.source[~remote], flows.share[~remote], 16), 7 / 8)


def test_hosts_that_hold_unequal_parts_of_a_stage_are_refused() -> None:
    with pytest.raises(SpecError, match="share hosts of 8 GPUs evenly"):
        members_a_host(np.arange(12), 8)


@pytest.mark.parametrize(("members", "width"), [(8, 8), (2, 2), (16, 8), (4, 1)])
def test_a_gathering_sends_all_but_its_own_part_of_the_buffer(members: int, width: int) -> None:
    # hosts of `width` members: (hosts - 1)/hosts of a column over the NIC, and (width - 1)/width over NVLink
    gpus = np.arange(members) if width == 8 or members == width else np.arange(members) * 8
    flows, hosts = gathering(gpus, 8), members // width
    remote = flows.source // 8 != flows.target // 8
    for mask, share in ((remote, (hosts - 1) / hosts / width), (~remote, (width - 1) / width)):
        sent = np.bincount(flows.source[mask], flows.share[mask], gpus.max() + 1)[gpus]
        np.testing.assert_allclose(sent, share)


def test_tensor_and_context_groups_are_those_of_the_rank_order() -> None:
    # one stage group of TP4 CP2 EP8 on a host: tensor {0-3}, {4-7}; context {0, 4}, {1, 5}, ...
    shape = GroupShape(expert=8, tensor=4, context=2)
    held = [StageParameters(dense=1.0, expert=0.0)]
    batches = {b.key[0]: b.transfers for b in step_batches(
        np.arange(8).reshape(1, 1, 8), 8, RoutingStatistics(1, 1.0, 5.0), held, [(0,)], [], shape)}  # fmt: skip
    tensor, context = batches["tensor"], batches["context"]
    assert set(zip(tensor.source // 4, tensor.target // 4, strict=True)) == {(0, 0), (1, 1)}
    assert len(tensor) == 2 * 4 * 3
    assert (context.source % 4 == context.target % 4).all()
    assert len(context) == 4 * 2


def test_context_over_hosts_is_a_ring_with_a_step_for_each_other_host() -> None:
    # TP8 CP4 is four hosts: rings of four same-index GPUs, each passing 3/4 of the buffer on in three steps
    shape = GroupShape(expert=32, tensor=8, context=4)
    held = [StageParameters(dense=1.0, expert=0.0)]
    (found,) = (b for b in step_batches(np.arange(32).reshape(1, 1, 32), 8, None, held, [(0,)], [], shape)
                if b.key[0] == "context")  # fmt: skip
    assert found.steps == 3
    assert set((found.transfers.target - found.transfers.source).tolist()) == {8, -24}
    np.testing.assert_allclose(found.transfers.share, 3 / 4)


def test_divided_gradients_meet_only_ranks_with_the_same_part() -> None:
    # two hosts of TP4, four replicas: each part over two ranks of a host and two hosts
    placement = np.arange(16).reshape(1, 4, 4)
    held = [StageParameters(dense=0.0, expert=0.0, divided=1.0)]
    (batch,) = [b for b in step_batches(placement, 8, None, held, [(0,)], [], GroupShape(1, 4)) if
                b.key[0] == "gradient"]  # fmt: skip
    flows = batch.transfers
    assert (flows.source % 4 == flows.target % 4).all()
    remote = flows.source // 8 != flows.target // 8
    # half of it inside, half of the other half between two hosts
    np.testing.assert_allclose(np.bincount(flows.source[~remote], flows.share[~remote]), 1 / 2)
    np.testing.assert_allclose(np.bincount(flows.source[remote], flows.share[remote]), 1 / 2 / 2)


def test_layers_that_move_one_at_a_time_have_batches_of_their_own_both_ways() -> None:
    held = StageParameters(dense=2.0, expert=0.0)
    batches = step_batches(
        np.arange(16).reshape(1, 2, 8), 8, None, [held], [(0,)], [], GroupShape(1), [(0, "dense", held)]
    )
    keys = [batch.key for batch in batches]
    assert keys == [("gradient", 0), ("reduce dense", 0), ("gather dense", 0)]
    assert {float(batch.transfers.share.sum()) for batch in batches} == {
        float(batches[0].transfers.share.sum())
    }
