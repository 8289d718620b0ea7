"""What binds a step: the same step simulated again with 10 % more of one resource after the other.

    tensor_cores   peak of the tensor cores (FP8 and BF16)
    hbm            rate of the GPU's memory
    kernels        rate of the communication kernels, dispatch and combine, on the SMs that they have
    nic            NIC ports, the switch ports that they are plugged into, and PCIe
    nvlink         scale-up links
    fabric         every cable between switches
    latency        idle latencies divided by 1.1
    network        no transfer takes any time: what the best of all networks could gain

The gain is step time saved over step time, to first order the share of the step that the resource is answerable
for; shares need not add up, because what one resource frees another may hold. Compute is carried to the faster GPU
by the class models (`netsim.compute.device`), so launches and gaps stay. Left out: more than one resource at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from netsim.specs.case import Case
from netsim.topologies import LinkKind, Topology
from netsim.training.result import step_time_s
from netsim.training.simulate import Step, lay_out, simulate_job
from netsim.workloads.graph import EXCHANGES, JOINT, SENDS

MORE = 1.1
#: resource -> what it is, for people
RESOURCES = {
    "tensor_cores": "tensor cores",
    "hbm": "HBM rate",
    "kernels": "communication kernels",
    "nic": "NICs",
    "nvlink": "NVLink",
    "fabric": "cables between switches",
    "latency": "latency",
    "network": "a network that costs no time",
}
LINKS = {
    "nic": (LinkKind.PORT_TX, LinkKind.PORT_RX, LinkKind.PCIE_TX, LinkKind.PCIE_RX),
    "nvlink": (LinkKind.SCALE_UP_TX, LinkKind.SCALE_UP_RX),
    "fabric": (LinkKind.UP, LinkKind.DOWN),
}


class Change(NamedTuple):
    """A case and its fabric with more of something; transfers that are free."""

    case: Case
    topology: Topology
    free: frozenset[str] = frozenset()


def binding(
    step: Step,
    resources: Iterable[str] = tuple(RESOURCES),
    tick: Callable[[], None] = lambda: None,
    more: float = MORE,
) -> list[dict[str, Any]]:
    """A row a resource: the step with `more` times as much of it, and the gain; `tick` is called after each.

    Raises NetsimError when a changed step cannot be simulated.
    """
    before, rows = step_time_s(step), []
    for resource in resources:
        changed = more_of(resource, step, more)
        seconds = before
        if changed is not None:
            job = lay_out(changed.case, step.plan)
            after = simulate_job(
                changed.case, changed.topology, job, seed=step.seed, folded=step.folded, free=changed.free,
                graph=step.graph,
            )  # fmt: skip
            seconds = step_time_s(after)
        rows.append(
            {
                "resource": resource,
                "change": "free" if resource == "network" else f"x {more:g}",
                "step_time_s": seconds,
                "gain_s": before - seconds,
                "gain_pct": (before - seconds) / before * 100.0,
            }
        )
        tick()
    return rows


def more_of(resource: str, step: Step, more: float = MORE) -> Change | None:
    """The case with `more` times as much of a resource; None where the step has none of it, such as switch cables."""
    case, topology = step.case, step.topology
    match resource:
        case "tensor_cores":
            gpu = case.hardware.gpu
            peaks = {"bf16_peak": gpu.bf16_peak, "fp8_peak": gpu.fp8_peak, "fp4_peak": gpu.fp4_peak}
            return _gpu(step, **{name: peak * more for name, peak in peaks.items() if peak})
        case "hbm":
            return _gpu(step, hbm_rate=case.hardware.gpu.hbm_rate * more)
        case "kernels":
            quicker = {
                name: kernel.model_copy(
                    update={"alone": kernel.alone * more, "beside_compute": kernel.beside_compute * more}
                )
                for name, kernel in case.profile.transfers.items()
            }
            profile = case.profile.model_copy(update={"transfers": quicker})
            return Change(replace(case, profile=profile), topology) if quicker else None
        case "latency":
            return _latency(step, more)
        case "network":
            return Change(case, topology, frozenset((*EXCHANGES, *SENDS, *JOINT)))
        case _:
            mine = np.isin(topology.link_kind, [int(kind) for kind in LINKS[resource]])
            capacity = np.where(mine, more, 1.0) * topology.capacity_bytes_per_s
            return Change(case, replace(topology, capacity_bytes_per_s=capacity)) if mine.any() else None


def _gpu(step: Step, **better: float) -> Change:
    hardware = step.case.hardware
    quicker = hardware.model_copy(update={"gpu": hardware.gpu.model_copy(update=better)})
    return Change(replace(step.case, hardware=quicker), replace(step.topology, hardware=quicker))


def _latency(step: Step, more: float) -> Change:
    case, topology = step.case, step.topology
    spec, scale_up = case.topology, case.hardware.scale_up
    idle = spec.latency.model_copy(
        update={"endpoint": spec.latency.endpoint / more, "switch_hop": spec.latency.switch_hop / more}
    )
    spec = spec.model_copy(update={"latency": idle})
    near = scale_up.model_copy(update={"latency": scale_up.latency / more})
    hardware = case.hardware.model_copy(update={"scale_up": near})
    return Change(
        replace(case, topology=spec, hardware=hardware),
        replace(topology, spec=spec, hardware=hardware, latency_s=topology.latency_s / more),
    )
