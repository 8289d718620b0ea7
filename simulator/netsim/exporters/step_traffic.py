"""A training step as operations: every task of every stage group, with the waits that the executor knows.

The step is simulated unfolded, so each stage group has tasks of its own. A task follows the one before it in its queue
and all that it waits for; an exchange that several groups start together is one operation behind all of them. A phase
is one kind of transfer alone: the first that each group (or stage) makes.

Left out: marks between an exchange and the block beside it (an exchange that starts before its block has ended starts
after what the block waited for), SMs that transfers take from compute, and differences between ranks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from netsim.collectives.step import Batch, step_batches
from netsim.errors import NetsimError, did_you_mean
from netsim.exporters.traffic import MAX_FLOWS, Exchange, Ints, Op
from netsim.specs.question import Question
from netsim.training.exchanges import make_exchanges, transfer_works
from netsim.training.placement import place
from netsim.training.simulate import Step, simulate
from netsim.workloads.adapter import trained


def step_exchange(question: Question, phase: str | None = None) -> Exchange:
    """The traffic of the step that is asked for, or of one kind of its transfers.

    Raises NetsimError for a phase that the step does not have, and for more flows than can be written.
    """
    case = question.checked_case()
    step = simulate(case, question.gpus, scaling=question.scaling, seed=question.seed, folded=False)
    made = _Ops(step, _placement(step), _batches(step))
    if phase is None:
        ops, time_s = made.all(), float(step.execution.end_s.max())
        said = [f"{len(ops):,} tasks of {step.plan.pipeline * step.plan.groups} stage groups"]
        if step.program.early or step.program.late:
            said.append("exchanges that overlap a block chunk by chunk start before or after it as a whole")
        if any(transfer.sms for transfer in step.program.transfers):
            said.append("compute is as fast as without the SMs that transfers take")
    else:
        ops, time_s = made.phase(phase)
        said = [f"the first {phase} of every group: netsim's time is that of the longest, in the step"]
    what = "step" if phase is None else f"phase {phase}"
    routing = case.topology.routing
    return Exchange(
        what, step.topology, routing, question.seed, tuple(ops), time_s, said=tuple(said), step=step
    )


def _placement(step: Step) -> Ints:
    """(stage groups, ranks) GPUs."""
    gpus = place(step.plan, step.topology.gpus_per_host, step.case.workload.placement, step.seed)
    return gpus.reshape(step.plan.pipeline * step.plan.groups, -1)


def _batches(step: Step) -> list[Batch]:
    """The batches of flows that the step registered, by number."""
    case, plan = step.case, step.plan
    workload = case.workload
    held = [trained(workload.model, workload.adapter, stage, plan) for stage in step.stages]
    placement = _placement(step).reshape(plan.pipeline, plan.groups, -1)
    exchanges = make_exchanges(case, step.topology, plan, placement, step.graph, held)
    return step_batches(exchanges, transfer_works(step.graph), step.routing if workload.model.moe else None)


class _Ops:
    """Makes operations of the instances of a program."""

    def __init__(self, step: Step, groups: Ints, batches: Sequence[Batch]) -> None:
        self.step, self.groups = step, groups
        by_key = {batch.key: batch for batch in batches}
        self.batch = {number: by_key[key] for key, number in step.traffic.batch_ids.items()}
        self.works = [step.graph.works[step.graph.work[task]] for task in step.instances.task.tolist()]

    def name(self, instance: int) -> str:
        work = self.works[instance]
        words = (work.name, work.block, work.phase)
        return " ".join(word for word in words if word)

    def all(self) -> list[Op]:
        """Every task, in an order in which all comes behind what it waits for."""
        program, ends = self.step.program, self.step.execution.end_s
        meeting: dict[int, list[int]] = {}
        before = _before(self.step)
        for n in range(len(program)):
            if (joint := self._joint(n)) >= 0:
                meeting.setdefault(joint, []).append(n)
        starts = self.step.execution.start_s
        order = sorted(range(len(program)), key=lambda n: (ends[n], starts[n], n))
        op_of: dict[int, int] = {}
        ops: list[Op] = []
        flows = 0
        for n in _topological(order, before, meeting, self._joint):
            if n in op_of:
                continue
            joint = self._joint(n)
            together = meeting[joint] if joint >= 0 else [n]
            after = {op_of[b] for member in together for b in before[member] if b in op_of}
            op = self._op(n, together, tuple(sorted(after)))
            flows += op.source.size
            if flows > MAX_FLOWS:
                rule = f"more than {MAX_FLOWS:,} flows: use fewer GPUs, fewer batch.microbatches, or a phase"
                raise NetsimError(rule)
            op_of |= dict.fromkeys(together, len(ops))
            ops.append(op)
        return ops

    def phase(self, phase: str) -> tuple[list[Op], float]:
        """The first transfer of a name on every group, all at once."""
        program, execution = self.step.program, self.step.execution
        names = {w.name for n, w in enumerate(self.works) if program.transfer[n] >= 0 and self._moves(n)}
        if phase not in names:
            raise NetsimError(f"no phase {phase!r} that moves data: {did_you_mean(phase, names)}")
        seen: set[tuple[int, int]] = set()
        ops, time_s = [], 0.0
        for n, work in enumerate(self.works):
            key = (int(program.actor[n]), self._joint(n))
            if (
                work.name != phase
                or not self._moves(n)
                or key in seen
                or (key[1] < 0 and (key[0], -1) in seen)
            ):
                continue
            if key[1] >= 0 and any(joint == key[1] for _, joint in seen):
                continue
            seen.add(key)
            ops.append(self._op(n, [n], ()))
            time_s = max(time_s, float(execution.end_s[n] - execution.start_s[n]))
        return ops, time_s

    def _joint(self, n: int) -> int:
        transfer = int(self.step.program.transfer[n])
        return self.step.program.transfers[transfer].rendezvous if transfer >= 0 else -1

    def _moves(self, n: int) -> bool:
        transfer = int(self.step.program.transfer[n])
        return transfer >= 0 and self.step.program.transfers[transfer].batch >= 0

    def _op(self, n: int, together: Sequence[int], after: tuple[int, ...]) -> Op:
        program = self.step.program
        gpus = np.unique(np.concatenate([self.groups[int(program.actor[each])] for each in together]))
        if program.transfer[n] < 0:
            return Op(self.name(n), gpus, after, 0.0, float(program.seconds[n]))
        transfer = program.transfers[int(program.transfer[n])]
        if transfer.batch < 0:
            return Op(self.name(n), gpus, after, transfer.latency_s)
        flows = self.batch[transfer.batch].transfers
        with np.errstate(invalid="ignore"):
            cap = flows.kernel_share * transfer.kernel_bytes_per_s
        return Op(
            self.name(n), np.union1d(gpus, np.union1d(flows.source, flows.target)), after, transfer.latency_s, 0.0,
            flows.source, flows.target, flows.share * transfer.unit_bytes, cap,
        )  # fmt: skip


def _before(step: Step) -> list[list[int]]:
    """What each instance follows: the one before it in its queue, and all that it waits for."""
    program = step.program
    before: list[list[int]] = [
        program.wait_ids[program.wait_ptr[n] : program.wait_ptr[n + 1]].tolist() for n in range(len(program))
    ]
    last: dict[tuple[int, int], int] = {}
    for n, key in enumerate(zip(program.actor.tolist(), program.queue.tolist(), strict=True)):
        if key in last:
            before[n].append(last[key])
        last[key] = n
    return before


def _topological(
    order: Sequence[int],
    before: Sequence[Sequence[int]],
    meeting: Mapping[int, Sequence[int]],
    joint: Callable[[int], int],
) -> Iterator[int]:
    """Instances so that each comes behind all it follows, a joint exchange behind what all its members follow."""
    waiting = [0] * len(order)
    ahead: list[list[int]] = [[] for _ in order]
    for n, earlier in enumerate(before):
        for b in earlier:
            ahead[b].append(n)
            waiting[n] += 1
    place = {n: position for position, n in enumerate(order)}
    ready = [(place[n], n) for n in order if not waiting[n]]
    heapq.heapify(ready)
    arrived: dict[int, int] = {}
    while ready:
        _, n = heapq.heappop(ready)
        members = [n]
        if joint(n) >= 0:
            arrived[joint(n)] = arrived.get(joint(n), 0) + 1
            if arrived[joint(n)] < len(meeting[joint(n)]):
                continue
            members = list(meeting[joint(n)])
        yield members[0]
        for member in members:
            for later in ahead[member]:
                waiting[later] -= 1
                if not waiting[later]:
                    heapq.heappush(ready, (place[later], later))
