"""Which layers live on which pipeline stage.

A stage is a tuple of layer kinds in forward order: `embedding`, `dense`, `moe`, `head`, `mtp_in`. The layers
are spread so that every stage holds the same number of *units*, a decoder layer being one unit and the output
head another (at DeepSeek-V3's sizes a head takes about the time of a layer: 7.6 against 5.5 TFLOP forward
for 4,096 tokens, at BF16 against FP8 efficiency); the embedding and the projection into a
multi-token-prediction module are free. For DeepSeek-V3 that is 61 + 1 + (1 + 1) = 64 units, four on each of
16 stages, so the last stage holds one layer, the head, and the multi-token-prediction module with its head.

Source: the technical report (arXiv 2412.19437, sections 2.2 and 3.2) says that the embedding and the head with
its multi-token-prediction module share a pipeline rank under DualPipe; the split itself is not published.
"""

from __future__ import annotations

from typing import Literal

from netsim.errors import SpecError
from netsim.specs import ModelSpec

LayerKind = Literal["embedding", "dense", "moe", "head", "mtp_in"]
Stage = tuple[LayerKind, ...]
_FREE = ("embedding", "mtp_in")


def model_layers(model: ModelSpec) -> Stage:
    """Every layer of the model in forward order, heads and multi-token-prediction modules included."""
    dense: Stage = ("dense",)
    moe: Stage = ("moe",)
    prediction: Stage = ("mtp_in", "moe" if model.moe_layers else "dense", "head")
    body = dense * model.dense_layers + moe * model.moe_layers
    return ("embedding", *body, "head", *prediction * model.mtp_depth)


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
