"""What a published row computes again, as the words of a job.

Megatron's modules by name (`layernorm`, `mla_up_proj`, `core_attn`, `moe_act`, `shared_experts`, `mlp`, `moe`).
`full` is whole layers.
torchtitan's `selective` keeps every second product; where a row does not say whether it used it, it is taken (the
commands of the benchmark with async TP do say so for 8B).
"""

from __future__ import annotations

import re

from netsim.validation.training_row import TrainingRow

#: word of a source -> word of a job, empty: nothing
WORDS = {
    "norm": "norm", "layernorm": "norm", "mla_up_proj": "mla_up", "core_attn": "core", "mlp": "mlp", "moe": "moe",
    "act": "act", "moe_act": "act", "none": "", "shared_experts": "shared_experts",
}  # fmt: skip


#: layers of a stage that Megatron-Bridge's performance recipes run again where they say "full" (llama3_8b on H100 and
#: llama3_70b on B200, FP8 with current scaling: recompute_num_layers = 5, method block)
BRIDGE_LAYERS = 5


def recompute_tables(row: TrainingRow) -> dict[str, list[str] | int]:
    """The keys of `storage` that say what a row computes again."""
    words = recomputed(row.recompute)
    if words == ["layer"] and row.framework.startswith("Megatron-Bridge"):
        return {"recompute": list(words), "recompute_layers": BRIDGE_LAYERS}
    return {"recompute": list(words)}


def recomputed(text: str | None) -> list[str]:
    """The `storage.recompute` of a row.

    >>> recomputed("norm, act"), recomputed("full"), recomputed("selective"), recomputed('selective ["mla_up_proj"]')
    (['norm', 'act'], ['layer'], ['half'], ['mla_up'])
    """
    words = re.findall(r"[a-z_]+", (text or "").lower())
    if "full" in words:
        return ["layer"]
    if words[:1] == ["selective"] and (len(words) == 1 or "or" in words):
        return ["half"]
    return list(dict.fromkeys(job for word in words if (job := WORDS.get(word, ""))))
