"""The plan of a published row: what its source leaves to a default of the framework, and its layout.

    micro-batches   torchtitan cuts the local batch of a pipeline into as many as it has stages; Megatron's default is
                    one sequence
    stages          torchtitan's interleaved schedule has two a rank; overlap of expert exchanges needs virtual stages
                    in Megatron, two at least
    layers          a layout string; else as many on every stage, and where they do not divide Megatron's rule, which
                    counts the embedding and the loss as a layer each

Source: pytorch/torchtitan of 2024-12, build_pipeline_schedule; NVIDIA/Megatron-LM, arguments.py and
pipeline_parallel_layer_layout.py.
"""

from __future__ import annotations

import re
from typing import Any

from netsim.errors import NetsimError
from netsim.validation.training_row import TrainingRow


def completed(row: TrainingRow, assumed: list[str]) -> TrainingRow:
    """The row with what its framework does by default where the source says nothing.

    Raises NetsimError where neither says it.
    """
    for key in ("sequence_length", "global_batch"):
        if getattr(row, key) is None:
            raise NetsimError(f"not published: {key.replace('_', ' ')}")
    given: dict[str, Any] = {}
    pp, titan = row.pp or 1, "torchtitan" in row.framework.lower()
    if pp > 1 and row.vp is None and ("interleaved" in (row.schedule or "").lower() or row.expert_overlap):
        given["vp"] = 2
        assumed.append("two virtual stages")
    if row.micro_batch is None:
        given["micro_batch"] = _titan_micro_batch(row, given.get("vp", row.vp) or 1) if titan else 1
        assumed.append(f"micro-batches of {given['micro_batch']} sequences")
    return row.model_copy(update=given)


def _titan_micro_batch(row: TrainingRow, vp: int) -> int:
    local = (row.global_batch or 0) * row.replica // row.gpus
    stages = (row.pp or 1) * vp
    if row.pp in (None, 1) or local % stages:
        raise NetsimError("not published: micro batch")
    return local // stages


def microbatches(row: TrainingRow) -> int:
    """Micro-batches of a pipeline in a step.

    Raises NetsimError where the batch does not divide.
    """
    assert row.global_batch is not None, "completed"
    assert row.micro_batch is not None, "completed"
    count, rest = divmod(row.global_batch * row.replica, row.gpus * row.micro_batch)
    if rest or not count:
        raise NetsimError(f"{row.global_batch} sequences are no whole micro-batches on {row.gpus} GPUs")
    return count


def stage_layers(row: TrainingRow, layers: int) -> list[int] | None:
    """Layers of each stage; None where the source says nothing and no rule of its framework applies."""
    stages = (row.pp or 1) * (row.vp or 1)
    if row.layout and "|" in row.layout:
        found = layers_of_layout(row.layout.split(" ")[0])
        if len(found) == stages and sum(found) == layers:
            return found
    return even_layers(layers, stages)


def even_layers(layers: int, stages: int) -> list[int] | None:
    """Layers of each stage by Megatron's rule; None where it does not apply.

    >>> even_layers(12, 4), even_layers(10, 4), even_layers(9, 4)
    ([3, 3, 3, 3], [2, 3, 3, 2], None)
    """
    if layers % stages == 0:
        return [layers // stages] * stages
    if (layers + 2) % stages == 0 and stages > 1:
        each = (layers + 2) // stages
        return [each - 1, *[each] * (stages - 2), each - 1]
    return None


def layers_of_layout(layout: str) -> list[int]:
    """Layers (`t`) of each stage of a layout of Megatron: stages end with `|`, `x*n` and `(...)*n` repeat.

    >>> layers_of_layout("Et*2|(t*3|)*2tmL")
    [2, 3, 3, 1]
    """
    text = layout
    while found := re.search(r"\(([^()]*)\)\*(\d+)|([A-Za-z])\*(\d+)", text):
        inner, times, letter, count = found.groups()
        text = text[: found.start()] + (inner or letter) * int(times or count) + text[found.end() :]
    return [stage.count("t") for stage in text.split("|")]
