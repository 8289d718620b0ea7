"""An executed step taken apart: its graph of instants, and for every task what its time went into.

A transfer's time is its fixed latency, then `moved_s` on the network; of that, `shared_s` is bound by a link (`bound`),
the rest by its own kernels. A transfer that its kernels would have moved in K seconds alone and that took N shared a
link for a while at half of the link's rate r: t = (N - K) / (1 - r / k), k the rate of the kernels.

Left out: links that were shared by more than two at once (`analysis.explain.network` moves the bytes again for that).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from netsim.execution.recorded import Recorded, record
from netsim.training.result import resource_of_link, step_time_s
from netsim.training.simulate import Step
from netsim.workloads.tasks import COMPUTE, EXPERT_TRANSFERS, Work

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Words = NDArray[np.str_]

#: a transfer that took so much longer than its kernels alone (relative) was bound by its kernels
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Anatomy:
    """Columns over the n task instances of a step."""

    step: Step
    graph: Recorded

    @property
    def step_s(self) -> float:
        """The length of the step."""
        return step_time_s(self.step)

    @property
    def works(self) -> list[Work]:
        """What tasks do; `work` is an index into it."""
        return self.step.graph.works

    @cached_property
    def work(self) -> Ints:
        return np.array(self.step.graph.work)[self.step.instances.task]

    @cached_property
    def name(self) -> Words:
        return np.array([work.name for work in self.works])[self.work]

    @property
    def actor(self) -> Ints:
        return self.step.instances.actor

    @property
    def groups_in(self) -> Ints:
        """(actors,) stage groups that each actor stands for."""
        return self.step.traffic.multiplicity

    @cached_property
    def computes(self) -> Masks:
        return np.asarray(self.step.program.queue == COMPUTE)

    @cached_property
    def by_experts(self) -> Masks:
        """Dispatch and combine, which the profile's kernels move."""
        return np.isin(self.name, EXPERT_TRANSFERS)

    def _of_transfer(self, values: list[float]) -> Floats:
        """A number a transfer as a column; 0 for compute."""
        return np.asarray(np.array([*values, 0.0])[self.step.program.transfer])

    @cached_property
    def latency_s(self) -> Floats:
        """Fixed latency: launch, steps and paths."""
        return self._of_transfer([t.latency_s for t in self.step.program.transfers])

    @cached_property
    def path_s(self) -> Floats:
        """The part of it that goes with the idle latency of paths."""
        return self._of_transfer([t.path_s for t in self.step.program.transfers])

    @cached_property
    def moved_s(self) -> Floats:
        """Time on the network."""
        moved = np.where(self.computes, 0.0, self.graph.own_s - self.latency_s)
        without = self._of_transfer([float(t.batch < 0) for t in self.step.program.transfers]) > 0.0
        return np.where(without, 0.0, moved)

    @cached_property
    def kernel_s(self) -> Floats:
        """What the transfer's own kernels would take."""
        table = self.step.traffic.table
        each = np.broadcast_to(np.asarray(table.unit_share) / np.asarray(table.rate_cap), (table.n_flows,))
        worst = np.zeros(table.n_batches + 1)
        np.maximum.at(worst, np.repeat(np.arange(table.n_batches), np.diff(table.batch_ptr)), each)
        transfers = self.step.program.transfers
        return self._of_transfer([t.unit_bytes / t.kernel_bytes_per_s * worst[t.batch] for t in transfers])

    @cached_property
    def bound(self) -> Words:
        """The resource behind `shared_s`: nic, nvlink, pcie or fabric; of compute and latency none."""
        words = np.array([*resource_of_link(self.step), ""])
        found = words[self.step.execution.bottleneck]
        return np.where((found == "") & (self.shared_s > 0.0), "nic", found)

    @cached_property
    def shared_s(self) -> Floats:
        """Of `moved_s`, what a link bound."""
        moved, kernel = self.moved_s, self.kernel_s
        rate = self._of_transfer([t.kernel_bytes_per_s for t in self.step.program.transfers])
        capacity = np.asarray(np.append(self.step.traffic.capacity, np.inf)[self.step.execution.bottleneck])
        fastest = np.where(np.isfinite(capacity), capacity, self._port_bytes_per_s)
        less = np.where(
            np.isfinite(rate) & (rate > 0.0), fastest / 2.0 / np.where(rate > 0.0, rate, 1.0), 0.0
        )
        shared = (moved - kernel) / (1.0 - np.minimum(less, 0.9))
        shared[moved - kernel <= _ROUNDING * moved] = 0.0
        return np.clip(shared, 0.0, moved)

    @property
    def _port_bytes_per_s(self) -> float:
        nic = self.step.case.hardware.nic
        return nic.line_rate * nic.goodput_fraction

    @cached_property
    def block_s(self) -> Floats:
        """(works,) seconds of each block of compute as the compute model has it; 0 for exchanges."""
        blocks = self.step.timing.blocks
        return np.array([blocks[w].seconds if w in blocks else 0.0 for w in self.works])

    @cached_property
    def in_order(self) -> list[Ints]:
        """The compute tasks of each actor, in order."""
        tasks = np.flatnonzero(self.step.program.queue == COMPUTE)
        return [tasks[self.actor[tasks] == actor] for actor in range(len(self.groups_in))]

    @cached_property
    def marks(self) -> tuple[Ints, Ints]:
        """Edges of the graph that are marks, and the block of compute that each is a part of."""
        edges = np.flatnonzero(self.graph.lag_s > 0.0)
        ends, other = self.graph.task[edges], self.graph.source[edges] % max(self.graph.tasks, 1)
        return edges, np.where(self.computes[ends], ends, other)

    @cached_property
    def extra_s(self) -> Floats | None:
        """(n,) what tasks of compute took longer for SMs that exchanges held beside them; None: none did."""
        program = self.step.program
        if program.slope is None or self.step.ranks is not None:
            return None
        slows = self.computes & (program.slope > 0.0)
        return np.where(slows, self.graph.own_s - np.nan_to_num(program.seconds), 0.0)

    @cached_property
    def instants_s(self) -> Floats:
        """When each instant of the graph is."""
        return self._run[0]

    @cached_property
    def set_by(self) -> Ints:
        """The edge of the graph that sets each instant."""
        return self._run[1]

    @cached_property
    def _run(self) -> tuple[Floats, Ints]:
        return self.graph.run()

    @cached_property
    def last(self) -> int:
        """The instant at which the step ends."""
        n = self.graph.tasks
        return n + int(np.argmax(self.instants_s[n : 2 * n]))


def anatomy(step: Step) -> Anatomy:
    """Take a step apart."""
    return Anatomy(step, record(step.program, step.execution))
