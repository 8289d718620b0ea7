"""One training step, from specs to times: the only place where the floors meet.

    specs -> plan, fabric, placement           what runs where
          -> schedule, stages, tasks, memory   in which order, and whether it fits
          -> batches of flows, folded          what crosses the network
          -> operators to seconds              what the GPUs do meanwhile
          -> executor on the fluid network     when

Modelled: every forward, backward and weight gradient of every layer, stage and micro-batch; every dispatch and
combine, pipeline send and gradient exchange as flows on the fabric; queues, waits and overlap; on request slow ranks
and uneven expert load (`variation`; by default all ranks of a stage group are alike). Left out: checkpoints and data
loading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.step import step_batches
from netsim.errors import NetsimError, StalledError
from netsim.execution.executor import Execution, Program, execute
from netsim.faults.history import Strike, group_speeds, make_history, reaction_s, resolve, speed_colours
from netsim.faults.stall import why_stalled
from netsim.faults.states import path_changes
from netsim.network.fluid import FluidNetwork
from netsim.specs.case import Case
from netsim.specs.faults import FaultSpec
from netsim.specs.hardware import part_of_host
from netsim.topologies import Topology, build
from netsim.training.exchanges import make_exchanges, norm_s, transfer_works
from netsim.training.placement import place
from netsim.training.program import Costs, Instances, make_program
from netsim.training.ranks import Ranks, make_ranks, rank_colours
from netsim.training.timing import Timing, make_timing
from netsim.training.touched import touches
from netsim.training.traffic import Traffic, make_traffic
from netsim.workloads.adapter import trained
from netsim.workloads.layers import has_experts
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.moe import RoutingStatistics, routing_statistics
from netsim.workloads.plan import Plan, Scaling, make_plan
from netsim.workloads.schedules import Order
from netsim.workloads.stages import Stage, job_order, job_stages
from netsim.workloads.tasks import Division, TaskGraph, build_tasks
from netsim.workloads.variation import Variation, draw_variation


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


def simulate(
    case: Case,
    gpus: int,
    *,
    scaling: Scaling = "weak",
    seed: int = 0,
    folded: bool = True,
    degraded: Mapping[int, float] | None = None,
    faults: Sequence[FaultSpec] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Step:
    """Simulate one step of the case's workload on its fabric with `gpus` GPUs.

    `degraded` maps link ids to the fraction of their capacity that is left; `faults` happen while the step runs (which
    takes a fault-free step before; `netsim.analysis.impact` has both, and each fault alone); `progress` is told
    (done, all) tasks.

    Raises SpecError when the fabric, the plan or the schedule cannot be built, NetsimError for a fault in a part that
    does not exist, StalledError when the step can never end.
    """
    case = replace(case, hardware=part_of_host(case.hardware, gpus))
    topology = build(case.topology, case.hardware, gpus)
    job = lay_out(case, make_plan(case.workload, gpus, scaling))
    step = simulate_job(case, topology, job, seed=seed, folded=folded, degraded=degraded, progress=progress)
    strikes = resolve(topology, faults, float(step.execution.end_s.max()))
    if not is_touched(step, strikes):
        return step
    return simulate_job(
        case, topology, job, seed=seed, folded=folded, degraded=degraded, strikes=strikes, progress=progress
    )


def is_touched(step: Step, strikes: Sequence[Strike]) -> bool:
    """Whether one of the faults touches anything that a step without them did."""
    fabric = step.case.topology
    reaction = reaction_s(fabric, fabric.routing)
    return touches(strikes, reaction, step.topology, step.traffic, step.program, step.execution)


@dataclass(frozen=True)
class Job:
    """What runs: the plan, the order of chunks on every rank, and the layers of every stage."""

    plan: Plan
    order: Order
    stages: tuple[Stage, ...]


def lay_out(case: Case, plan: Plan) -> Job:
    """The chunks of the case's schedule and the layers of its stages."""
    order = job_order(case.workload, plan)
    return Job(plan, order, job_stages(case.workload, order))


