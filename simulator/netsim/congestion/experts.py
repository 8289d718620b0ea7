"""Collectives as messages: what netsim prices as flows, sent packet by packet.

A plan's flows (`netsim.collectives`) become messages of whole bytes that start together, and run `repeats` times as
long; dispatch and combine count the tokens of every rank under a real or drawn load of the experts. Left out: what a
collective costs besides its bytes (launch, steps, messages), which is the same on both sides of a comparison.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.experts import routed_exchange
from netsim.collectives.plan import Group
from netsim.collectives.transfers import Transfers
from netsim.congestion.messages import Messages
from netsim.errors import NetsimError
from netsim.specs.workload import WorkloadSpec
from netsim.topologies import Topology
from netsim.workloads.expert_load import contiguous, parse_load, route_tokens
from netsim.workloads.moe import token_bytes


def messages_of(transfers: Transfers, unit_bytes: float, name: str) -> Messages:
    """Flows of a collective whose unit is so many bytes; what would be less than a byte is one.

    Flows of a sender begin behind its own place and go round, so that receivers are not hit in step.
    """
    size = np.maximum(1, np.rint(transfers.share * unit_bytes)).astype(np.int64)
    order = in_turn(transfers)
    return Messages.of(transfers.source[order], transfers.target[order], size[order], name)


def in_turn(transfers: Transfers) -> NDArray[np.int64]:
    """The order in which a collective's flows become messages."""
    span = int(max(transfers.source.max(), transfers.target.max())) + 1
    return np.lexsort(((transfers.target - transfers.source) % span, transfers.source))


def expert_messages(
    kind: str, topology: Topology, ranks: int, job: WorkloadSpec, tokens: int, load: str, seed: int
) -> Messages:
    """Dispatch or combine of one layer: `ranks`-way expert parallelism in each of the groups that fill the fabric.

    load : see `netsim.workloads.expert_load`

    Raises NetsimError for a job without experts, and widths that do not divide experts and GPUs.
    """
    moe = job.model.experts
    if moe is None:
        raise NetsimError(f"{job.name}: has no experts, so no {kind}")
    if ranks > topology.gpus or topology.gpus % ranks or moe.experts % ranks:
        raise NetsimError(f"--ranks {ranks}: must divide {moe.experts} experts and {topology.gpus} GPUs")
    rng = np.random.default_rng([seed, 0xE4])
    weights = parse_load("uniform" if load == "balanced" else load, moe.experts, rng)
    precision = job.communication.dispatch if kind == "dispatch" else job.communication.combine
    a_token = token_bytes(kind, job.model.hidden, moe.top_k, precision)
    parts = []
    for first in range(0, topology.gpus, ranks):
        group = Group.of(np.arange(first, first + ranks), topology.gpus_per_host)
        where = contiguous(moe.experts, ranks)
        routed = route_tokens(moe, where, ranks, topology.gpus_per_host, tokens, weights, "model", rng)
        plan = routed_exchange(group, routed, "normal", kind == "combine")
        parts.append(messages_of(plan.transfers, tokens * a_token, kind))
    if len(parts) == 1:
        return parts[0]
    source, target, size = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("source", "target", "size_bytes")
    )
    return Messages.of(source, target, size, kind)
