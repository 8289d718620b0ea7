"""Models with latent attention: DeepSeek V2 to V3.2, and what is built like them."""

from __future__ import annotations

from netsim.errors import SpecError
from netsim.specs.huggingface.common import Tables, sizes
from netsim.specs.huggingface.config import Config

_METHODS = ("greedy", "group_limited_greedy", "noaux_tc")


def deepseek(config: Config) -> Tables:
    """DeepSeek V2 to V3.2, and models of their architecture (Kimi K2)."""
    config.refuse("moe_layer_freq", 1)
    config.refuse("attention_bias", False)
    config.get("num_key_value_heads"), config.get("head_dim")
    experts = config.none_or_count("n_routed_experts")
    layers = config.count("num_hidden_layers")
    first = config.none_or_count("first_k_dense_replace") or 0
    dense = first if experts else layers
    width = config.none_or_count("intermediate_size")
    config.used.update(
        ("moe_intermediate_size", "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group")
    )
    return {
        **sizes(config),
        "dense_layers": dense,
        "dense_width": (width or config.count("intermediate_size")) if dense else 0,
        "mtp_depth": config.none_or_count("num_nextn_predict_layers") or 0,
        "attention": _attention(config),
        **({"moe": _experts(config, experts)} if experts else {}),
    }


def _attention(config: Config) -> Tables:
    rank, index = config.none_or_count("q_lora_rank"), config.none_or_count("index_n_heads")
    indexer = {}
    if index:
        indexer = {
            "index_heads": index,
            "index_dim": config.count("index_head_dim"),
            "index_keys": config.count("index_topk"),
        }
    return {
        "kind": "mla",
        "heads": config.count("num_attention_heads"),
        **({"q_rank": rank} if rank else {}),
        "kv_rank": config.count("kv_lora_rank"),
        "nope_dim": config.count("qk_nope_head_dim"),
        "rope_dim": config.count("qk_rope_head_dim"),
        "v_dim": config.count("v_head_dim"),
        **indexer,
    }


def _experts(config: Config, experts: int) -> Tables:
    # the class of V2 is greedy unless told otherwise; that of V3 has no such key and always limits groups
    usual = "greedy" if config.architecture == "DeepseekV2ForCausalLM" else "noaux_tc"
    method = config.get("topk_method", usual)
    if method not in _METHODS:
        raise SpecError(config.place, "topk_method", method, f"is not modelled: known: {', '.join(_METHODS)}")
    limited = method != "greedy"
    return {
        "experts": experts,
        "shared": config.none_or_count("n_shared_experts") or 0,
        "width": config.count("moe_intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        "groups": config.count("n_group", default=1) if limited else 1,
        "group_limit": config.count("topk_group", default=1) if limited else 1,
        "gate_bias": method == "noaux_tc",
    }
