"""A model from its Hugging Face `config.json`: the keys of the architectures that netsim knows, under netsim's names.

Read: sizes, heads, experts and how they are grouped, multi-token prediction, tied embeddings. Not read: weights,
context extension, quantisation, whatever the parallel plan is. A key that changes the arithmetic and is not modelled
(sliding windows, biases of every projection, experts in every second layer) is refused, not ignored.

Source: the configuration classes of huggingface/transformers for each architecture.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError, SpecError
from netsim.specs import catalog


class _Config:
    """The keys of one file, asked for by name."""

    def __init__(self, place: str, keys: dict[str, Any]) -> None:
        self.place, self.keys = place, keys

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number of at least one."""
        value = self.keys.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise SpecError(self.place, "", None, f"{key} is missing, {self.architecture} has it")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SpecError(self.place, key, value, "must be a whole number of at least 1")
        return value

    def none_or_count(self, key: str) -> int | None:
        """A count, or None where the file says null or nothing; zero is none as well."""
        return self.count(key) if self.keys.get(key) not in (None, 0) else None

    def refuse(self, key: str, *fine: Any) -> None:
        """Only the values that are modelled."""
        if self.keys.get(key) not in (None, *fine):
            raise SpecError(self.place, key, self.keys[key], "is not modelled")

    @property
    def architecture(self) -> str:
        """The class of the model, as transformers names it."""
        named = self.keys.get("architectures")
        if not isinstance(named, list) or not named:
            raise SpecError(self.place, "", None, "architectures is missing: it names the class of the model")
        return str(named[0])


def model_tables(path: Path) -> dict[str, Any]:
    """The tables of a ModelSpec, from a config.json.

    Raises SpecError for an architecture that is not known, and a key that is missing, wrong or not modelled.
    """
    config = _Config(catalog.display(path), _read(path))
    if config.architecture not in ARCHITECTURES:
        # all of them: a similar name may be a very different model
        rule = f"is not modelled; known: {', '.join(sorted(ARCHITECTURES))}"
        raise SpecError(config.place, "architectures", config.architecture, rule)
    common = {
        "name": _name(path, config),
        "layers": config.count("num_hidden_layers"),
        "hidden": config.count("hidden_size"),
        "vocabulary": config.count("vocab_size"),
        "tied_embeddings": bool(config.keys.get("tie_word_embeddings", False)),
    }
    return common | ARCHITECTURES[config.architecture](config)


def with_config(data: dict[str, Any], beside: Path) -> dict[str, Any]:
    """The tables of a job whose `model.config` names a file: read, and under what the job says itself.

    beside : folder of the job, where the file is looked for after the working directory
    """
    model = data.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("config"), str):
        return data
    own = {key: value for key, value in model.items() if key != "config"}
    path = find(model["config"], beside)
    sources = {**data.get("sources", {}), "model": f"{catalog.display(path)}, a Hugging Face config.json"}
    return {**data, "model": _under(model_tables(path), own), "sources": sources}


def find(name: str, beside: Path | None = None) -> Path:
    """The file of a name: as it is, or beside a job.

    Raises NetsimError when there is none.
    """
    tried = [Path(name).expanduser(), *([beside / name] if beside else [])]
    for path in tried:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            break
    raise NetsimError(f"{name}: no such config.json of a model")


def _under(tables: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `tables`, key by key; a table that names its own kind is taken whole."""
    merged = dict(tables)
    for key, value in own.items():
        below = merged.get(key)
        inner = isinstance(value, dict) and isinstance(below, dict) and "kind" not in value
        merged[key] = _under(below, value) if inner and below else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    place = catalog.display(path)
    try:
        keys = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NetsimError(f"{place}: not valid JSON: {error}") from None
    except OSError as error:
        raise NetsimError(f"{place}: cannot be read: {error.strerror}") from None
    if not isinstance(keys, dict):
        raise NetsimError(f"{place}: must hold an object of keys and values, as a config.json of a model")
    return keys


def _name(path: Path, config: _Config) -> str:
    given = str(config.keys.get("_name_or_path") or "").rstrip("/").rpartition("/")[2]
    return given or (path.resolve().parent.name if path.stem == "config" else path.stem)


def _deepseek(config: _Config) -> dict[str, Any]:
    """DeepSeek-V2 and V3, and models of their architecture (Kimi K2)."""
    config.refuse("moe_layer_freq", 1)
    config.refuse("attention_bias", False)
    experts = config.none_or_count("n_routed_experts")
    layers = config.count("num_hidden_layers")
    dense = int(config.keys.get("first_k_dense_replace") or 0) if experts else layers
    return {
        "dense_layers": dense,
        "dense_width": config.count("intermediate_size") if dense else 0,
        "mtp_depth": config.none_or_count("num_nextn_predict_layers") or 0,
        "attention": {
            "kind": "mla",
            "heads": config.count("num_attention_heads"),
            **({"q_rank": rank} if (rank := config.none_or_count("q_lora_rank")) else {}),
            "kv_rank": config.count("kv_lora_rank"),
            "nope_dim": config.count("qk_nope_head_dim"),
            "rope_dim": config.count("qk_rope_head_dim"),
            "v_dim": config.count("v_head_dim"),
        },
        **({"moe": _deepseek_experts(config, experts)} if experts else {}),
    }


def _deepseek_experts(config: _Config, experts: int) -> dict[str, Any]:
    method = config.keys.get("topk_method", "greedy")
    methods = ("greedy", "group_limited_greedy", "noaux_tc")
    if method not in methods:
        raise SpecError(config.place, "topk_method", method, f"is not modelled: known: {', '.join(methods)}")
    limited = method != "greedy"
    return {
        "experts": experts,
        "shared": config.none_or_count("n_shared_experts") or 0,
        "width": config.count("moe_intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        "groups": config.count("n_group", 1) if limited else 1,
        "group_limit": config.count("topk_group", 1) if limited else 1,
        "gate_bias": method == "noaux_tc",
    }


def _by_heads(config: _Config, qkv_bias: bool = False) -> dict[str, Any]:
    heads = config.count("num_attention_heads")
    keys = config.count("num_key_value_heads", heads)
    return {
        "kind": {1: "mqa", heads: "mha"}.get(keys, "gqa"),
        "heads": heads,
        "kv_heads": keys,
        "head_dim": config.count("head_dim", max(1, config.count("hidden_size") // heads)),
        "qkv_bias": qkv_bias,
    }


def _llama(config: _Config) -> dict[str, Any]:
    config.refuse("attention_bias", False)
    config.refuse("mlp_bias", False)
    return {"dense_width": config.count("intermediate_size"), "attention": _by_heads(config)}


def _qwen2(config: _Config) -> dict[str, Any]:
    config.refuse("use_sliding_window", False)
    return {"dense_width": config.count("intermediate_size"), "attention": _by_heads(config, qkv_bias=True)}


def _mixtral(config: _Config) -> dict[str, Any]:
    config.refuse("sliding_window")
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
    }
    return {"attention": _by_heads(config), "moe": experts}


#: class of the model in transformers -> what its keys mean
ARCHITECTURES: dict[str, Callable[[_Config], dict[str, Any]]] = {
    "DeepseekV2ForCausalLM": _deepseek,
    "DeepseekV3ForCausalLM": _deepseek,
    "LlamaForCausalLM": _llama,
    "MixtralForCausalLM": _mixtral,
    "Qwen2ForCausalLM": _qwen2,
}
