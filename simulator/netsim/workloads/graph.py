"""What tasks a step is made of: the words of a task graph, and its columns.

Every pipeline rank has in-order queues, as on the GPU: *compute*, *communication* (dispatch and combine of experts,
tensor and context exchanges, pipeline sends), *gradient* (reduction, and what follows it at the end of the step) and
*parameter* (gathering of parameters that ZeRO divides), each on a stream of its own. Where a framework gives every
kind of exchange a stream (`overlap.streams`), *tensor* takes tensor and context exchanges, *pipeline* the sends. *host*
launches the kernels of each block in turn, where a job says what that takes (`host`): compute waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netsim.specs.framework import HostSpec, OverlapSpec
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.adapter import exchanged, frozen_blocks
from netsim.workloads.again import Again
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Chunk

COMPUTE, COMMUNICATION, GRADIENT, PARAMETER, TENSOR, PIPELINE, HOST = range(7)
QUEUES = ("compute", "communication", "gradient", "parameter", "tensor", "pipeline", "host")

#: transfers of a stage group on its own, and those that several ranks start together
EXPERT_TRANSFERS = ("dispatch", "cached_dispatch", "combine", "combine_backward")
TENSOR_TRANSFERS = ("tensor_gather", "tensor_scatter")
CONTEXT_TRANSFERS = ("context_gather", "context_scatter")
#: between pipeline ranks: activations, their gradients, and the gradient of an embedding that two ranks hold
SENDS = ("send_forward", "send_backward", "send_embedding")
REDUCTIONS = ("reduce_scatter", "all_reduce")
JOINT = (*REDUCTIONS, "grad_norm", "all_gather", "parameter_gather")
#: transfers that the stage group's own compute waits for
EXCHANGES = EXPERT_TRANSFERS + TENSOR_TRANSFERS + CONTEXT_TRANSFERS


class Work(NamedTuple):
    """What a task does, apart from where and when.

    For compute, `name` is a layer kind and `block` its half; for transfers, `name` is the collective, and `block` what
    it is for: a block under tensor and context parallelism, a layer kind where ZeRO moves a layer at a time.
    `overlapped` says whether compute and communication of the chunk run side by side. `stage` names the parameters of
    a joint transfer, `layer` and `turn` which of many such it is; `step` says how many ranks along a send goes.
    """

    name: str
    block: str = ""
    phase: str = ""
    overlapped: bool = False
    stage: int = -1
    step: int = 0
    layer: int = -1
    turn: int = -1


#: how far a block is when an exchange beside it may start, or what it still has to do when that has ended
Mark = Literal[
    "gathered",  # behind the last chunk of its gathered input: its share of the first products, and all the rest
    "first_out",  # until the first chunk of its last products is there to be scattered
    "last_out",  # the scatter of the last chunk, behind the block's end
    "keys",  # until keys and values are there to be passed on
    "all_keys",  # attention to the last part of keys and values, and all the rest
    "first_gradients",  # until the first part of the gradients of keys and values is there
    "all_gradients",  # all behind attention
]


class Tie(NamedTuple):
    """A task of the same rank, and a mark in one of the two."""

    other: int
    mark: Mark


class Division(NamedTuple):
    """What is divided over ranks, and so has to be exchanged; see `workloads.division` and ZeRO's stages.

    `overlap` : which exchanges run beside compute; `again` : what the backward runs again; `frozen` : blocks of layers
    whose weights have no gradient; `tied` : whether the head is the embedding; `adapted` : whether attention has
    adapters.
    """

    tensor: bool = False
    context: bool = False
    zero: int = 1
    overlap: OverlapSpec = OverlapSpec()
    again: Again = Again()
    frozen: tuple[str, ...] = ()
    tied: bool = False
    adapted: bool = False
    host: HostSpec = HostSpec()

    @staticmethod
    def of(plan: Plan, job: WorkloadSpec) -> Division:
        """That of a job's plan."""
        again, frozen = Again.of(job.storage), frozen_blocks(job.adapter)
        tied = job.model.tied_embeddings
        adapted = exchanged(job.adapter)
        return Division(
            plan.tensor > 1, plan.context > 1, plan.zero, job.overlap, again, frozen, tied, adapted, job.host
        )

    @property
    def by_layer(self) -> bool:
        """Whether gradients or parameters move a layer at a time."""
        return self.zero >= 2 or self.overlap.gradient or self.overlap.parameter


@dataclass
class TaskGraph:
    """The tasks of one pipeline, in columns; a task is an index, and tasks of a rank are in queue order.

    `holders` : the ranks that hold each stage. `waits[t]` holds the tasks, other than its predecessor in the queue,
    that task t waits for. An exchange beside the block that needs it is tied to it: `early[t]`, it may start when the
    other has reached a mark; `late[t]`, it ends no sooner than what it still does behind that mark, once the other has
    ended. Both are tasks of one rank.
    """

    ranks: int
    holders: tuple[tuple[int, ...], ...]
    works: list[Work] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    work: list[int] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    microbatch: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    layer: list[int] = field(default_factory=list)
    waits: list[tuple[int, ...]] = field(default_factory=list)
    early: dict[int, Tie] = field(default_factory=dict)
    late: dict[int, list[Tie]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def routes(self) -> list[tuple[int, int]]:
        """The pairs of ranks (sender, receiver) between which anything is sent, sorted."""
        steps = [work.step for work in self.works]
        moves = {(rank, steps[work]) for rank, work in zip(self.rank, self.work, strict=True) if steps[work]}
        return sorted((rank, rank + step) for rank, step in moves)
