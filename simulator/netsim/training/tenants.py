"""Several jobs on one fabric: each on hosts of its own, all on the same links.

The flows of all jobs are one table on one fluid network; the programs of the jobs run side by side and know nothing of
each other, so all that one does to another it does through links. All start at once and run one step. A job with the
same hosts and nobody else is its own measure: the same flows over the same paths.

Left out: jobs that start at other times or repeat their step, traffic of storage, and variation or faults beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError, SpecError
from netsim.execution.executor import Execution, Lag, Program, execute
from netsim.network.fluid import FluidNetwork
from netsim.specs.case import Case
from netsim.specs.jobs import JobSpec
from netsim.specs.workload import VariationSpec
from netsim.topologies import Topology
from netsim.training.assembly import Assembly, Job, Step, assemble
from netsim.training.traffic import Traffic, make_traffic, wire_bytes
from netsim.units import whole

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tenant:
    """A job and its hosts. name : of the job; hosts : (n,) numbers, ascending"""

    name: str
    case: Case
    job: Job
    hosts: Ints


def assign_hosts(jobs: Sequence[JobSpec], hosts: int, gpus_per_host: int, place_name: str) -> list[Ints]:
    """The hosts of each job: those that name theirs first, then contiguous ones in order, then interleaved ones.

    Raises SpecError for hosts that are not there, taken twice, too few, or more than are free.
    """
    need = []
    for n, job in enumerate(jobs):
        if job.gpus % gpus_per_host:
            raise SpecError(
                place_name, f"jobs.{n}.gpus", job.gpus, f"must be whole hosts of {gpus_per_host} GPUs"
            )
        need.append(job.gpus // gpus_per_host)
    if sum(need) > hosts:
        rule = f"the jobs take {sum(need)} hosts, but the cluster has {hosts}"
        raise SpecError(place_name, "", None, rule)
    owner = np.full(hosts, -1, dtype=np.int64)
    for n, job in enumerate(jobs):
        if job.hosts is not None:
            own = _listed(job.hosts, hosts, f"{place_name}: jobs.{n}.hosts")
            if own.size != need[n]:
                rule = f"must be {need[n]} hosts for {job.gpus} GPUs, not {own.size}"
                raise SpecError(place_name, f"jobs.{n}.hosts", job.hosts, rule)
            taken = np.flatnonzero(owner[own] >= 0)
            if taken.size:
                rule = f"host {own[taken[0]]} already belongs to job {jobs[owner[own[taken[0]]]].name!r}"
                raise SpecError(place_name, f"jobs.{n}.hosts", job.hosts, rule)
            owner[own] = n
    for n, job in enumerate(jobs):
        if job.hosts is None and job.placement == "contiguous":
            owner[np.flatnonzero(owner < 0)[: need[n]]] = n
    dealt = [n for n, job in enumerate(jobs) if job.hosts is None and job.placement == "interleaved"]
    # the k-th of a job's m hosts comes at (k + 1/2) / m of the way through them all
    turns = sorted(((k + 0.5) / need[n], n) for n in dealt for k in range(need[n]))
    free = np.flatnonzero(owner < 0)[: len(turns)]
    owner[free] = [n for _, n in turns]
    return [np.flatnonzero(owner == n) for n in range(len(jobs))]


def _listed(text: str, hosts: int, where: str) -> Ints:
    """Hosts of "0-15,32"."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = whole(first), whole(last if dash else first)
        if low is None or high is None:
            raise NetsimError(f"{where} = {text[:80]!r}, must be numbers and ranges such as 0-15,32")
        if high >= hosts:
            raise NetsimError(f"{where} = {text[:80]!r}, must name different hosts from 0 to {hosts - 1}")
        found += range(low, high + 1)
    if not found or max(found) >= hosts or len(set(found)) < len(found):
        raise NetsimError(f"{where} = {text!r}, must name different hosts from 0 to {hosts - 1}")
    return np.array(sorted(found), dtype=np.int64)


def simulate_together(
    topology: Topology, tenants: Sequence[Tenant], *, seed: int = 0, folded: bool = True
) -> list[Step]:
    """A step of every tenant, all at once on one fabric.

    Raises NetsimError for a tenant with a variation between ranks or a slowdown, or when a step stalls.
    """
    laid = [_lay(topology, tenant, seed) for tenant in tenants]
    traffic = _all_traffic(topology, laid, seed, folded)
    fluid = FluidNetwork(traffic.capacity, traffic.table)
    own = _split(topology, traffic, laid)
    made = [one.program(mine) for one, mine in zip(laid, own, strict=True)]
    execution = execute(_join([program for program, _ in made]), fluid)
    steps, first = [], 0
    for one, mine, (program, instances) in zip(laid, own, made, strict=True):
        part = slice(first, first + len(program))
        first += len(program)
        stall = None if execution.stall_s is None else execution.stall_s[part]
        times = Execution(execution.start_s[part], execution.end_s[part], execution.bottleneck[part], stall)
        steps.append(one.step(mine, (program, instances), times, fluid, folded=folded))
    return steps


