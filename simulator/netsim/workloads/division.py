"""How tensor and context parallelism divide a layer over the ranks that share a micro-batch.

Tensor parallelism as in Megatron, with sequence parallelism: the heads of attention, the width of a dense FFN and the
vocabulary are divided; those products see every token of the rank's context share. Between them (norms, residual
stream, latents of MLA, gate, experts) each rank has a share of the tokens. What is gathered travels in BF16 and is cast
to FP8 behind, by every rank.

Context parallelism: each rank has an equal share of every sequence, cut so that the causal pairs of all shares are
equal (the first and the last of 2 x `context` pieces, and so on inward), and meets the keys and values of the whole.

So the operations of all ranks add up to those of one that does everything. Projections of keys and values whose heads
are fewer than the ranks are repeated.

Source: Shoeybi et al. 2019, arXiv 1909.08053; Korthikanti et al. 2022, arXiv 2205.05198; Llama 3, arXiv 2407.21783,
section 3.3.2.
"""

from __future__ import annotations

from netsim.errors import SpecError
from netsim.specs.workload import ModelSpec


def check_division(model: ModelSpec, tensor: int, context: int, sequence_length: int) -> None:
    """Refuse a model that `tensor` x `context` ranks cannot share evenly.

    Raises SpecError naming the first of heads, FFN width, vocabulary or sequence that does not divide.
    """
    _at_least_one("tensor", tensor, model)
    _at_least_one("context", context, model)
    widths = {"heads": model.attention.heads, "vocabulary": model.vocabulary}
    if model.dense_count:
        widths["dense_width"] = model.dense_width
    for name, width in widths.items():
        if width % tensor:
            raise SpecError(model.name, "parallelism.tensor", tensor, f"must divide {name} = {width}")
    if sequence_length % (context * tensor):
        rule = f"tensor x context = {tensor * context}, must divide the sequence of {sequence_length} tokens"
        raise SpecError(model.name, "", None, rule)


def _at_least_one(name: str, value: int, model: ModelSpec) -> None:
    if value < 1:
        raise SpecError(model.name, f"parallelism.{name}", value, "must be at least 1")
