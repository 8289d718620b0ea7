"""Ring algorithms: every rank passes to its successor, over one ring a rail.

Ring c enters an even host at its GPU c and leaves at GPU c + 1, and an odd host the other way round, as NCCL pairs
rails: then every hop between hosts stays on a rail (with an odd number of hosts the last one cannot). Each of the
`width` rings carries an equal part of the buffer. Over n ranks:

    reduce-scatter, all-gather   n - 1 steps of size/n
    all-reduce                 2(n - 1) steps of size/n
    broadcast                  a chain: the whole buffer over every hop but the last, pipelined

Left out: reductions at a hop. Source: Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of
workstations, JPDC 2009; nccl-tests, doc/PERFORMANCE.md.
"""

from __future__ import annotations

import numpy as np

from netsim.collectives.plan import Group, Ints, Plan
from netsim.collectives.transfers import Transfers


def orders(group: Group) -> Ints:
    """Ranks in ring order, (width, ranks): row c is ring c.

    >>> orders(Group(np.array([[0, 1], [2, 3]]))).tolist()
    [[0, 1, 3, 2], [1, 0, 2, 3]]
    """
    ring, step = np.arange(group.width)[:, None], np.arange(group.width)[None, :]
    even, odd = (ring - step) % group.width, (ring + 1 + step) % group.width
    hosts = np.arange(group.hosts)[:, None]
    index = np.where(hosts[None] % 2 == 0, even[:, None, :], odd[:, None, :])
    return group.grid[hosts[None], index].reshape(group.width, group.ranks)


def _edges(group: Group, closed: bool, share: float) -> Transfers:
    order = orders(group)
    successor = np.roll(order, -1, axis=1)
    last = order.shape[1] if closed else order.shape[1] - 1
    source, target = order[:, :last].ravel(), successor[:, :last].ravel()
    return Transfers(source, target, np.full(source.size, share), np.full(source.size, np.inf))


def _around(group: Group, rounds: int, copied: float = 0.0) -> Plan:
    share = 1.0 / (group.ranks * group.width)
    remote = rounds * (group.hosts - 1)
    steps = rounds * (group.ranks - 1)
    return Plan(_edges(group, True, share), repeats=steps, local_steps=steps - remote, remote_steps=remote,
                copied=copied)  # fmt: skip


def scatter(group: Group) -> Plan:
    """Reduce-scatter, or all-gather: once around; a rank copies its own part from one buffer to the other."""
    return _around(group, 1, 1.0 / group.ranks)


def all_reduce(group: Group) -> Plan:
    """Reduce-scatter, then all-gather: twice around."""
    return _around(group, 2)


def broadcast(group: Group) -> Plan:
    """A pipelined chain from the first rank of each ring."""
    remote = group.hosts - 1
    share = 1.0 / group.width
    return Plan(_edges(group, False, share), local_steps=group.ranks - 1 - remote, remote_steps=remote)
