"""Every collective of a training step, as batches of flows: who takes part, and how large its unit is.

A batch is a set of flows that starts as one. Each stage group has one for its expert exchanges and one for
each other that it sends to; each stage has one for its gradients, shared by the ranks that hold the stage
(under a bidirectional schedule two, since parameters are held twice). The units: bytes of a rank's tokens for
expert exchanges, bytes of a rank's activations for sends, bytes per parameter for gradients.

Dense parameters are reduced over all ranks that hold the stage, in two levels; an expert's over the ranks that hold
the same experts, in rings. Source: ZeRO stage 1, Rajbhandari et al., SC 2020, arXiv 1910.02054.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.transfers import (
    Transfers,
    expert_exchange,
    join,
    point_to_point,
    rings,
    scaled,
    two_level_rings,
)
from netsim.errors import SpecError
from netsim.workloads.moe import RoutingStatistics

SENDER, RECEIVER, MEMBER = 1, 2, 3


@dataclass(frozen=True)
class Batch:
    """Flows that start together. `key` is (kind, stage group or stage); `members` are (stage group, role) pairs.

    `steps` is how many times the path latency is paid one after the other (the steps of a ring).
    """

    key: tuple[str, int]
    rank: int
    transfers: Transfers
    members: tuple[tuple[int, int], ...]
    steps: int = 1


@dataclass(frozen=True)
class StageParameters:
    """Parameters that one rank holds of a stage: replicated over the group, and of its own experts."""

    dense: float
    expert: float


def step_batches(
    placement: NDArray[np.int64],
    gpus_per_host: int,
    routing: RoutingStatistics,
    parameters: Sequence[StageParameters],
    holders: Sequence[Sequence[int]],
    routes: Sequence[tuple[int, int]],
) -> list[Batch]:
    """All batches of one step.

    placement : (pipeline, groups, expert) GPUs; parameters, holders : per stage; routes : (sender, receiver) ranks.
    """
    pipeline, groups, _ = placement.shape
    batches: list[Batch] = []
    for rank in range(pipeline):
        for group in range(groups):
            actor, gpus = rank * groups + group, placement[rank, group]
            exchange = expert_exchange(gpus, gpus_per_host, routing)
            batches.append(Batch(("expert", actor), rank, exchange, ((actor, MEMBER),)))
    for rank, target in routes:
        for group in range(groups):
            actor, other = rank * groups + group, target * groups + group
            flows = point_to_point(placement[rank, group], placement[target, group])
            ends = ((actor, SENDER), (other, RECEIVER))
            batches.append(Batch((f"send{target - rank:+}", actor), rank, flows, ends))
    for stage, held in enumerate(parameters):
        batches.append(_gradients(placement, gpus_per_host, stage, held, list(holders[stage])))
    return batches


def members_a_host(gpus: NDArray[np.int64], gpus_per_host: int) -> int:
    """How many of `gpus`, (n,) host by host, share each host.

    Raises SpecError when hosts hold different numbers of them: rings over hosts would be of different lengths.
    """
    host = gpus // gpus_per_host
    edges = np.flatnonzero(np.diff(host, prepend=-1, append=-1))
    counts = np.diff(edges)
    if len(set(counts.tolist())) > 1:
        rule = f"ranks of a stage must share hosts of {gpus_per_host} GPUs evenly, found {sorted(set(counts.tolist()))}"
        raise SpecError("placement", "GPUs of a stage", len(gpus), rule)
    return int(counts[0])


def _gradients(
    placement: NDArray[np.int64], gpus_per_host: int, stage: int, held: StageParameters, ranks: list[int]
) -> Batch:
    _, groups, expert = placement.shape
    # group by group, each with its copies at the other ranks: every group then has the same place in the ring;
    # groups that share a host stay together
    together = max(1, min(groups, gpus_per_host // expert))
    gpus = placement[ranks]
    if groups % together == 0:
        gpus = gpus.reshape(len(ranks), groups // together, together * expert).transpose(1, 0, 2)
    width = members_a_host(gpus.ravel(), gpus_per_host)
    dense = scaled(two_level_rings(gpus.reshape(-1, width)), held.dense)
    own_experts = scaled(rings(gpus.reshape(-1, expert)), held.expert)
    members = tuple((rank * groups + group, MEMBER) for rank in ranks for group in range(groups))
    steps = max(1, gpus.size // width - 1)
    return Batch(("gradient", stage), stage, join(dense, own_experts), members, steps)
