"""Models with experts and attention by heads."""

from __future__ import annotations

from netsim.errors import SpecError
from netsim.specs.huggingface.common import (
    Tables,
    by_heads,
    first_dense,
    sizes,
    step,
    windowed,
)
from netsim.specs.huggingface.config import Config


def mixtral(config: Config) -> Tables:
    """Mixtral."""
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
    }
    window = config.none_or_count("sliding_window")
    return {**sizes(config), **windowed(config, by_heads(config), window), "moe": experts}


def _qwen_experts(config: Config) -> Tables:
    width = config.none_or_count("shared_expert_intermediate_size")
    shared = {"shared": 1, "shared_width": width, "shared_gate": True} if width else {}
    return {
        "experts": config.count("num_experts", "num_local_experts"),
        "width": config.count("moe_intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        **shared,
    }


def _no_windows(config: Config) -> None:
    config.refuse("use_sliding_window", False)
    config.get("sliding_window")


def qwen2_moe(config: Config) -> Tables:
    """Qwen 1.5 and 2 with experts: a shared one of its own width behind a gate."""
    _no_windows(config)
    attention = by_heads(config, qkv_bias=config.flag("qkv_bias", True))
    return {**sizes(config), "attention": attention, **step(config, _qwen_experts(config))}


def qwen3_moe(config: Config) -> Tables:
    """Qwen 3 with experts."""
    _no_windows(config)
    bias = config.flag("attention_bias")
    attention = by_heads(config, qk_norm="head", qkv_bias=bias, out_bias=bias)
    return {**sizes(config), "attention": attention, **step(config, _qwen_experts(config))}


def olmoe(config: Config) -> Tables:
    """OLMoE: norms over all queries and all keys."""
    config.refuse("attention_bias", False)
    experts = {
        "experts": config.count("num_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
    }
    return {**sizes(config), "attention": by_heads(config, qk_norm="width"), "moe": experts}


def granite_moe(config: Config) -> Tables:
    """Granite with experts."""
    bias, shared = config.flag("attention_bias"), config.none_or_count("shared_intermediate_size")
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        **({"shared": 1, "shared_width": shared} if shared else {}),
    }
    return {
        **sizes(config, True),
        "attention": by_heads(config, qkv_bias=bias, out_bias=bias),
        "moe": experts,
    }


def gpt_oss(config: Config) -> Tables:
    """gpt-oss: a window in every other layer, sinks, biases everywhere."""
    bias = config.flag("attention_bias", True)
    attention = by_heads(config, qkv_bias=bias, out_bias=bias, sinks=True)
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok", "experts_per_token"),
        "gate_bias": True,
    }
    window = config.count("sliding_window", default=128)
    layers = config.count("num_hidden_layers")
    config.get("experts_per_token"), config.get("initial_context_length")
    full = [bool(n % 2) for n in range(layers)]
    return {**sizes(config), **windowed(config, attention, window, full), "ffn_bias": True, "moe": experts}


def glm4_moe(config: Config) -> Tables:
    """GLM 4.5 and 4.6, and dots.llm1."""
    bias = config.flag("attention_bias")
    norm = "head" if config.flag("use_qk_norm", config.architecture.startswith("Dots")) else "none"
    width = config.count("moe_intermediate_size")
    experts = {
        "experts": config.count("n_routed_experts"),
        "shared": config.none_or_count("n_shared_experts") or 0,
        "width": width,
        "top_k": config.count("num_experts_per_tok"),
        "groups": config.count("n_group", default=1),
        "group_limit": config.count("topk_group", default=1),
        "gate_bias": True,
    }
    config.get("sliding_window"), config.get("layer_types")
    return {
        **sizes(config),
        **first_dense(config, experts, "first_k_dense_replace"),
        "mtp_depth": config.none_or_count("num_nextn_predict_layers") or 0,
        "attention": by_heads(config, qkv_bias=bias, qk_norm=norm),
    }


def minimax_m2(config: Config) -> Tables:
    """MiniMax M2: norms over all queries and all keys, a bias of the gate."""
    types = config.flags("attn_type_list")
    if any(one != 1 for one in types):
        raise SpecError(config.place, "attn_type_list", types, "is not modelled: must be 1, full attention")
    config.refuse("shared_intermediate_size", 0)
    norm = "none" if config.get("use_qk_norm", True) is False else "width"
    config.refuse("qk_norm_type", "per_layer")
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        "gate_bias": config.flag("use_routing_bias", True),
    }
    # the published weights hold no such module
    depth = config.none_or_count("num_mtp_modules") or 0
    config.get("mtp_transformer_layers")
    return {
        **sizes(config), "attention": by_heads(config, qk_norm=norm), "moe": experts,
        "mtp_depth": depth if config.flag("use_mtp") else 0,
    }  # fmt: skip
