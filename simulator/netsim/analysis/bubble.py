"""Where the bubble comes from: the same step with one cause after the other taken away.

1. pipeline sends cost nothing: what is gone was waiting for activations and gradients to cross the fabric;
2. exchanges of experts, tensor and context parallelism, and gathered parameters cost nothing either: exposed exchanges
   of lone chunks, which stretch the fill and the drain;
3. every stage is like the middle one: uneven stages, those of the embedding, the dense layers and the heads;
4. what is left is the schedule's own.

Where ranks differ (`variation` of the workload), that is taken away first: `skew`, which may be negative, because late
ranks lengthen the chunks themselves. The order of taking away matters a little; this one goes from the ranks over the
network to the plan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netsim.specs.case import Case
from netsim.specs.workload import VariationSpec
from netsim.topologies import build
from netsim.training.result import phases
from netsim.training.simulate import Job, lay_out, simulate_job
from netsim.workloads.plan import Plan
from netsim.workloads.tasks import EXCHANGES, SENDS


def without_variation(case: Case) -> Case:
    """The same question with ranks that are all alike."""
    return replace(case, workload=case.workload.model_copy(update={"variation": VariationSpec()}))


def bubble_by_cause(case: Case, plan: Plan, seed: int = 0, folded: bool = True) -> dict[str, float]:
    """Seconds of the mean rank's bubble by cause; they add up to the bubble."""
    topology = build(case.topology, case.hardware, plan.gpus)
    job = lay_out(case, plan)
    even = replace(job, stages=(job.stages[len(job.stages) // 2],) * len(job.stages))

    def bubble(which: Job, of: Case, **more: Any) -> float:
        return phases(simulate_job(of, topology, which, seed=seed, folded=folded, **more)).mean_s["bubble"]

    alike = without_variation(case)
    network = frozenset((*SENDS, *EXCHANGES, "parameter_gather"))
    whole, no_sends = bubble(job, alike), bubble(job, alike, free=frozenset(SENDS))
    no_network, schedule_only = bubble(job, alike, free=network), bubble(even, alike, free=network)
    skew = {} if alike == case else {"skew": bubble(job, case) - whole}
    return skew | {
        "pipeline_sends": whole - no_sends,
        "exposed_exchanges": no_sends - no_network,
        "uneven_stages": no_network - schedule_only,
        "schedule": schedule_only,
    }
