"""A job on a fabric before its network: what runs where, what it sends, and how long its blocks take.

`assemble` is the one place where a job becomes tasks, exchanges and durations: for a job alone (`simulate`), and for
each of several on one fabric (`tenants`), which then share the flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.step import Batch, StepExchanges, step_batches
from netsim.execution.executor import Execution, Program
from netsim.faults.history import Strike
from netsim.network.fluid import FluidNetwork
from netsim.specs.case import Case
from netsim.topologies import Topology
from netsim.training.exchanges import make_exchanges, norm_s, transfer_works
from netsim.training.placement import place
from netsim.training.program import Costs, Instances, make_program
from netsim.training.ranks import Ranks
from netsim.training.timing import Timing, make_timing
from netsim.training.traffic import Traffic
from netsim.workloads.adapter import trained
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.moe import RoutingStatistics, routing_statistics
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Order
from netsim.workloads.stages import Stage
from netsim.workloads.tasks import Division, TaskGraph, build_tasks


@dataclass(frozen=True)
class Job:
    """What runs: the plan, the order of chunks on every rank, and the layers of every stage."""

    plan: Plan
    order: Order
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Step:
    """A simulated step: what was asked, what it was made of, and when everything happened."""

    case: Case
    seed: int
    plan: Plan
    topology: Topology
    stages: tuple[Stage, ...]
    routing: RoutingStatistics
    graph: TaskGraph
    traffic: Traffic
    program: Program
    instances: Instances
    execution: Execution
    fluid: FluidNetwork
    timing: Timing
    memory: tuple[Memory, ...]
    folded: bool
    ranks: Ranks | None = None
    strikes: tuple[Strike, ...] = ()


@dataclass(frozen=True)
class Assembly:
    """A job that is laid out. placement : (pipeline, groups, ranks) GPUs; batches : its flows, not yet routed"""

    case: Case
    job: Job
    topology: Topology
    seed: int
    placement: NDArray[np.int64]
    graph: TaskGraph
    routing: RoutingStatistics
    exchanges: StepExchanges
    batches: list[Batch]
    timing: Timing

    def program(self, traffic: Traffic) -> tuple[Program, Instances]:
        """The tasks of the classes that stand for all stage groups in `traffic`."""
        timing = self.timing
        costs = Costs(timing.transfer_cost, timing.sms, self.exchanges)
        return make_program(self.graph, traffic, timing.compute_s, costs, timing.lag_s, timing.slope)

    def step(
        self,
        traffic: Traffic,
        made: tuple[Program, Instances],
        execution: Execution,
        fluid: FluidNetwork,
        *,
        folded: bool,
        ranks: Ranks | None = None,
        strikes: Sequence[Strike] = (),
    ) -> Step:
        """What came of it."""
        job = self.job
        memory = memory_by_rank(self.case.workload, job.plan, job.order, job.stages, self.routing.devices)
        return Step(
            self.case, self.seed, job.plan, self.topology, job.stages, self.routing, self.graph, traffic, *made,
            execution, fluid, self.timing, tuple(memory), folded, ranks, tuple(strikes),
        )  # fmt: skip


def assemble(
    case: Case,
    topology: Topology,
    job: Job,
    seed: int,
    *,
    hosts: NDArray[np.int64] | None = None,
    graph: TaskGraph | None = None,
    free: frozenset[str] = frozenset(),
) -> Assembly:
    """Lay a job out.

    hosts : (n,) those of the job, on a fabric that it shares; all by default; graph : its tasks, where another
    simulation of the same job has made them; free : transfers that move nothing and take no time
    """
    workload, plan, per_host = case.workload, job.plan, case.hardware.gpus_per_host
    placement = place(plan, per_host, workload.placement, seed)
    if hosts is not None:
        placement = hosts[placement // per_host] * per_host + placement % per_host
    graph = build_tasks(job.order, job.stages, Division.of(plan, workload)) if graph is None else graph
    routing = routing_statistics(workload.model.moe, plan.expert, per_host, seed)
    held = [trained(workload.model, workload.adapter, stage, plan) for stage in job.stages]
    exchanges = make_exchanges(case, topology, plan, placement, graph, held, free)
    by_kernel = workload.model.moe is not None and workload.communication.dispatcher == "deepep"
    batches = step_batches(exchanges, transfer_works(graph), routing if by_kernel else None)
    norm = norm_s(exchanges.library, topology, plan.gpus)
    timing = make_timing(case, norm, plan, held, graph.holders, free)
    return Assembly(case, job, topology, seed, placement, graph, routing, exchanges, batches, timing)
