"""From a task graph, seconds and traffic to the program that the executor runs, one copy per actor class.

The transfers of a task are looked up by what it does (`Work`): those of a stage group belong to it, gradients (and
parameters that are gathered) to all ranks that hold the stage. What the collective library runs costs what it says
(`netsim.collectives.step`); dispatch and combine cost their kernel's set-up and the idle latency of the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.step import Exchange, StepExchanges
from netsim.execution.executor import Lag, Program, Transfer
from netsim.training.traffic import Traffic
from netsim.workloads.graph import Mark, Tie
from netsim.workloads.tasks import EXCHANGES, JOINT, SENDS, TaskGraph, Work


@dataclass(frozen=True)
class TransferCost:
    """What the network does not know of a transfer: bytes of its unit, kernel rate, set-up."""

    unit_bytes: float
    kernel_bytes_per_s: float
    setup_s: float


class Costs(NamedTuple):
    """What transfers cost. cost : of one that is no collective of the library, else None; sms : that it holds."""

    cost: Callable[[Work], TransferCost | None]
    sms: Callable[[Work], int]
    exchanges: StepExchanges


@dataclass(frozen=True)
class Instances:
    """Which task of the graph, on which actor class, each instance of the program is."""

    task: NDArray[np.int64]
    actor: NDArray[np.int64]


def make_program(
    graph: TaskGraph,
    traffic: Traffic,
    compute_s: Callable[[Work], float],
    costs: Costs,
    lag_s: Callable[[Work, Work, Mark], float] | None = None,
    slope: Callable[[Work], float] | None = None,
) -> tuple[Program, Instances]:
    """One copy of each rank's tasks for every actor class of that rank.

    lag_s : seconds of a mark between a task and the one it is tied to; slope : how compute slows for an SM held
    """
    first, last = _rank_bounds(graph)
    actors = len(traffic.representative)
    ranks = traffic.representative[:, 0]
    lengths = last[ranks] - first[ranks]
    base = np.concatenate([[0], np.cumsum(lengths)])
    task = np.concatenate([np.arange(first[r], last[r]) for r in ranks])
    actor = np.repeat(np.arange(actors), lengths)
    shift = base[:-1] - first[ranks]  # task + shift[actor] = instance
    wait_ptr, wait_ids = _waits(graph, traffic, task, actor, shift)
    transfers = _Transfers(graph, traffic, costs)
    work_of_task = np.array(graph.work)[task]
    is_compute = np.array([_is_compute(work) for work in graph.works])
    seconds_of_work = np.array([compute_s(w) if _is_compute(w) else np.nan for w in graph.works])
    index = np.full(len(task), -1, dtype=np.int64)
    for instance in np.flatnonzero(~is_compute[work_of_task]).tolist():
        index[instance] = transfers.index(int(work_of_task[instance]), int(actor[instance]))
    early, late = _ties(graph, task, actor, shift, lag_s) if graph.late else ({}, {})
    program = Program(
        actor=actor,
        queue=np.array(graph.queue)[task],
        seconds=seconds_of_work[work_of_task],
        transfer=index,
        wait_ptr=wait_ptr,
        wait_ids=wait_ids,
        transfers=transfers.found,
        joint_size=transfers.joint_size,
        early=early,
        late=late,
        slope=None
        if slope is None
        else np.array([slope(w) if _is_compute(w) and w.name != "host" else 0.0 for w in graph.works])[
            work_of_task
        ],
    )
    return program, Instances(task, actor)


def _is_compute(work: Work) -> bool:
    return work.name not in EXCHANGES + SENDS + JOINT


def _rank_bounds(graph: TaskGraph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rank = np.array(graph.rank)
    return np.searchsorted(rank, np.arange(graph.ranks)), np.searchsorted(
        rank, np.arange(graph.ranks), side="right"
    )


def _waits(
    graph: TaskGraph,
    traffic: Traffic,
    task: NDArray[np.int64],
    actor: NDArray[np.int64],
    shift: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Waits between tasks become waits between instances: of the same stage-group column, whatever its class."""
    counts = np.array([len(w) for w in graph.waits])
    flat = np.array([w for waits in graph.waits for w in waits], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(counts)])
    per_instance = counts[task]
    ptr = np.concatenate([[0], np.cumsum(per_instance)])
    within = np.arange(ptr[-1]) - np.repeat(ptr[:-1], per_instance)
    waited = flat[np.repeat(start[task], per_instance) + within]
    group = traffic.representative[np.repeat(actor, per_instance), 1]
    waited_actor = traffic.actor_class[np.array(graph.rank)[waited], group]
    return ptr, waited + shift[waited_actor]


