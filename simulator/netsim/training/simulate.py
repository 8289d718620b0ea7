"""One training step, from specs to times: the only place where the floors meet.

    specs -> plan, order, stages               what runs, in which order
          -> placement, tasks, exchanges       `assemble`: where, and what is sent
             operators to seconds              what the GPUs do meanwhile
          -> batches of flows, folded          what crosses the network
          -> executor on the fluid network     when

Modelled: every forward, backward and weight gradient of every layer, stage and micro-batch; every dispatch and
combine, pipeline send and gradient exchange as flows on the fabric; queues, waits and overlap; on request slow ranks
and uneven expert load (`variation`; by default all ranks of a stage group are alike). Left out: checkpoints and data
loading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError, StalledError
from netsim.execution.executor import execute
from netsim.faults.history import Strike, group_speeds, make_history, reaction_s, resolve, speed_colours
from netsim.faults.stall import why_stalled
from netsim.faults.states import path_changes
from netsim.network.fluid import FluidNetwork
from netsim.specs.case import Case
from netsim.specs.faults import FaultSpec
from netsim.specs.hardware import part_of_host
from netsim.topologies import Topology, build
from netsim.training.assembly import Job, Step, assemble
from netsim.training.ranks import make_ranks, rank_colours
from netsim.training.touched import touches
from netsim.training.traffic import make_traffic
from netsim.workloads.layers import has_experts
from netsim.workloads.plan import Plan, Scaling, make_plan
from netsim.workloads.stages import job_order, job_stages
from netsim.workloads.tasks import TaskGraph
from netsim.workloads.variation import Variation, draw_variation

__all__ = ["Job", "Step", "degraded_capacity", "is_touched", "lay_out", "simulate", "simulate_job"]


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
    made = assemble(case, topology, job, seed, graph=graph, free=free)
    plan, placement, mode = job.plan, made.placement, case.topology.routing
    slowdown = case.workload.communication.slowdown
    if strikes and slowdown != 1.0:
        raise NetsimError("communication.slowdown is not modelled together with faults")
    capacity = degraded_capacity(topology, degraded or {}) / slowdown
    variation = _variation(case, job, seed)
    slow = group_speeds(strikes, placement.reshape(plan.pipeline * plan.groups, -1))
    if variation is not None and slow:
        raise NetsimError("faults of GPUs and hosts are not modelled together with `variation` between ranks")
    colours = (
        speed_colours(slow, placement.shape) if variation is None else rank_colours(variation, placement)
    )
    history = make_history(topology, strikes, reaction_s(case.topology, mode)) if strikes else None
    traffic = make_traffic(
        topology, made.batches, placement.shape, mode, seed, folded, capacity, colours, history
    )

    program, instances = made.program(traffic)
    fluid = FluidNetwork(traffic.capacity, traffic.table)
    report = (lambda done: progress(done, len(program))) if progress else None
    timing = made.timing
    ranks = None if variation is None else make_ranks(
        variation, placement, made.graph, traffic, instances, program.seconds, timing.mlp_s, timing.transfer_cost,
        made.routing, case.hardware,
    )  # fmt: skip
    speeds = {int(traffic.actor_class.flat[group]): speed for group, speed in slow.items()}
    try:
        execution = execute(program, fluid, report, ranks, path_changes(history, traffic.layers), speeds)
    except StalledError as error:
        raise StalledError(why_stalled(topology, history, traffic.layers, fluid) or str(error)) from None
    return made.step(
        traffic, (program, instances), execution, fluid, folded=folded, ranks=ranks, strikes=strikes
    )


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
