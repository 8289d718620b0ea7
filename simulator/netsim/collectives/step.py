"""Every collective of a training step, as batches of flows: who takes part, and how large its unit is.

A batch is a set of flows that starts as one. Each stage group has one for its expert exchanges, one for the gathers and
scatters of tensor parallelism, one for those of context parallelism, and one for each other stage group that it sends
to; each stage has one for its gradients, shared by the ranks that hold the stage (under a bidirectional schedule two,
since parameters are held twice), and under ZeRO stages 2 and 3 one for each kind of layer. The units: bytes of a
rank's tokens for expert exchanges, bytes of a rank's part of the activations for sends, of the whole gathered buffer
for tensor and context exchanges, bytes per parameter for gradients.

Parameters that every rank holds whole are reduced over all ranks that hold the stage, in two levels; those that tensor
parallelism divides over the ranks with the same part, in two levels; an expert's over the ranks that hold the same
experts, in rings. Gathering moves the same bytes the other way.

Source: ZeRO, Rajbhandari et al., SC 2020, arXiv 1910.02054, section 5; Korthikanti et al. 2022, arXiv 2205.05198;
Llama 3, arXiv 2407.21783, section 3.3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from netsim.workloads.holding import StageParameters as StageParameters
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
class GroupShape:
    """How the ranks of a stage group, in their order, are divided: tensor fastest, then context; `expert` in a row."""

    expert: int
    tensor: int = 1
    context: int = 1


def step_batches(
    placement: NDArray[np.int64],
    gpus_per_host: int,
    routing: RoutingStatistics | None,
    parameters: Sequence[StageParameters],
    holders: Sequence[Sequence[int]],
    routes: Sequence[tuple[int, int]],
    shape: GroupShape | None = None,
    by_layer: Sequence[tuple[int, str, StageParameters]] = (),
) -> list[Batch]:
    """All batches of one step.

    placement : (pipeline, groups, group) GPUs; routing : None without experts; parameters, holders : per stage;
    routes : (sender, receiver) ranks; by_layer : (stage, layer kind, parameters of one) that ZeRO moves one by one.
    """
    pipeline, groups, group_ranks = placement.shape
    shape = shape or GroupShape(group_ranks)
    batches: list[Batch] = []
    for rank in range(pipeline):
        for group in range(groups):
            actor, gpus = rank * groups + group, placement[rank, group]
            for kind, flows, steps in _exchanges(gpus, gpus_per_host, routing, shape):
                batches.append(Batch((kind, actor), rank, flows, ((actor, MEMBER),), steps))
    for rank, target in routes:
        for group in range(groups):
            actor, other = rank * groups + group, target * groups + group
            flows = point_to_point(placement[rank, group], placement[target, group])
            ends = ((actor, SENDER), (other, RECEIVER))
            batches.append(Batch((f"send{target - rank:+}", actor), rank, flows, ends))
    for stage, held in enumerate(parameters):
        key = ("gradient", stage)
        batches.append(_gradients(placement, gpus_per_host, key, stage, held, list(holders[stage]), shape))
    for stage, layer, held in by_layer:
        for way in ("reduce", "gather"):
            key = (f"{way} {layer}", stage)
            batches.append(
                _gradients(placement, gpus_per_host, key, stage, held, list(holders[stage]), shape)
            )
    return batches


def _exchanges(
    gpus: NDArray[np.int64], gpus_per_host: int, routing: RoutingStatistics | None, shape: GroupShape
) -> Iterator[tuple[str, Transfers, int]]:
    """(kind, flows, latency steps) of what the ranks of one stage group, (group,) GPUs, exchange in every layer."""
    if routing is not None:
        rows = gpus.reshape(-1, shape.expert)
        yield "expert", join(*(expert_exchange(row, gpus_per_host, routing) for row in rows)), 1
    if shape.tensor > 1:
        rows = gpus.reshape(-1, shape.tensor)
        yield "tensor", join(*(gathering(row, gpus_per_host) for row in rows)), 1
    if shape.context > 1:
        rows = gpus.reshape(-1, shape.context, shape.tensor).transpose(0, 2, 1).reshape(-1, shape.context)
        hosts = len(np.unique(rows[0] // gpus_per_host))
        yield "context", join(*(gathering(row, gpus_per_host) for row in rows)), max(1, hosts - 1)


def gathering(gpus: NDArray[np.int64], gpus_per_host: int) -> Transfers:
    """All-gather (or reduce-scatter) over a group, (n,) GPUs host by host; the unit is the bytes of the whole buffer.

    >>> flows = gathering(np.arange(4), 8)  # each of four on a host passes a quarter to each of the others
    >>> len(flows), float(flows.share.sum())
    (12, 3.0)
    """
    return two_level_rings(gpus.reshape(-1, members_a_host(gpus, gpus_per_host)))


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
    placement: NDArray[np.int64],
    gpus_per_host: int,
    key: tuple[str, int],
    stage: int,
    held: StageParameters,
    ranks: list[int],
    shape: GroupShape,
) -> Batch:
    _, groups, group_ranks = placement.shape
    # group by group, each with its copies at the other ranks: every group then has the same place in the ring;
    # groups that share a host stay together
    together = max(1, min(groups, gpus_per_host // group_ranks))
    gpus = placement[ranks]
    if groups % together == 0:
        gpus = gpus.reshape(len(ranks), groups // together, together * group_ranks).transpose(1, 0, 2)
    width = members_a_host(gpus.ravel(), gpus_per_host)
    parts = [scaled(two_level_rings(gpus.reshape(-1, width)), held.dense)] if held.dense else []
    if held.expert:
        parts.append(scaled(rings(gpus.reshape(-1, shape.expert)), held.expert))
    if held.divided:
        same_part = gpus.reshape(-1, width // shape.tensor, shape.tensor)
        for part in range(shape.tensor):
            parts.append(scaled(two_level_rings(same_part[:, :, part]), held.divided))
    members = tuple((rank * groups + group, MEMBER) for rank in ranks for group in range(groups))
    steps = max(1, gpus.size // width - 1)
    return Batch(key, stage, join(*parts), members, steps)