def _ties(
    graph: TaskGraph,
    task: NDArray[np.int64],
    actor: NDArray[np.int64],
    shift: NDArray[np.int64],
    lag_s: Callable[[Work, Work, Mark], float] | None,
) -> tuple[dict[int, Lag], dict[int, tuple[Lag, ...]]]:
    """Ties between tasks become lags between instances of the same actor."""
    if lag_s is None:
        raise AssertionError("a graph with exchanges beside blocks needs their marks in seconds")
    known: dict[tuple[int, int, Mark], float] = {}

    def lag(one: int, tie: Tie, move: int) -> Lag:
        key = (graph.work[one], graph.work[tie.other], tie.mark)
        if key not in known:
            known[key] = lag_s(graph.works[key[0]], graph.works[key[1]], tie.mark)
        return Lag(tie.other + move, known[key])

    early, late = {}, {}
    moves = shift[actor].tolist()
    for instance, (one, move) in enumerate(zip(task.tolist(), moves, strict=True)):
        if one in graph.early:
            early[instance] = lag(one, graph.early[one], move)
        if one in graph.late:
            late[instance] = tuple(lag(one, tie, move) for tie in graph.late[one])
    return early, late


class _Transfers:
    """Interns the transfers of (work, actor)."""

    def __init__(self, graph: TaskGraph, traffic: Traffic, costs: Costs) -> None:
        self.works, self.holders, self.traffic, self.costs = graph.works, graph.holders, traffic, costs
        self.found: list[Transfer] = []
        self.joint_size: list[int] = []
        self.ids: dict[tuple[int, int], int] = {}
        self.joint: dict[Work, int] = {}

    def index(self, work_id: int, actor: int) -> int:
        work = self.works[work_id]
        joint = work.name in JOINT
        key = (work_id, -1 if joint else actor)
        if key not in self.ids:
            self.ids[key] = len(self.found)
            rank, group = self.traffic.representative[actor].tolist()
            self.found.append(self._transfer(work, rank, group, self._meeting(work) if joint else -1))
        return self.ids[key]

    def _meeting(self, work: Work) -> int:
        """The rendezvous of a joint transfer."""
        everyone = tuple(range(len(self.traffic.actor_class)))
        ranks = list(everyone if work.name == "grad_norm" else self.holders[work.stage])
        self.joint_size.append(len(np.unique(self.traffic.actor_class[ranks])))
        return self.joint.setdefault(work, len(self.joint))

    def _transfer(self, work: Work, rank: int, group: int, rendezvous: int) -> Transfer:
        cost, sms = self.costs.cost(work), self.costs.sms(work)
        if cost is None:
            return self._of_library(self.costs.exchanges.of(work, rank, group), rendezvous, sms)
        if not cost.unit_bytes:  # what moves nothing pays nothing
            return Transfer(-1, 0.0, np.inf, cost.setup_s, rendezvous, sms)
        key = ("expert", rank * self.traffic.actor_class.shape[1] + group)
        paths, batch = self.traffic.latency_s[key], self.traffic.batch_ids[key]
        idle_s = max(paths.local_s, paths.remote_s)
        rate, latency = cost.kernel_bytes_per_s, cost.setup_s + idle_s
        return Transfer(batch, cost.unit_bytes, rate, latency, rendezvous, sms, path_s=idle_s)

    def _of_library(self, exchange: Exchange, rendezvous: int, sms: int) -> Transfer:
        if exchange.key is None:
            return Transfer(-1, 0.0, np.inf, 0.0, rendezvous, sms)
        exchanges, paths = self.costs.exchanges, self.traffic.latency_s[exchange.key]
        return Transfer(
            self.traffic.batch_ids[exchange.key],
            exchange.unit_bytes,
            exchanges.bytes_per_s(exchange),
            exchanges.fixed_s(exchange, paths),
            rendezvous,
            sms,
            exchange.size_bytes,
            exchanges.path_s(exchange, paths),
        )
