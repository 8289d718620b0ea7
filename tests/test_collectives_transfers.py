"""Flows of a collective: counting identities."""

import numpy as np
import pytest

from netsim.collectives import expert_exchange, point_to_point, rings, two_level_rings
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
