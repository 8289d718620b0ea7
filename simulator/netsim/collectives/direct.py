"""Algorithms without a chain: everybody to everybody, in two levels where there are two.

all-to-all `pxn`      what GPU g owes to GPU i of another host goes over scale-up to GPU i of g's own host, and crosses
                      the fabric on rail i together with what the host's other GPUs owe: n/width - 1 flows a NIC
all-to-all `direct`   one flow a pair, routed as the fabric routes it (a fabric of planes forwards inside the host)
`nvls`                the scale-up switch adds up what the GPUs send and multicasts the sum: each sends its buffer and
                      a part of the result, and receives as much (NVLink SHARP, one host)
`hierarchical`        reduce-scatter inside the host, rings between same-index GPUs of the hosts, and back, pipelined
`one_host`            everybody to everybody over scale-up
send/receive          to the next rank as nccl-tests does, or to the rank half way round

Source: NVIDIA, Doubling all2all performance with NCCL 2.12 (PXN), 2022; Cho et al., BlueConnect, IBM JRD 2019.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netsim.collectives.plan import MAX_FLOWS, Group, Ints, Plan
from netsim.collectives.transfers import Transfers, join, two_level_rings
from netsim.errors import NetsimError


def _flows(source: Ints, target: Ints, share: float) -> Transfers:
    n = source.size
    return Transfers(source.ravel(), target.ravel(), np.full(n, share), np.full(n, np.inf))


def _apart(places: int, each: int = 1) -> tuple[Ints, Ints]:
    """All ordered pairs of different places.

    Raises NetsimError when they would be more flows than fit into memory.
    """
    if places * places * each > MAX_FLOWS:
        raise NetsimError(
            f"{places * (places - 1) * each:,} flows, at most {MAX_FLOWS:,}: make the groups smaller"
        )
    near, far = np.nonzero(~np.eye(places, dtype=bool))
    return near, far


def _inside(group: Group, share: float) -> Transfers:
    """From every rank to the others of its host."""
    near, far = _apart(group.width)
    return _flows(group.grid[:, near], group.grid[:, far], share)


def all_to_all_pxn(group: Group) -> Plan:
    """All-to-all with same-rail traffic only."""
    part = 1.0 / group.ranks
    near, far = _apart(group.hosts, group.width)
    wire = _flows(group.grid[near], group.grid[far], group.width * part)
    flows = join(wire, _inside(group, group.hosts * part))
    return Plan(flows, 1, local_steps=1, remote_steps=int(group.hosts > 1), messages=group.remote_peers,
                message_share=part)  # fmt: skip


def all_to_all_direct(group: Group) -> Plan:
    """All-to-all with one flow for each pair of ranks."""
    rank, part = group.grid.ravel(), 1.0 / group.ranks
    near, far = _apart(group.ranks)
    return Plan(_flows(rank[near], rank[far], part), 1, local_steps=int(group.hosts == 1),
                remote_steps=int(group.hosts > 1), messages=group.remote_peers, message_share=part)  # fmt: skip


def hierarchical_scatter(group: Group) -> Plan:
    """Reduce-scatter, or all-gather, in two levels."""
    return Plan(two_level_rings(group.grid), 1, int(group.width > 1), group.hosts - 1)


def hierarchical_all_reduce(group: Group) -> Plan:
    """Reduce-scatter, then all-gather, in two levels."""
    return Plan(two_level_rings(group.grid), 2, 2 * int(group.width > 1), 2 * (group.hosts - 1))


def one_host_scatter(group: Group) -> Plan:
    """Reduce-scatter, or all-gather, over scale-up.

    Raises NetsimError when the group spans hosts.
    """
    if group.hosts > 1:
        raise NetsimError(f"one_host: {group.ranks} ranks span {group.hosts} hosts")
    return Plan(_inside(group, 1.0 / group.ranks), 1, local_steps=1)


def one_host_all_reduce(group: Group) -> Plan:
    """Reduce-scatter, then all-gather, over scale-up."""
    once = one_host_scatter(group)
    return Plan(once.transfers, repeats=2, local_steps=2)


def nvls_all_reduce(group: Group) -> Plan:
    """All-reduce with the sum in the scale-up switch: 1 + 1/n bytes a byte out of each of n GPUs, and into it.

    As flows these bytes go evenly to the others, which loads every link of the scale-up fabric as multicast does.

    Raises NetsimError when the group spans hosts.
    """
    once = one_host_scatter(group)
    each = (1.0 + 1.0 / group.ranks) / (group.ranks - 1)
    flows = replace(once.transfers, share=np.full(len(once.transfers), each))
    return Plan(flows, local_steps=1, in_switch=True)


def _shifted(group: Group, by: int) -> Plan:
    rank = group.grid.ravel()
    crosses = group.hosts > 1
    return Plan(_flows(rank, np.roll(rank, -by), 1.0), 1, int(not crosses), int(crosses), int(crosses), 1.0)


def to_next(group: Group) -> Plan:
    """Every rank sends to the next, the last to the first."""
    return _shifted(group, 1)


def to_opposite(group: Group) -> Plan:
    """Every rank sends to the rank half way round."""
    return _shifted(group, group.ranks // 2)