def simulate_job(
    case: Case,
    topology: Topology,
    job: Job,
    *,
    seed: int = 0,
    folded: bool = True,
    degraded: Mapping[int, float] | None = None,
    free: frozenset[str] = frozenset(),
    strikes: Sequence[Strike] = (),
    graph: TaskGraph | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Step:
    """Simulate one step of any job that is laid out, such as a part of a training step; see `simulate`.

    `free` names transfers that move nothing and take no time, for what-if questions; `strikes` are faults, resolved;
    `graph` is the task graph of the same job, where another simulation of it has made it.
    """
    workload, plan, hardware = case.workload, job.plan, case.hardware
    placement = place(plan, hardware.gpus_per_host, workload.placement, seed)
    division = Division.of(plan, workload)
    graph = build_tasks(job.order, job.stages, division) if graph is None else graph

    routing = routing_statistics(workload.model.moe, plan.expert, hardware.gpus_per_host, seed)
    held = [trained(workload.model, workload.adapter, stage, plan) for stage in job.stages]
    exchanges = make_exchanges(case, topology, plan, placement, graph, held, free)
    by_kernel = workload.model.moe is not None and workload.communication.dispatcher == "deepep"
    batches = step_batches(exchanges, transfer_works(graph), routing if by_kernel else None)
    slowdown = workload.communication.slowdown
    if strikes and slowdown != 1.0:
        raise NetsimError("communication.slowdown is not modelled together with faults")
    capacity = degraded_capacity(topology, degraded or {}) / slowdown
    variation = _variation(case, job, seed)
    mode, slow = (
        case.topology.routing,
        group_speeds(strikes, placement.reshape(plan.pipeline * plan.groups, -1)),
    )
    if variation is not None and slow:
        raise NetsimError("faults of GPUs and hosts are not modelled together with `variation` between ranks")
    colours = (
        speed_colours(slow, placement.shape) if variation is None else rank_colours(variation, placement)
    )
    history = make_history(topology, strikes, reaction_s(case.topology, mode)) if strikes else None
    traffic = make_traffic(topology, batches, placement.shape, mode, seed, folded, capacity, colours, history)

    memory = memory_by_rank(workload, plan, job.order, job.stages, routing.devices)
    norm = norm_s(exchanges.library, topology, plan.gpus)
    timing = make_timing(case, norm, plan, held, graph.holders, free)
    costs = Costs(timing.transfer_cost, timing.sms, exchanges)
    program, instances = make_program(graph, traffic, timing.compute_s, costs, timing.lag_s, timing.slope)
    fluid = FluidNetwork(traffic.capacity, traffic.table)
    report = (lambda done: progress(done, len(program))) if progress else None
    ranks = None if variation is None else make_ranks(
        variation, placement, graph, traffic, instances, program.seconds, timing.mlp_s, timing.transfer_cost, routing,
        hardware,
    )  # fmt: skip
    speeds = {int(traffic.actor_class.flat[group]): speed for group, speed in slow.items()}
    try:
        execution = execute(program, fluid, report, ranks, path_changes(history, traffic.layers), speeds)
    except StalledError as error:
        raise StalledError(why_stalled(topology, history, traffic.layers, fluid) or str(error)) from None
    return Step(
        case, seed, plan, topology, job.stages, routing, graph, traffic, program, instances, execution, fluid,
        timing, tuple(memory), folded, ranks, tuple(strikes),
    )  # fmt: skip


def _variation(case: Case, job: Job, seed: int) -> Variation | None:
    """What differs between the ranks of the job, layers numbered as its tasks number them."""
    layers = [n for n, kind in enumerate(kind for stage in job.stages for kind in stage) if has_experts(kind)]
    spec, name = case.workload.variation, case.workload.name
    return draw_variation(spec, name, job.plan, case.workload.model.moe, layers, seed)


def degraded_capacity(topology: Topology, degraded: Mapping[int, float]) -> NDArray[np.float64]:
    """Capacities of all links, bytes/s, after some have lost a part of theirs."""
    capacity = np.array(topology.capacity_bytes_per_s)
    for link, left in degraded.items():
        capacity[link] *= left
    return capacity
