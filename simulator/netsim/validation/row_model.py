"""The model that a published row names, as the model table of one of netsim's jobs.

Sources spell one model in many ways (`LLAMA3.1_405B`, `Llama 3.1 405B`); a spelling is matched by its letters and
digits. `truncated to N layers` keeps the first N layers, `(w/o MTP)` leaves out the prediction module, `(tokendrop)`
and the kind of training (LoRA, SFT) are no part of the model.
"""

from __future__ import annotations

import re
from typing import Any

from netsim.errors import NetsimError
from netsim.specs import catalog
from netsim.specs.base import read_toml

#: how a spelling begins, lower case, letters and digits only -> job whose model it is; longer beginnings first
NAMES = {
    "gpt3175b": "gpt3-175b",
    "llama31405b": "llama-3.1-405b",
    "llama3405b": "llama-3.1-405b",
    "llama3170b": "llama-3.1-70b",
    "llama370b": "llama-3.1-70b",
    "llama318b": "llama-3.1-8b",
    "llama38b": "llama-3.1-8b",
    "llama270b": "llama2-70b",
    "qwen3235b": "qwen3-235b-a22b",
    "qwen330b": "qwen3-30b-a3b",
    "gptoss120b": "gpt-oss-120b",
    "gptoss20b": "gpt-oss-20b",
    "mixtral8x7b": "mixtral-8x7b",
    "mixtral8x22b": "mixtral-8x22b",
    "deepseekv3": "deepseek-v3",
    "deepseekv2": "deepseek-v2",
    "kimik2": "kimi-k2",
}
#: models whose layers netsim has no operators for, and why
UNKNOWN = {
    "nemotron": "Mamba layers are not modelled",
    "deepseekv4": "its layers are not published in a form that netsim reads",
    "llama4": "chunked attention and its mixture of dense and MoE layers are not modelled",
}


def model_tables(name: str) -> dict[str, Any]:
    """The model table of a published name.

    Raises NetsimError with the reason when netsim has no such model.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for start, reason in UNKNOWN.items():
        if plain.startswith(start):
            raise NetsimError(f"model {name}: {reason}")
    job = next((job for start, job in NAMES.items() if plain.startswith(start)), None)
    if job is None:
        raise NetsimError(f"model {name}: netsim has no such model")
    path = catalog.folder("workload") / f"{job}.toml"
    if not path.is_file():
        raise NetsimError(f"model {name}: netsim has no such model yet")
    return _cut(dict(read_toml(path)["model"]), name)


def _cut(model: dict[str, Any], name: str) -> dict[str, Any]:
    if "w/o MTP" in name:
        model["mtp_depth"] = 0
    if found := re.search(r"truncated to (\d+) layers", name):
        layers = int(found[1])
        model["layers"], model["mtp_depth"] = layers, 0
        if "dense_layers" in model:
            model["dense_layers"] = min(model["dense_layers"], layers)
    return model


def is_adapter(name: str) -> bool:
    """Whether only low-rank adapters are trained.

    >>> is_adapter("Llama2-70B LoRA"), is_adapter("LLAMA3_8B")
    (True, False)
    """
    return "lora" in name.lower()
