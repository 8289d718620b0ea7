"""A step executed again with drawn constants: what intervals by linearisation are held against.

The same tasks run again on the event clock over the fluid network, with every block, kernel rate, link and latency as
drawn, so that transfers meet other transfers, chains change, and nothing is linear. The plan, the traffic and the order
of tasks stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.explain.anatomy import Anatomy
from netsim.analysis.explain.sensitivity import by_block
from netsim.analysis.uncertainty.factors import shares_and_parts
from netsim.execution.executor import execute
from netsim.execution.program import Lag, Program, Transfer
from netsim.network.fluid import FluidNetwork
from netsim.training.result import resource_of_link
from netsim.workloads.tasks import EXPERT_TRANSFERS

Floats = NDArray[np.float64]


def step_again_s(found: Anatomy, sizes: Mapping[str, float]) -> float:
    """Seconds of the step with each factor longer by a size (in ln); factors that are not named stay.

    Ranks that differ, and faults, are not drawn again: the step must have neither.
    """
    step = found.step
    assert step.ranks is None, "only a step of ranks that are alike runs again"
    assert not step.strikes, "only a step without faults runs again"
    shares, _ = shares_and_parts(found)
    ratio = np.ones(len(found.works))
    for name, share in shares.items():
        ratio += share * math.expm1(sizes.get(name, 0.0))
    program = _drawn(found, ratio, sizes)
    words = np.array(resource_of_link(step))
    slower = np.where(words == "nvlink", math.exp(sizes.get("nvlink", 0.0)), math.exp(sizes.get("nic", 0.0)))
    fluid = FluidNetwork(step.traffic.capacity / slower, step.traffic.table)
    return float(execute(program, fluid).end_s.max())


def _drawn(found: Anatomy, ratio: Floats, sizes: Mapping[str, float]) -> Program:
    program = found.step.program
    _, lag_s = by_block(found, ratio)
    longer = _changed_marks(found, lag_s)
    transfers = [_transfer(t, name, sizes) for t, name in zip(program.transfers, _names(found), strict=True)]
    return replace(
        program,
        seconds=program.seconds * np.where(found.computes, ratio[found.work], 1.0),
        transfers=transfers,
        early={task: _mark(longer, task, lag) for task, lag in program.early.items()},
        late={task: tuple(_mark(longer, task, lag) for lag in lags) for task, lags in program.late.items()},
    )


def _mark(longer: Mapping[tuple[int, int], float], task: int, lag: Lag) -> Lag:
    return Lag(lag.other, lag.seconds * longer.get((task, lag.other), 1.0))


def _changed_marks(found: Anatomy, lag_s: Floats) -> dict[tuple[int, int], float]:
    """How much longer each mark is, by the task and the one it is tied to."""
    edges, _ = found.marks
    n = max(found.graph.tasks, 1)
    keys = zip(found.graph.task[edges].tolist(), (found.graph.source[edges] % n).tolist(), strict=True)
    return dict(zip(keys, (lag_s[edges] / found.graph.lag_s[edges]).tolist(), strict=True))


def _names(found: Anatomy) -> list[str]:
    """What each transfer of the program is."""
    names = [""] * len(found.step.program.transfers)
    for index, name in zip(found.step.program.transfer.tolist(), found.name.tolist(), strict=True):
        if index >= 0:
            names[index] = name
    return names


def _transfer(transfer: Transfer, name: str, sizes: Mapping[str, float]) -> Transfer:
    """A transfer with its kernels and its fixed latency as drawn; the library's rate goes with the NIC."""
    constant = "kernels" if name in EXPERT_TRANSFERS else "nic"
    return replace(
        transfer,
        kernel_bytes_per_s=transfer.kernel_bytes_per_s / math.exp(sizes.get(constant, 0.0)),
        latency_s=transfer.latency_s * math.exp(sizes.get("latency", 0.0)),
    )
