"""The clock that a training step holds under the power limit, from the operators of its average GPU.

Modelled: all layers, embedding, head and optimizer of the job spread evenly over its pipeline ranks, each phase of
every micro-batch; pauses are the bubble of 1F1B with the virtual stages of the job. Left out: exposed exchanges as
pauses, kernels
of communication as load, ranks that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netsim.compute import ComputeModel
from netsim.compute.power import Load, State, group_of, slowdown, steady
from netsim.specs.power import PowerSpec
from netsim.workloads.operators import Operator


@dataclass(frozen=True)
class PowerLimit:
    """What a step holds: the clock and power of a GPU, and how much longer each operator takes there."""

    power: PowerSpec
    state: State
    idle_s: float
    rested_s: float
    model: ComputeModel

    @property
    def factor(self) -> float:
        """Mean slowdown of busy time against a rested GPU."""
        return self.state.busy_s / self.rested_s if self.rested_s else 1.0

    def stretch(self, op: Operator) -> float:
        """What an operator takes longer than on a rested GPU."""
        return slowdown(self.power, load_of(op, self.model), self.state.clock_hz)

    def energy_j(self, step_s: float) -> float:
        """Of one GPU in a step of so many seconds: its busy time as loaded, the rest at static power."""
        busy = min(self.state.busy_s, step_s)
        return self.state.busy_w * busy + self.power.static * (step_s - busy)


def power_limit(
    power: PowerSpec,
    work: Iterable[tuple[float, Sequence[Operator]]],
    model: ComputeModel,
    bubble: float,
    cap_w: float,
    boost_hz: float,
) -> PowerLimit:
    """The limit for operators that run so many times a step; `bubble` : pauses over busy time."""
    sums: dict[Load, list[float]] = {}
    for count, ops in work:
        for op in ops:
            one = load_of(op, model)
            found = sums.setdefault(replace(one, seconds=0.0, flops=0.0, bytes=0.0), [0.0, 0.0, 0.0])
            for i, value in enumerate((one.seconds, one.flops, one.bytes)):
                found[i] += count * value
    loads = [replace(kind, seconds=s, flops=f, bytes=b) for kind, (s, f, b) in sums.items()]
    rested = sum(load.seconds for load in loads)
    idle_s = bubble * rested
    return PowerLimit(power, steady(power, loads, idle_s, cap_w, boost_hz), idle_s, rested, model)


def load_of(op: Operator, model: ComputeModel) -> Load:
    """An operator as a load: what bounds it, by the model of its class, says whether it goes with the clock."""
    time = model.operator_time(op, False)
    bound, group = time.bound == "compute", group_of(op.kind)
    if op.flops:
        return Load(group, time.seconds, op.flops, op.bytes, 1.0 if bound else 0.0)
    if not bound:
        return Load(group, time.seconds, 0.0, op.bytes, 0.0)
    return Load("vector", time.seconds, 0.0, op.bytes, 0.0, model.class_clock_hz(op))
