"""A whole step explained as one record of tables: bars, chain, ranks, sensitivities, operators."""

from __future__ import annotations

from typing import Any

from netsim.analysis.explain.anatomy import anatomy
from netsim.analysis.explain.chain import critical_path, mean_rank, rank_time
from netsim.analysis.explain.operators import operator_rows
from netsim.analysis.explain.sensitivity import sensitivities
from netsim.analysis.explain.waterfall import waterfall
from netsim.training.simulate import Step


def explain(step: Step) -> dict[str, list[dict[str, Any]]]:
    """Where the time of an executed step went.

    waterfall       bars from FLOPs at peak to the step
    critical_path   seconds of the chain of tasks that sets the step's end
    mean_rank       seconds of the mean rank: its compute, and what it waited for
    ranks           the same of every kind of rank
    sensitivities   what 1 % more of each resource is worth
    operators       time, shape, FLOPs, bytes and origin of every operator
    """
    found = anatomy(step)
    return {
        "waterfall": waterfall(found),
        "critical_path": critical_path(found),
        "mean_rank": mean_rank(found),
        "ranks": rank_time(found),
        "sensitivities": sensitivities(found),
        "operators": operator_rows(found),
    }