def _lay(topology: Topology, tenant: Tenant, seed: int) -> Assembly:
    workload = tenant.case.workload
    if workload.variation != VariationSpec():
        raise NetsimError(f"job {tenant.name!r}: variation between ranks is not modelled on a shared cluster")
    if workload.communication.slowdown != 1.0:
        raise NetsimError(
            f"job {tenant.name!r}: communication.slowdown is not modelled on a shared cluster: links are of all jobs"
        )
    return assemble(tenant.case, topology, tenant.job, seed, hosts=tenant.hosts)


def _all_traffic(topology: Topology, laid: Sequence[Assembly], seed: int, folded: bool) -> Traffic:
    """The flows of all tenants; stage groups of two tenants are never folded together."""
    batches, colours, first = [], [], 0
    for n, one in enumerate(laid):
        pipeline, groups, _ = one.placement.shape
        for batch in one.batches:
            members = tuple((actor + first, role) for actor, role in batch.members)
            batches.append(replace(batch, key=(f"{n}/{batch.key[0]}", batch.key[1]), members=members))
        colours.append(first + np.repeat(np.arange(pipeline), groups))
        first += pipeline * groups
    every = np.concatenate(colours)[None, :]
    shape = (1, every.size, laid[0].placement.shape[2])
    mode = laid[0].case.topology.routing
    return make_traffic(topology, batches, shape, mode, seed, folded, colours=every)


def _split(topology: Topology, traffic: Traffic, laid: Sequence[Assembly]) -> list[Traffic]:
    """Each tenant's view: its own stage groups and batches, on the network of all."""
    found, first = [], 0
    for n, one in enumerate(laid):
        pipeline, groups, ranks = one.placement.shape
        actors = traffic.actor_class[0, first : first + pipeline * groups]
        _, at, own, count = np.unique(actors, return_index=True, return_inverse=True, return_counts=True)
        keys = {batch.key: (f"{n}/{batch.key[0]}", batch.key[1]) for batch in one.batches}
        ids = {key: traffic.batch_ids[shared] for key, shared in keys.items()}
        wire = np.array(traffic.wire_bytes_of)
        wire[list(ids.values())] = wire_bytes(topology, one.batches, ranks)
        found.append(
            replace(
                traffic,
                batch_ids=ids,
                latency_s={key: traffic.latency_s[shared] for key, shared in keys.items()},
                actor_class=own.reshape(pipeline, groups),
                representative=np.column_stack(np.unravel_index(at, (pipeline, groups))),
                multiplicity=count,
                wire_bytes_of=wire,
                flows=sum(len(batch.transfers) for batch in one.batches),
            )
        )
        first += pipeline * groups
    return found


def _join(programs: Sequence[Program]) -> Program:
    """Programs side by side."""
    tasks = np.cumsum([0] + [len(p) for p in programs])
    actors = np.cumsum([0] + [int(p.actor.max()) + 1 for p in programs])
    transfers = np.cumsum([0] + [len(p.transfers) for p in programs])
    joints = np.cumsum([0] + [len(p.joint_size) for p in programs])
    waits = np.cumsum([0] + [p.wait_ids.size for p in programs])
    return Program(
        actor=np.concatenate([p.actor + a for p, a in zip(programs, actors, strict=False)]),
        queue=np.concatenate([p.queue for p in programs]),
        seconds=np.concatenate([p.seconds for p in programs]),
        transfer=np.concatenate(
            [np.where(p.transfer < 0, -1, p.transfer + t) for p, t in zip(programs, transfers, strict=False)]
        ),
        wait_ptr=np.concatenate([[0], *(p.wait_ptr[1:] + w for p, w in zip(programs, waits, strict=False))]),
        wait_ids=np.concatenate([p.wait_ids + t for p, t in zip(programs, tasks, strict=False)]),
        transfers=[
            replace(t, rendezvous=t.rendezvous + int(j)) if t.rendezvous >= 0 else t
            for p, j in zip(programs, joints, strict=False)
            for t in p.transfers
        ],
        joint_size=[size for p in programs for size in p.joint_size],
        early={
            t + n: _moved(lag, n)
            for p, n in zip(programs, tasks.tolist(), strict=False)
            for t, lag in p.early.items()
        },
        late={
            t + n: tuple(_moved(lag, n) for lag in lags)
            for p, n in zip(programs, tasks.tolist(), strict=False)
            for t, lags in p.late.items()
        },
        slope=np.concatenate([np.zeros(len(p)) if p.slope is None else p.slope for p in programs])
        if any(p.slope is not None for p in programs)
        else None,
    )


def _moved(lag: Lag, tasks: int) -> Lag:
    return Lag(lag.other + tasks, lag.seconds)
