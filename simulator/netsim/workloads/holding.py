"""Parameters that one rank holds, and the share of them that is its own when ZeRO divides them.

A rank holds of a layer: what every rank of its stage holds whole (norms, gate, shared experts, latent projections), its
part of what tensor parallelism divides, and its own experts. Each is replicated over the ranks that hold the same: all
ranks of the stage; those with the same part; those with the same experts. ZeRO divides over exactly those.

Source: Rajbhandari et al., SC 2020, arXiv 1910.02054; `workloads.division` for what tensor parallelism divides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.specs.workload import ModelSpec
from netsim.workloads.model import layer_parameters
from netsim.workloads.plan import Plan
from netsim.workloads.stages import LayerKind


@dataclass(frozen=True)
class StageParameters:
    """Parameters that one rank holds of a stage (or layer): `dense` whole on every rank, of its own experts, and the
    part that tensor parallelism left it."""

    dense: float
    expert: float
    divided: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.dense + self.expert + self.divided

    def __add__(self, other: StageParameters) -> StageParameters:
        return StageParameters(
            self.dense + other.dense, self.expert + other.expert, self.divided + other.divided
        )


def layer_holding(model: ModelSpec, kind: LayerKind, plan: Plan) -> StageParameters:
    """What a rank holds of one layer."""
    whole = layer_parameters(model, kind)
    expert = whole.expert / plan.expert
    if plan.tensor == 1:
        return StageParameters(whole.dense, expert)
    # a rank holds w + d/t of a layer of w + d parameters, of which d are divided
    one = layer_parameters(model, kind, plan.tensor)
    divided = (whole.dense - one.dense) / (plan.tensor - 1)
    return StageParameters(one.dense - divided, expert, divided)


def stage_holding(model: ModelSpec, stage: Sequence[LayerKind], plan: Plan) -> StageParameters:
    """What a rank holds of a stage; heads of one stage share their parameters."""
    layers = (layer_holding(model, kind, plan) for kind in unshared(stage, model.tied_embeddings))
    return sum(layers, StageParameters(0.0, 0.0))


def own_share(held: StageParameters, plan: Plan, holders: int) -> float:
    """The parameters that are one rank's own when each is divided over all that hold the same.

    holders : pipeline ranks that hold the stage

    >>> plan = Plan(2048, 16, 64, 128, 2, 120, 4096, 4096)
    >>> own_share(StageParameters(dense=256.0, expert=4.0), plan, 2)  # over 2 x 128 ranks; over 2 x 2 copies
    2.0
    """
    ranks = holders * plan.groups * plan.group
    return (held.dense + held.divided * plan.tensor + held.expert * plan.expert) / ranks


def unshared(stage: Sequence[LayerKind], tied: bool = False) -> list[LayerKind]:
    """The layers of a stage that have parameters of their own: heads of one stage share theirs, and a tied head is
    the embedding where both are there."""
    heads = [kind for n, kind in enumerate(stage) if kind != "head" or "head" not in stage[:n]]
    return [kind for kind in heads if not (tied and kind == "embedding" and "head" in stage)]
