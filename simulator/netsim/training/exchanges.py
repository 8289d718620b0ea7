"""What the transfers of a training step ask of the collective library: kinds, sizes, and algorithms that a job forces.

    tensor_gather, context_gather     all-gather of the whole buffer
    tensor_scatter, context_scatter   reduce-scatter of it
    send_forward, send_backward       send/receive of a rank's activations
    send_embedding                    send/receive of the gradients of a table that two stages hold
    reduce_scatter, all_reduce        of the gradients that a rank holds, or of one layer's
    all_gather, parameter_gather      of the parameters

The gradient norm is an all-reduce of one number over all ranks, which costs latency alone. Dispatch and combine are in
`netsim.training.timing`: the compute profile has measured their kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.library import AUTO, Library, Links, algorithms
from netsim.collectives.overhead import Paths
from netsim.collectives.step import Ask, GroupShape, StepExchanges
from netsim.errors import NetsimError, SpecError
from netsim.specs import load
from netsim.specs.case import Case
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import Topology
from netsim.workloads.adapter import trained
from netsim.workloads.exchanges import context_bytes, tensor_bytes
from netsim.workloads.holding import StageParameters
from netsim.workloads.model import layer_parameters
from netsim.workloads.moe import value_bytes
from netsim.workloads.plan import Plan
from netsim.workloads.tasks import (
    CONTEXT_TRANSFERS,
    EXPERT_TRANSFERS,
    JOINT,
    REDUCTIONS,
    SENDS,
    TENSOR_TRANSFERS,
    TaskGraph,
    Work,
)

#: kinds of collectives that `communication` of a job may force an algorithm of
FORCED = ("all_reduce", "reduce_scatter", "all_gather", "send_recv")
_NORM_BYTES = 4.0


def make_library(case: Case, topology: Topology) -> Library:
    """The library that a job names, with the algorithms that it forces.

    Raises SpecError for an algorithm that the library does not have.
    """
    spec = case.workload.communication
    forced = {kind: getattr(spec, kind) for kind in FORCED if getattr(spec, kind) != AUTO}
    for kind, name in forced.items():
        try:
            algorithms(kind, name)
        except NetsimError as error:
            raise SpecError(case.workload.name, f"communication.{kind}", name, str(error)) from None
    return Library(load(ProtocolSpec, "protocol", spec.library), Links.of(topology), forced)


def make_exchanges(
    case: Case,
    topology: Topology,
    plan: Plan,
    placement: NDArray[np.int64],
    graph: TaskGraph,
    held: Sequence[StageParameters],
    free: frozenset[str] = frozenset(),
) -> StepExchanges:
    """The exchanges of a job. held : per stage; free : transfers that move nothing and take no time.

    Raises SpecError for an unknown library or algorithm.
    """
    asks = _Asks(case, plan, held, free)
    shape = GroupShape(plan.expert, plan.tensor, plan.context)
    library = make_library(case, topology)
    slowdown = case.workload.communication.slowdown
    return StepExchanges(library, placement, topology.gpus_per_host, shape, graph.holders, asks.of, slowdown)


def transfer_works(graph: TaskGraph) -> list[tuple[Work, int]]:
    """The transfers of each rank, as (work, rank), each once."""
    pairs = sorted(set(zip(graph.rank, graph.work, strict=True)))
    moves = (*EXPERT_TRANSFERS, *TENSOR_TRANSFERS, *CONTEXT_TRANSFERS, *SENDS, *JOINT)
    return [(graph.works[work], rank) for rank, work in pairs if graph.works[work].name in moves]


def norm_s(library: Library, topology: Topology, gpus: int) -> float:
    """Time of the gradient norm: one number over all ranks, between hosts over the farthest two NICs of a plane."""
    width = min(topology.gpus_per_host, gpus)
    if gpus == 1:
        return 0.0
    latency = topology.spec.latency
    far = latency.endpoint + topology.switch_hops[-1] * latency.switch_hop
    chosen = library.choose("all_reduce", gpus // width, width, _NORM_BYTES)
    return library.fixed_s(chosen, Paths(library.links.paths.local_s, far))


class _Asks:
    """The collectives that each task stands for."""

    def __init__(self, case: Case, plan: Plan, held: Sequence[StageParameters], free: frozenset[str]) -> None:
        self.job, self.plan, self.held, self.free = case.workload, plan, held, free

    def of(self, work: Work) -> tuple[Ask, ...]:
        """Those of one task; none where nothing moves, or another module knows."""
        job, plan, spec = self.job, self.plan, self.job.communication
        if work.name in self.free or work.name == "grad_norm":
            return ()
        way = "all_gather" if work.name.endswith("gather") else "reduce_scatter"
        if work.name == "send_embedding":
            rows = layer_parameters(job.model, "embedding", plan.tensor).total
            return (Ask("send", "send_recv", rows * value_bytes(spec.gradient)),)
        if work.name in SENDS:
            return (
                Ask("send", "send_recv", plan.own_tokens * job.model.hidden * value_bytes(spec.pipeline)),
            )
        if work.name in EXPERT_TRANSFERS:  # every copy, where no kernel of the profile moves tokens
            precision = spec.dispatch if "dispatch" in work.name else spec.combine
            each = job.model.hidden * value_bytes(precision) * job.model.experts.top_k
            return (Ask("experts", "all_to_all", plan.own_tokens * each),)
        if work.name in TENSOR_TRANSFERS:
            size = tensor_bytes(job.model, plan, work.name, work.block, work.phase)
            return (Ask("tensor", way, size),)
        if work.name in CONTEXT_TRANSFERS:
            return (Ask("context", way, context_bytes(job.model, plan)),)
        kind = work.name if work.name in REDUCTIONS else "all_gather"
        each = value_bytes(spec.gradient if work.name in REDUCTIONS else spec.parameter)
        held = self._held(work)
        return (
            Ask("dense", kind, held.dense * each),
            Ask("expert", kind, held.expert * each),
            Ask("divided", kind, held.divided * each),
        )

    def _held(self, work: Work) -> StageParameters:
        """What a rank holds of the stage, or of one of its layers where ZeRO moves a layer at a time."""
        if work.layer >= 0:
            return trained(self.job.model, self.job.adapter, (work.block,), self.plan)
        return self.held[work.stage]
