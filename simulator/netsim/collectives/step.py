"""Every exchange of a training step as a collective of the library, and as batches of flows: who takes part in it.

A batch is a set of flows that starts as one; its unit is a byte of what the library moves. Each stage group has one for
its expert exchanges, and one for each algorithm of its tensor, context and pipeline exchanges; each stage has one for
its gradients and parameters, shared by the ranks that hold the stage (under a bidirectional schedule two, since
parameters are held twice). What many ranks hold alike is exchanged in parts that start together: `dense` over all ranks
that hold the stage, `divided` over those with the same part of what tensor parallelism divides, `expert` over those
with the same experts.

Ranks go into the library host by host, so that its rings stay inside a host as long as they can. A send is the
library's send/receive of two ranks, of which only the sender sends.

Source: ZeRO, Rajbhandari et al., SC 2020, arXiv 1910.02054, section 5; Korthikanti et al. 2022, arXiv 2205.05198;
Llama 3, arXiv 2407.21783, section 3.3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.library import Chosen, Library
from netsim.collectives.overhead import Paths
from netsim.collectives.plan import spread
from netsim.collectives.transfers import Transfers, expert_exchange, join
from netsim.errors import SpecError
from netsim.workloads.moe import RoutingStatistics
from netsim.workloads.tasks import EXPERT_TRANSFERS, JOINT, Work

Ints = NDArray[np.int64]
SENDER, RECEIVER, MEMBER = 1, 2, 3
#: share by which latency changes where its part of a cost is asked for
_SMALL = 0.01
Who = Literal["tensor", "context", "send", "experts", "dense", "divided", "expert"]


@dataclass(frozen=True)
class Batch:
    """Flows that start together. `key` is (what, stage group or stage); `members` are (stage group, role) pairs."""

    key: tuple[str, int]
    rank: int
    transfers: Transfers
    members: tuple[tuple[int, int], ...]


class Ask(NamedTuple):
    """A collective that a task stands for: among whom, which kind, and its size (nccl-tests' convention)."""

    who: Who
    kind: str
    size_bytes: float


@dataclass(frozen=True)
class GroupShape:
    """How the ranks of a stage group, in their order, are divided: tensor fastest, then context; `expert` in a row."""

    expert: int
    tensor: int = 1
    context: int = 1


class Part(NamedTuple):
    """One collective of an exchange: the groups that run it, (groups, ranks) GPUs host by host, and how it is run."""

    who: Who
    rows: Ints
    chosen: Chosen


class Exchange(NamedTuple):
    """What a task exchanges. key : of its batch, None when nothing moves; unit_bytes : that the library moves."""

    key: tuple[str, int] | None
    parts: tuple[Part, ...]

    @property
    def unit_bytes(self) -> float:
        """All that the library moves, in the batch's unit."""
        return sum(part.chosen.moved_bytes for part in self.parts)

    @property
    def size_bytes(self) -> float:
        """What was asked for."""
        return sum(part.chosen.size_bytes for part in self.parts)

    @property
    def bytes_per_s(self) -> float:
        """What the library moves at most; inf where only the network limits it."""
        least = max((part.chosen.least_s for part in self.parts), default=0.0)
        return self.unit_bytes / least if least else float("inf")

    def transfers(self) -> Transfers:
        """The flows of all parts: shares of a byte of the unit, and of the library's rate alike."""
        whole, flows = self.unit_bytes, []
        for who, rows, chosen in self.parts:
            one = chosen.plan.transfers
            one = _first_sends(one) if who == "send" else one
            share = one.share * (chosen.moved_bytes / whole)
            kernel = share if self.bytes_per_s < np.inf else one.kernel_share
            flows.append(spread(replace(one, share=share, kernel_share=kernel), rows))
        return join(*flows)


@dataclass(frozen=True)
class StepExchanges:
    """The exchanges of a job's tasks.

    placement : (pipeline, groups, group) GPUs; holders : ranks that hold each stage; asks : of a task;
    slowdown : how many times slower the library moves bytes than it does, a what-if
    """

    library: Library
    placement: Ints
    gpus_per_host: int
    shape: GroupShape
    holders: Sequence[Sequence[int]]
    asks: Callable[[Work], Sequence[Ask]]
    slowdown: float = 1.0
    known: dict[tuple[Work, int], Exchange] = field(default_factory=dict, repr=False)

    def of(self, work: Work, rank: int, group: int) -> Exchange:
        """What a task of a stage group exchanges; joint ones belong to their stage."""
        owner = work.stage if work.name in JOINT else rank * self.placement.shape[1] + group
        if (work, owner) not in self.known:
            self.known[work, owner] = self._exchange(work, owner, rank, group)
        return self.known[work, owner]

    def fixed_s(self, exchange: Exchange, paths: Paths) -> float:
        """Seconds besides the bytes; parts run at once."""
        return max((self.library.fixed_s(part.chosen, paths) for part in exchange.parts), default=0.0)

    def path_s(self, exchange: Exchange, paths: Paths) -> float:
        """What of that goes with the idle latency of the paths, to first order: steps hold some of it already."""
        less = Paths(paths.local_s * (1.0 - _SMALL), paths.remote_s * (1.0 - _SMALL))
        return (self.fixed_s(exchange, paths) - self.fixed_s(exchange, less)) / _SMALL

    def bytes_per_s(self, exchange: Exchange) -> float:
        """What the library moves at most."""
        return exchange.bytes_per_s / self.slowdown

    def _exchange(self, work: Work, owner: int, rank: int, group: int) -> Exchange:
        parts = []
        for ask in self.asks(work):
            rows = self._rows(ask.who, work, rank, group)
            if rows.shape[1] > 1 and ask.size_bytes > 0.0:
                width = members_a_host(rows[0], self.gpus_per_host)
                hosts = rows.shape[1] // width
                parts.append(Part(ask.who, rows, self.library.choose(ask.kind, hosts, width, ask.size_bytes)))
        if not parts:
            return Exchange(None, ())
        words = [f"{work.step:+}"] if work.step else []
        if work.name == "send_embedding":  # beside sends of activations, on a queue of its own
            words.append("embedding")
        if work.layer >= 0:  # layer by layer, gathers run beside reductions: a batch cannot run twice at once
            words = [work.name, work.block]
        words += [f"{part.who} {_name_of(part.chosen)}" for part in parts]
        if len(parts) > 1:  # shares of the parts depend on what their protocols add
            words += [part.chosen.protocol for part in parts]
        return Exchange((" ".join(words), owner), tuple(parts))

    def _rows(self, who: Who, work: Work, rank: int, group: int) -> Ints:
        gpus, shape = self.placement[rank, group], self.shape
        if who == "tensor":
            return np.asarray(gpus.reshape(-1, shape.tensor))
        if who == "experts":
            return np.asarray(gpus.reshape(-1, shape.expert))
        if who == "context":
            by_rank = gpus.reshape(-1, shape.context, shape.tensor)
            return np.asarray(by_rank.transpose(0, 2, 1).reshape(-1, shape.context))
        if who == "send":
            return np.column_stack([gpus, self.placement[rank + work.step, group]])
        return self._holding_rows(who, work.stage)

    def _holding_rows(self, who: Who, stage: int) -> Ints:
        """Groups of ranks that hold the same of a stage.

        Group by group, each with its copies at the other ranks: every group then has the same place in the ring.
        Groups that share a host stay together.
        """
        _, groups, group_ranks = self.placement.shape
        ranks = list(self.holders[stage])
        together = max(1, min(groups, self.gpus_per_host // group_ranks))
        gpus = self.placement[ranks]
        if groups % together == 0:
            gpus = gpus.reshape(len(ranks), groups // together, together * group_ranks).transpose(1, 0, 2)
        alike = {"dense": 1, "divided": self.shape.tensor, "expert": self.shape.expert}[who]
        return np.ascontiguousarray(gpus.reshape(-1, alike).T)


def _name_of(chosen: Chosen) -> str:
    """The same for collectives whose flows are the same: a reduce-scatter is an all-gather backwards."""
    run = COLLECTIVES[chosen.kind].algorithms[chosen.algorithm]
    first = next(kind for kind, each in COLLECTIVES.items() if run in each.algorithms.values())
    return f"{first} {chosen.algorithm}" + (" limited" if chosen.least_s else "")


def _first_sends(flows: Transfers) -> Transfers:
    out = flows.source == 0
    return Transfers(flows.source[out], flows.target[out], flows.share[out], flows.kernel_share[out])


def step_batches(
    exchanges: StepExchanges,
    works: Sequence[tuple[Work, int]],
    routing: RoutingStatistics | None,
) -> list[Batch]:
    """All batches of one step.

    works : the transfers of each pipeline rank, as (work, rank); routing : None without experts, and where the library
    moves what they get
    """
    groups = exchanges.placement.shape[1]
    found: dict[tuple[str, int], Batch] = {}
    for work, rank in works:
        if work.name in EXPERT_TRANSFERS and routing is not None:
            continue
        joint, first = work.name in JOINT, exchanges.of(work, rank, 0).key
        for group in range(1 if joint else groups):
            if first and not joint and not work.step and (first[0], rank * groups + group) in found:
                continue  # groups of a rank lie on hosts alike; sends need not
            exchange = exchanges.of(work, rank, group)
            if exchange.key is not None and exchange.key not in found:
                place = work.stage if joint else rank
                members = tuple(_members(exchanges, work, rank, group))
                found[exchange.key] = Batch(exchange.key, place, exchange.transfers(), members)
    return [*_expert_batches(exchanges, routing), *found.values()]


def _expert_batches(exchanges: StepExchanges, routing: RoutingStatistics | None) -> Iterator[Batch]:
    if routing is None:
        return
    pipeline, groups, _ = exchanges.placement.shape
    for actor, gpus in enumerate(exchanges.placement.reshape(pipeline * groups, -1)):
        rows = gpus.reshape(-1, exchanges.shape.expert)
        flows = join(*(expert_exchange(row, exchanges.gpus_per_host, routing) for row in rows))
        yield Batch(("expert", actor), actor // groups, flows, ((actor, MEMBER),))


def _members(exchanges: StepExchanges, work: Work, rank: int, group: int) -> Iterator[tuple[int, int]]:
    groups = exchanges.placement.shape[1]
    if work.name in JOINT:
        yield from ((r * groups + g, MEMBER) for r in exchanges.holders[work.stage] for g in range(groups))
    elif work.step:
        yield rank * groups + group, SENDER
        yield (rank + work.step) * groups + group, RECEIVER
    else:
        yield rank * groups + group, MEMBER


def members_a_host(gpus: Ints, gpus_per_host: int) -> int:
    """How many of `gpus`, (n,) host by host, share each host.

    Raises SpecError when hosts hold different numbers of them: rings over hosts would be of different lengths.
    """
    if gpus.size == 2:  # a send, of which a large job has tens of thousands
        return 2 if gpus[0] // gpus_per_host == gpus[1] // gpus_per_host else 1
    host = gpus // gpus_per_host
    edges = np.flatnonzero(np.diff(host, prepend=-1, append=-1))
    counts = np.diff(edges)
    if len(set(counts.tolist())) > 1:
        rule = f"ranks of a stage must share hosts of {gpus_per_host} GPUs evenly, found {sorted(set(counts.tolist()))}"
        raise SpecError("placement", "GPUs of a stage", len(gpus), rule)
    return int(counts[0])
