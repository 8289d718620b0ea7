"""What a published row computes again, as the words of a job.

Megatron's modules by name (`layernorm`, `mla_up_proj`, `core_attn`, `moe_act`, `shared_experts`, `mlp`, `moe`).
`full` is whole layers.
torchtitan's `selective` keeps every second product; where a source does not say whether it used it, it is taken.
"""

from __future__ import annotations

import re

#: word of a source -> word of a job, empty: nothing
WORDS = {
    "norm": "norm", "layernorm": "norm", "mla_up_proj": "mla_up", "core_attn": "core", "mlp": "mlp", "moe": "moe",
    "act": "act", "moe_act": "act", "none": "", "shared_experts": "shared_experts",
}  # fmt: skip


def recomputed(text: str | None) -> list[str]:
    """The `storage.recompute` of a row.

    >>> recomputed("norm, act"), recomputed("full"), recomputed("selective"), recomputed('selective ["mla_up_proj"]')
    (['norm', 'act'], ['layer'], ['half'], ['mla_up'])
    """
    words = re.findall(r"[a-z_]+", (text or "").lower())
    if "full" in words:
        return ["layer"]
    if words == ["selective"]:
        return ["half"]
    return list(dict.fromkeys(job for word in words if (job := WORDS.get(word, ""))))
