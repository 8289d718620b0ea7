"""Bounds on a design without simulating it: what its network must cost, and how short its step can be at best.

Cost of a tree. With E endpoints on radix-k switches, oversubscription o_t above tier t, n_t switches a tier and u_t
cables above it, every tree that can be built obeys

    k n_1 >= E + u_1,   u_1 >= E / o_1,   k n_2 >= u_1 + u_2,   u_2 >= u_1 / o_2,   k n_3 >= u_2,   all whole numbers;

the cheapest solution (HiGHS, branch and cut) is a bound from below, because cabling rules are left out. A fabric
that fits under fewer tiers may leave the upper ones out, so the bound is the least over the depths that could hold it.

Step. (a) The same job with links of infinite rate and no latency: queues are in order and every transfer then takes
the least time that its kernel allows, so no start can move back; what an uneven exchange takes longer is counted
without the NIC too, since other designs of the job may have a faster one. (b) The bytes of all dispatches and
combines over the rate of all NICs. The greater one is a bound for every fabric and NIC that the job may run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netsim.specs.hardware import HardwareSpec
from netsim.specs.prices import CablePartSpec, PriceBook
from netsim.specs.topology import TopologySpec
from netsim.studies.question import StudyPoint
from netsim.workloads.tasks import EXPERT_TRANSFERS

_FAST = 1e9
_NO_LATENCY = {
    "topology.latency.endpoint": "0 s",
    "topology.latency.switch_hop": "0 s",
    "hardware.scale_up.latency": "0 s",
}


@dataclass(frozen=True)
class TreeBound:
    """The least network that the port counts allow: dollars, switches and cables between switches."""

    usd: float
    switches: int
    cables: int


def least_tree(
    endpoints: int,
    radix: int,
    oversubscription: Sequence[float],
    prices: PriceBook,
    port_rate: float,
    nic_rate: float,
) -> TreeBound:
    """The cheapest tree of up to len(oversubscription) + 1 tiers by port counts alone.

    `endpoints` : NICs, of one port each; `port_rate`, `nic_rate` : bytes/s of a switch port and of a NIC's cable.
    """
    scale = port_rate / prices.switch.port_rate
    switch = prices.switch.price * radix * scale / prices.switch.ports
    link = _least_link(prices, prices.switch_link) * scale
    cable = _least_link(prices, prices.endpoint_link) * nic_rate / prices.switch.port_rate
    fixed = endpoints * (cable + prices.nic.price * nic_rate / prices.nic.rate)
    found = []
    for depth in range(1, len(oversubscription) + 2):
        if endpoints <= radix**depth:
            found.append(_solve(endpoints, radix, oversubscription[: depth - 1], switch, link, fixed))
    return min(found, key=lambda bound: bound.usd)


def _least_link(prices: PriceBook, whole: CablePartSpec) -> float:
    """A cable with its ends at the least: of no length where the book has classes."""
    if not prices.cables:
        return whole.price
    return min(c.price + (2 * prices.optics[c.optic].price if c.optic else 0.0) for c in prices.cables)


def _solve(
    endpoints: int, radix: int, oversubscription: Sequence[float], switch: float, link: float, fixed: float
) -> TreeBound:
    """Variables n_1 ... n_T, u_1 ... u_(T-1)."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    above = len(oversubscription)
    tiers = above + 1
    rows = []
    least: list[float] = []
    for tier in range(tiers):
        row = np.zeros(tiers + above)
        row[tier] = radix
        if tier < above:
            row[tiers + tier] = -1
        if tier > 0:
            row[tiers + tier - 1] = -1
        rows.append(row)
        least.append(endpoints if tier == 0 else 0)
    for tier, ratio in enumerate(oversubscription):
        row = np.zeros(tiers + above)
        row[tiers + tier] = ratio
        if tier > 0:
            row[tiers + tier - 1] = -1
        rows.append(row)
        least.append(endpoints - 1e-6 if tier == 0 else -1e-6)
    cost = np.array([switch] * tiers + [link] * above)
    solved = milp(
        cost, integrality=np.ones(cost.size), bounds=Bounds(0, np.inf),
        constraints=LinearConstraint(np.array(rows), np.array(least), np.inf), options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    assert solved.x is not None, "more switches always help"
    counts = np.round(solved.x).astype(int)
    usd = fixed + switch * int(counts[:tiers].sum()) + link * int(counts[tiers:].sum())
    return TreeBound(usd, int(counts[:tiers].sum()), int(counts[tiers:].sum()))


@dataclass(frozen=True)
class JobBound:
    """What holds for a job on any fabric: its step on infinitely fast links, and the bytes that its NICs must send."""

    step_s: float
    wire_bytes: float

    def least_step_s(self, hardware: HardwareSpec, gpus: int) -> float:
        """No step of the job is shorter on these NICs."""
        nics = gpus / hardware.gpus_per_host * hardware.nics_per_host
        rate = nics * hardware.nic.line_rate * hardware.nic.goodput_fraction
        return max(self.step_s, self.wire_bytes / rate)


def job_bound(question: StudyPoint) -> JobBound:
    """Bounds of a job from one simulation on links of no latency and infinite rate.

    Raises NetsimError when the question cannot be built.
    """
    from netsim.topologies import build
    from netsim.training.result import step_time_s
    from netsim.training.simulate import simulate

    ideal = replace(question, overrides={**question.full_overrides, **_NO_LATENCY})
    case = ideal.case()
    links = build(case.topology, case.hardware, question.gpus).capacity_bytes_per_s.size
    fast = dict.fromkeys(range(links), _FAST)
    # an uneven exchange has a tail that depends on the NIC of the spec, whatever the links (`netsim.training.ranks`)
    nic = case.hardware.nic.model_copy(update={"line_rate": case.hardware.nic.line_rate * _FAST})
    case = replace(case, hardware=case.hardware.model_copy(update={"nic": nic}))
    step = simulate(case, question.gpus, scaling=question.scaling, seed=question.seed, degraded=fast)
    sent = 0.0
    for task, actor, index in zip(
        step.instances.task.tolist(),
        step.instances.actor.tolist(),
        step.program.transfer.tolist(),
        strict=True,
    ):
        if index >= 0 and step.graph.works[step.graph.work[task]].name in EXPERT_TRANSFERS:
            transfer = step.program.transfers[index]
            if transfer.batch >= 0:
                per_gpu = transfer.unit_bytes * float(step.traffic.wire_bytes_of[transfer.batch])
                sent += per_gpu * float(step.traffic.multiplicity[actor])
    # a stage group is as many GPUs as the cluster has for each of its groups
    group = question.gpus / float(step.traffic.multiplicity.sum())
    slowdown = case.workload.communication.slowdown
    return JobBound(step_time_s(step), sent * group * slowdown * (1 - 1e-9))


def tree_of(spec: TopologySpec, hardware: HardwareSpec, gpus: int, prices: PriceBook) -> TreeBound | None:
    """The bound for a tree preset with as many GPUs; None for another family, or several ports a NIC."""
    if spec.family not in ("mpft", "mrft", "ft2", "ft3"):
        return None
    nics = gpus // hardware.gpus_per_host * hardware.nics_per_host
    planes = spec.planes if spec.family == "mpft" else 1
    ratios = spec.oversubscription[: spec.tiers - 1]
    port = spec.switch.port_rate
    rates = (port, min(port, hardware.nic.line_rate))  # a cable is as fast as the slower of its ends
    # planes are alike; endpoints that do not divide are left out of the least
    one = least_tree(nics // planes, spec.switch.radix, ratios, prices, *rates)
    return TreeBound(one.usd * planes, one.switches * planes, one.cables * planes)
