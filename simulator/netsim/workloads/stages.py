"""Which layers live on which pipeline stage.

A stage is a tuple of layer kinds in forward order (`netsim.workloads.layers`). The layers
are spread so that every stage holds the same number of *units*, a decoder layer being one unit and the output
head another (at DeepSeek-V3's sizes a head takes about the time of a layer: 7.6 against 5.5 TFLOP forward
for 4,096 tokens, at BF16 against FP8 efficiency); the embedding and the projection into a
multi-token-prediction module are free. For DeepSeek-V3 that is 61 + 1 + (1 + 1) = 64 units, four on each of
16 stages, so the last stage holds one layer, the head, and the multi-token-prediction module with its head. A job may
say how many layers each stage holds instead; then the ends go with the first and the last stage.

Source: the technical report (arXiv 2412.19437, sections 2.2 and 3.2) says that the embedding and the head with
its multi-token-prediction module share a pipeline rank under DualPipe; the split itself is not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from netsim.errors import SpecError
from netsim.specs import ModelSpec, WorkloadSpec
from netsim.workloads.layout import expand, layout_stages
from netsim.workloads.model import last_kind
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Order, schedule

#: `embedding`, `embedding_copy`, `head`, `mtp_in`, or one of `layers.BODY`
LayerKind = str
Stage = tuple[LayerKind, ...]
_FREE = ("embedding", "mtp_in")


def model_layers(model: ModelSpec) -> Stage:
    """Every layer of the model in forward order, heads and multi-token-prediction modules included."""
    prediction: Stage = ("mtp_in", last_kind(model), "head")
    return ("embedding", *model.kinds, "head", *prediction * model.mtp_depth)


def job_order(job: WorkloadSpec, plan: Plan) -> Order:
    """The schedule of a job.

    Raises SpecError for one that is unknown or cannot run these counts.
    """
    rounds = job.schedule.virtual_stages
    if job.parallelism.layout is not None and rounds is None and job.schedule.name == "interleaved":
        rounds = max(1, len(expand(job.parallelism.layout)) // plan.pipeline)
    return schedule(job.schedule.name, plan.pipeline, plan.microbatches, rounds, job.overlap.expert)


def job_stages(job: WorkloadSpec, order: Order) -> tuple[Stage, ...]:
    """The layers of each stage of a job, as it says or evenly.

    Raises SpecError when the layers cannot be divided so.
    """
    given, layout = job.parallelism.stage_layers, job.parallelism.layout
    model, count = job.model, order.stages
    if layout is not None and given is not None:
        rule = "has no effect beside parallelism.stage_layers, one of them says it"
        raise SpecError(job.name, "parallelism.layout", layout, rule)
    if layout is not None:
        stages = layout_stages(model, layout)
        if len(stages) != count:
            rule = f"has {len(stages)} stages, {job.schedule.name} on these ranks has {count}"
            raise SpecError(job.name, "", None, f"parallelism.layout: {layout!r}: {rule}")
    else:
        stages = split_layers(model, count) if given is None else given_layers(model, count, given)
    return with_copies(stages, order, model.tied_embeddings)


def with_copies(stages: tuple[Stage, ...], order: Order, tied: bool = False) -> tuple[Stage, ...]:
    """Stages with a copy of the embedding where a multi-token-prediction module needs it and its rank has none.

    DualPipe keeps the first and the last stage on the same ranks, and a tied head is the embedding: no copy there.
    """
    first = next(n for n, stage in enumerate(stages) if "embedding" in stage)

    def copied(number: int, stage: Stage) -> Stage:
        if "mtp_in" not in stage or (tied and "head" in stage) or same_ranks(order, first, number):
            return stage
        at = stage.index("mtp_in")
        return (*stage[:at], "embedding_copy", *stage[at:])

    return tuple(copied(number, stage) for number, stage in enumerate(stages))


def same_ranks(order: Order, one: int, other: int) -> bool:
    """Whether every rank that holds one stage holds the other."""
    return set(order.holders[other]) <= set(order.holders[one])


def shared_stages(stages: Sequence[Stage], order: Order, tied: bool) -> tuple[int, int] | None:
    """The two stages of different ranks that hold the same embedding, whose gradients are added up, if there are."""
    first = next((n for n, stage in enumerate(stages) if "embedding" in stage), 0)
    again = [n for n, stage in enumerate(stages) if "embedding_copy" in stage or (tied and "head" in stage)]
    apart = [n for n in again if not same_ranks(order, first, n)]
    return (first, apart[-1]) if apart else None


def given_layers(model: ModelSpec, stages: int, layers: Sequence[int]) -> tuple[Stage, ...]:
    """Stages of as many layers as `layers` says, with what comes before the first and after the last at the ends.

    Raises SpecError when these are not as many stages, or not as many layers.
    """
    if len(layers) != stages or sum(layers) != model.layers:
        found = f"{len(layers)} stages of {sum(layers)} layers"
        rule = f"parallelism.stage_layers: {found}, must be {stages} stages of {model.layers} layers"
        raise SpecError(model.name, "", None, rule)
    if 0 in layers[1:-1]:
        rule = "must hold a layer, only the first and the last may do without"
        raise SpecError(model.name, f"parallelism.stage_layers[{layers.index(0, 1)}]", 0, rule)
    every = model_layers(model)
    cuts = [0, *(1 + done for done in accumulate(layers[:-1])), len(every)]
    return tuple(every[begin:end] for begin, end in pairwise(cuts))


def split_layers(model: ModelSpec, stages: int) -> tuple[Stage, ...]:
    """The layers of each of `stages` stages, evenly in units, the first stages taking what is left over.

    Raises SpecError when there are more stages than units.
    """
    layers = model_layers(model)
    units = sum(kind not in _FREE for kind in layers)
    if stages > units:
        raise SpecError(
            model.name, "parallelism.pipeline", stages, f"must not exceed {units} layers and heads"
        )
    quota = [units // stages + (stage < units % stages) for stage in range(stages)]
    split: list[list[LayerKind]] = [[] for _ in range(stages)]
    stage = filled = 0
    for kind in layers:
        cost = int(kind not in _FREE)
        # a free layer before a boundary belongs with the layer that it feeds
        if filled == quota[stage]:
            stage, filled = stage + 1, 0
        split[stage].append(kind)
        filled += cost
    return tuple(tuple(part) for part in split)
