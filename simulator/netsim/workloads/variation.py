"""How ranks differ within a step: GPUs that are slower, and experts that receive more rows.

A GPU's factor multiplies its compute time: exp(sigma z) with z standard normal, so the median GPU is as fast as the
profile says, times what is given for single slow GPUs. The experts of a layer receive rows in proportion to their
load; what a rank receives of one micro-batch is drawn (multinomial) from the sum over its experts, the ranks of a
group together receiving all of the group's choices.

The slowest of n such GPUs has E[max] = int_0^inf 1 - Phi(ln x / sigma)^n dx.

Left out: speeds that drift within a step, load that follows the text, correlation between layers, and that under an
uneven load a token also visits fewer hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs.workload import MoeSpec, VariationSpec
from netsim.workloads.expert_load import parse_load
from netsim.workloads.plan import Plan

_SPEED, _LOAD, _ROWS = 0x51EED, 0x10AD, 0x5045
Floats = NDArray[np.float64]
#: of experts, in 32 bits where that holds them
Rows = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True)
class Variation:
    """What was drawn. factor : (gpus,) on compute time; rows : (groups, micro-batches, group ranks) by MoE layer."""

    factor: Floats
    rows: Mapping[int, Rows]


def draw_variation(
    spec: VariationSpec, place: str, plan: Plan, moe: MoeSpec | None, moe_layers: Sequence[int], seed: int
) -> Variation | None:
    """The factors and rows of one step, the same for a seed; None when nothing varies.

    Raises SpecError for a slow GPU that the job does not have, or a load where there are no experts, NetsimError for a
    load that is none.
    """
    if spec == VariationSpec():
        return None
    factor = np.exp(spec.compute_sigma * np.random.default_rng([seed, _SPEED]).standard_normal(plan.gpus))
    for gpu, slower in spec.slow.items():
        if int(gpu) >= plan.gpus:
            raise SpecError(
                place, f"variation.slow.{gpu}", slower, f"must be one of GPUs 0 to {plan.gpus - 1}"
            )
        factor[int(gpu)] *= slower
    rows = {}
    if spec.expert_load is not None:
        if moe is None:
            raise SpecError(
                place, "variation.expert_load", spec.expert_load, "has no effect: the model has no experts"
            )
        for layer in moe_layers:
            rows[layer] = _rows(spec, plan, moe, layer, seed)
    return Variation(factor, rows)


def _rows(spec: VariationSpec, plan: Plan, moe: MoeSpec, layer: int, seed: int) -> Rows:
    """(groups, micro-batches, ranks) rows of one layer."""
    choices = plan.expert * plan.own_tokens * moe.top_k
    fixed = _rank_load(spec, plan.expert, moe.experts, np.random.default_rng([seed, _LOAD, layer]))
    sets = plan.group // plan.expert  # expert-parallel groups of a stage group
    dtype = np.int32 if choices <= np.iinfo(np.int32).max else np.int64  # all may fall on one rank
    found: Any = np.empty((plan.groups, plan.microbatches, sets, plan.expert), dtype=dtype)
    for group in range(plan.groups):
        rng = np.random.default_rng([seed, _ROWS, layer, group])
        for microbatch in range(plan.microbatches):
            load = fixed if spec.redrawn == "layer" else _rank_load(spec, plan.expert, moe.experts, rng)
            found[group, microbatch] = rng.multinomial(choices, load, size=sets)
    rows: Rows = found.reshape(plan.groups, plan.microbatches, plan.group)
    return rows


def _rank_load(spec: VariationSpec, ranks: int, experts: int, rng: np.random.Generator) -> Floats:
    """(ranks,) share of the choices that falls on each rank's experts."""
    load = parse_load(spec.expert_load or "uniform", experts, rng, "variation.expert_load")
    return np.asarray(load.reshape(ranks, -1).sum(axis=1) / load.sum(), dtype=np.float64)


def expected_slowest(sigma: float, ranks: int) -> float:
    """Mean of the largest of `ranks` factors exp(sigma z), by the trapezium rule in ln x.

    >>> round(expected_slowest(0.1, 1), 6), expected_slowest(0.0, 64)
    (1.005013, 1.0)
    """
    if sigma == 0.0:
        return 1.0
    z = np.linspace(-12.0, 12.0 + sigma, 20_001)
    cdf = np.array([0.5 * (1.0 + erf(v / sqrt(2.0))) for v in z]) ** ranks
    # E[max] = int (1 - F) dx over x = exp(sigma z); below the grid 1 - F is 1
    return float(np.exp(sigma * z[0]) + np.trapezoid((1.0 - cdf) * sigma * np.exp(sigma * z), z))
