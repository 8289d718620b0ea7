"""Double binary trees: two trees over the hosts on every rail, each with half of the rail's part of the buffer.

A rank that is an inner node of one tree is a leaf of the other, so that reducing up and broadcasting down together
move at most 2 bytes per byte of buffer in and out of any rank, in 2 log2(hosts) steps. Inside a host the ranks form a
chain that ends at the rail's GPU, as in NCCL.

Left out: the tree that NCCL rebuilds around slow links. Source: Sanders, Speck and Träff, Two-tree algorithms for full
bandwidth broadcast, reduction and scan, Parallel Computing 2009; NCCL, src/graph/trees.cc.
"""

from __future__ import annotations

import numpy as np

from netsim.collectives.plan import Group, Ints, Plan
from netsim.collectives.transfers import Transfers


def parents(nodes: int) -> Ints:
    """Parent of each node of the first tree, -1 for the root: a binary tree in which odd nodes are leaves.

    >>> parents(6).tolist()
    [-1, 2, 4, 2, 0, 4]
    """
    node = np.arange(nodes)
    bit = node & -node  # lowest set bit
    up = (node ^ bit) | (bit << 1)
    return np.where(node == 0, -1, np.where(up < nodes, up, node ^ bit))


def both(nodes: int) -> tuple[Ints, Ints]:
    """Children and their parents in both trees; the second is the first mirrored (even) or shifted by one (odd)."""
    child = np.arange(1, nodes)
    parent = parents(nodes)[1:]

    def again(node: Ints) -> Ints:
        return (node + 1) % nodes if nodes % 2 else nodes - 1 - node

    return np.concatenate([child, again(child)]), np.concatenate([parent, again(parent)])


def _upward(group: Group) -> tuple[Ints, Ints, Ints]:
    """Source, target and relative share of the flows towards the roots, over all rails."""
    child, parent = both(group.hosts)
    rails = group.grid.T  # (width, hosts)
    turn = (np.arange(group.width)[:, None] + np.arange(group.width)[None, :]) % group.width
    chain = group.grid[:, turn]  # (hosts, rail, place): place 0 is the rail's GPU
    source = np.concatenate([rails[:, child].ravel(), chain[:, :, 1:].ravel()])
    target = np.concatenate([rails[:, parent].ravel(), chain[:, :, :-1].ravel()])
    return source, target, np.repeat([1, 2], [rails[:, child].size, chain[:, :, 1:].size])


def _plan(group: Group, both_ways: bool) -> Plan:
    source, target, halves = _upward(group)
    share = halves * 0.5 / group.width
    ends = (source, target) if both_ways else (target, source)
    if both_ways:
        ends, share = (np.concatenate([source, target]), np.concatenate([target, source])), np.tile(share, 2)
    ways = 2 if both_ways else 1
    depth = int(group.hosts).bit_length() - 1
    flows = Transfers(ends[0], ends[1], share, np.full(share.size, np.inf))
    return Plan(flows, local_steps=ways * (group.width - 1), remote_steps=ways * depth)


def all_reduce(group: Group) -> Plan:
    """Reduce to the roots and broadcast from them, both at once."""
    return _plan(group, both_ways=True)


def broadcast(group: Group) -> Plan:
    """Down from the roots; the one hop from the first rank to the second tree's root is left out."""
    return _plan(group, both_ways=False)
