"""Ranks of a stage group that are not alike: what each takes for a task, and what an uneven exchange takes longer.

The ranks of a group compute each at their own pace and meet in every exchange, which starts when the last of them has
arrived: a rank that is late in one block may catch up in the next, if no exchange comes between. The rows of the
routed experts differ by rank, layer and micro-batch, and with them the time of the `mlp` blocks (rounded to the
128 rows of a grouped product's tile).

An exchange moves its mean bytes as the network lets it; then only the most loaded rank still moves. That tail is what
the exchange would take longer alone on the fabric: with `h` the load of the most loaded host and `r` that of the most
loaded rank, both over the mean, a dispatch takes the longest of the senders' kernels, h x what a NIC receives, and
r x what a GPU receives over NVLink; in a combine, the kernels and NICs of the most loaded host send h times the mean.

Left out: other traffic in the tail, and sends of single ranks before the last of their group is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.specs.hardware import HardwareSpec
from netsim.training.program import Instances, TransferCost
from netsim.training.traffic import Traffic
from netsim.workloads.layers import has_experts
from netsim.workloads.moe import RoutingStatistics
from netsim.workloads.tasks import EXPERT_TRANSFERS, TaskGraph, Work
from netsim.workloads.variation import Rows, Variation

Floats = NDArray[np.float64]
TILE_ROWS = 128
#: block times are asked for at most at this many row counts, and lie on a line in between
_KNOTS = 128


@dataclass(frozen=True)
class Idle:
    """Seconds that an even exchange spends on each of its legs alone on the fabric, and what loads each of them."""

    kernel_s: float
    nic_s: float
    scale_up_s: float
    sends_loaded: bool  # the loaded host sends (combine) or receives (dispatch)

    def tail_s(self, host_load: float, rank_load: float) -> float:
        """What it takes longer when the most loaded host and rank have that much more than the mean.

        >>> Idle(2.0, 1.0, 0.5, sends_loaded=False).tail_s(1.5, 3.0)
        0.0
        >>> Idle(2.0, 1.0, 0.5, sends_loaded=True).tail_s(1.5, 3.0)
        1.0
        """
        kernel_s = self.kernel_s * host_load if self.sends_loaded else self.kernel_s
        loaded = max(kernel_s, self.nic_s * host_load, self.scale_up_s * rank_load)
        return loaded - max(self.kernel_s, self.nic_s, self.scale_up_s)


def idle_times(work: Work, cost: TransferCost, routing: RoutingStatistics, hardware: HardwareSpec) -> Idle:
    """The legs of one dispatch or combine, in seconds."""
    wire = cost.unit_bytes * (routing.remote_hosts if routing.group_hosts > 1 else 0.0)
    nic = (
        hardware.nic.line_rate
        * hardware.nic.goodput_fraction
        * hardware.nics_per_host
        / hardware.gpus_per_host
    )
    inside = cost.unit_bytes * routing.devices / hardware.scale_up.achieved_rate
    return Idle(
        wire / cost.kernel_bytes_per_s, wire / nic, inside, work.name in ("combine", "combine_backward")
    )


@dataclass(frozen=True)
class Ranks:
    """Answers for the executor, by task instance.

    gpu, factor : (actors, ranks) where each runs, and what its compute time is multiplied with; rows : of each layer,
    (groups, micro-batches, ranks); block_s : for a work, block times at tiles of 128 rows from `first_tile` on.
    """

    graph: TaskGraph
    instances: Instances
    base_s: Floats
    gpu: NDArray[np.int64]
    factor: Floats
    group: NDArray[np.int64]
    rows: dict[int, Rows]
    gpus_per_host: int
    first_tile: int
    block_s: dict[Work, Floats]
    idle: dict[Work, Idle]

    @property
    def width(self) -> int:
        """Ranks of a stage group."""
        return int(self.factor.shape[1])

    def seconds(self, instance: int) -> Floats:
        """(ranks,) compute time of an instance."""
        task, actor = int(self.instances.task[instance]), int(self.instances.actor[instance])
        table = self.block_s.get(self.graph.works[self.graph.work[task]])
        if table is None:
            return np.asarray(self.base_s[instance] * self.factor[actor])
        tiles = self._rows(task, actor) // TILE_ROWS - self.first_tile
        return np.asarray(table[tiles] * self.factor[actor])

    def tail_s(self, instance: int) -> float:
        """What a transfer takes longer for its most loaded rank."""
        task, actor = int(self.instances.task[instance]), int(self.instances.actor[instance])
        idle = self.idle.get(self.graph.works[self.graph.work[task]])
        if idle is None:
            return 0.0
        load = self._rows(task, actor) / self._rows(task, actor).mean()
        by_host = load.reshape(-1, min(self.gpus_per_host, load.size)).mean(axis=1)
        return idle.tail_s(float(by_host.max()), float(load.max()))

    def _rows(self, task: int, actor: int) -> Rows:
        found = self.rows[self.graph.layer[task]]
        return np.asarray(found[self.group[actor], self.graph.microbatch[task]])


def make_ranks(
    variation: Variation,
    placement: NDArray[np.int64],
    graph: TaskGraph,
    traffic: Traffic,
    instances: Instances,
    base_s: Floats,
    mlp_s: Callable[[Work, int], float],
    cost: Callable[[Work], TransferCost | None],
    routing: RoutingStatistics,
    hardware: HardwareSpec,
) -> Ranks:
    """Tabulate block times over rows; `mlp_s` gives the time of a block at a number of expert rows."""
    rows = dict(variation.rows)
    low = min((int(r.min()) for r in rows.values()), default=0) // TILE_ROWS
    high = max((int(r.max()) for r in rows.values()), default=0) // TILE_ROWS
    routed = [w for w in graph.works if rows and w.block == "mlp" and has_experts(w.name)]
    exchanges = [w for w in graph.works if rows and w.name in EXPERT_TRANSFERS]
    actor_rank, actor_group = traffic.representative.T
    return Ranks(
        graph=graph,
        instances=instances,
        base_s=base_s,
        gpu=placement[actor_rank, actor_group],
        factor=variation.factor[placement[actor_rank, actor_group]],
        group=actor_group,
        rows=rows,
        gpus_per_host=hardware.gpus_per_host,
        first_tile=low,
        block_s={w: _tabulate(low, high, lambda n, w=w: mlp_s(w, n)) for w in routed},  # type: ignore[misc]
        idle={w: idle_times(w, found, routing, hardware) for w in exchanges if (found := cost(w))},
    )


def _tabulate(low: int, high: int, seconds: Callable[[int], float]) -> Floats:
    tiles = np.arange(low, high + 1)
    knots = np.unique(np.linspace(low, high, min(_KNOTS, tiles.size)).astype(np.int64))
    return np.interp(tiles, knots, [seconds(max(int(knot), 1) * TILE_ROWS) for knot in knots])


def rank_colours(variation: Variation, placement: NDArray[np.int64]) -> NDArray[np.int64]:
    """(pipeline, groups) equal numbers for stage groups whose ranks are drawn alike, so that they may be folded."""
    pipeline, groups, _ = placement.shape
    if variation.rows:  # every group has rows of its own
        return np.arange(pipeline * groups).reshape(pipeline, groups)
    factors = variation.factor[placement].reshape(pipeline * groups, -1)
    _, colour = np.unique(factors, axis=0, return_inverse=True)
    return np.asarray(colour.reshape(pipeline, groups), dtype=np.int64)
