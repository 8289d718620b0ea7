"""Ranks to devices.

`contiguous`: pipeline ranks side by side, and inside one the expert-parallel groups side by side, so that a group
fills as few hosts (and leaves) as it can: rank (p, d) of `pipeline` x `data` runs on GPU p * data + d.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.workloads.plan import Plan


def contiguous(plan: Plan, gpus_per_host: int) -> NDArray[np.int64]:
    """GPU of each rank, (pipeline, groups, expert).

    Raises SpecError when an expert-parallel group would straddle part of a host.
    """
    expert = plan.expert
    if expert % gpus_per_host and gpus_per_host % expert:
        rule = f"must divide, or be a multiple of, the {gpus_per_host} GPUs of a host"
        raise SpecError("placement", "parallelism.expert", expert, rule)
    return np.arange(plan.gpus, dtype=np.int64).reshape(plan.pipeline, plan.groups, expert)
