"""Models with experts whose configs have words of their own: Llama 4, ERNIE, Ling, Hunyuan, Phi, Grok, DBRX."""

from __future__ import annotations

from netsim.errors import SpecError
from netsim.specs.huggingface.common import Tables, alternating, by_heads, every, first_dense, sizes, windowed
from netsim.specs.huggingface.config import Config


def llama4(config: Config) -> Tables:
    """Llama 4: attention inside pieces of the sequence but in every fourth layer, experts in every n-th one."""
    config.refuse("attention_bias", False)
    layers, stride = config.count("num_hidden_layers"), config.count("interleave_moe_layer_step", default=1)
    given = config.get("moe_layers")
    if given is not None and given != list(range(stride - 1, layers, stride)):
        raise SpecError(
            config.place, "moe_layers", given, f"is not modelled: must be every layer of {stride}"
        )
    config.get("use_qk_norm")  # an L2 norm without weights
    config.get("head_dim")
    width = config.count("intermediate_size")
    experts = {
        "experts": config.count("num_local_experts"),
        "shared": 1,
        "width": width,
        "top_k": config.count("num_experts_per_tok", default=1),
    }
    attention, piece = by_heads(config), config.none_or_count("attention_chunk_size")
    rotated, types = config.flags("no_rope_layers"), config.flags("layer_types")
    full = every(config, config.count("no_rope_layer_interval", default=4))
    if types:
        full = [one == "full_attention" for one in types]
    elif rotated:
        full = [not one for one in rotated]
    inner = config.count("intermediate_size_mlp", default=2 * width)
    return {
        **sizes(config),
        **alternating(attention, {**attention, "chunk": piece}, full if piece else [True] * layers),
        **({"moe_every": stride, "dense_width": inner} if stride > 1 else {}),
        "moe": experts,
    }


def ernie_moe(config: Config) -> Tables:
    """ERNIE 4.5 with experts."""
    layers, bias = config.count("num_hidden_layers"), config.flag("use_bias")
    first, last = config.none_or_count("moe_layer_start_index") or 0, config.get("moe_layer_end_index", -1)
    config.refuse("moe_layer_interval", 1)
    if last not in (-1, layers - 1):
        rule = f"is not modelled: must be the last of {layers} layers"
        raise SpecError(config.place, "moe_layer_end_index", last, rule)
    experts = {
        "experts": config.each("moe_num_experts"),
        "shared": config.none_or_count("moe_num_shared_experts") or 0,
        "width": config.each("moe_intermediate_size"),
        "top_k": config.count("moe_k"),
        "gate_bias": config.flag("moe_use_aux_free", True),
    }
    return {
        **sizes(config, True),
        "attention": by_heads(config, qkv_bias=bias, out_bias=bias),
        "dense_layers": first,
        "dense_width": config.count("intermediate_size") if first else 0,
        "ffn_bias": bias,
        "mtp_depth": config.none_or_count("num_nextn_predict_layers") or 0,
        "moe": experts,
    }


def bailing(config: Config) -> Tables:
    """Ling and Ring."""
    qkv = config.flag("use_qkv_bias")
    norm = "head" if config.flag("use_qk_norm", config.architecture.endswith("V2ForCausalLM")) else "none"
    width = config.count("moe_intermediate_size")
    shared = config.none_or_count("num_shared_experts") or 0
    inner = config.none_or_count("moe_shared_expert_intermediate_size")
    experts = {
        "experts": config.count("num_experts"),
        "shared": shared,
        "width": width,
        "top_k": config.count("num_experts_per_tok"),
        "groups": config.count("n_group", default=1),
        "group_limit": config.count("topk_group", default=1),
        "gate_bias": config.flag("moe_router_enable_expert_bias"),
        **({"shared_width": inner} if inner and shared and inner != width else {}),
    }
    config.refuse("use_bias", False)
    config.refuse("layer_group_size", 0, 1)
    return {
        **sizes(config),
        **first_dense(config, experts, "first_k_dense_replace"),
        "mtp_depth": config.none_or_count("num_nextn_predict_layers") or 0,
        "attention": by_heads(config, qkv_bias=qkv, qk_norm=norm),
    }


def hunyuan_moe(config: Config) -> Tables:
    """Hunyuan with experts; sizes may be written once for each layer."""
    config.refuse("use_cla", False)
    config.get("cla_share_factor"), config.get("dense_list")
    bias = config.flag("attention_bias")
    norm = "head" if config.flag("use_qk_norm", True) else "none"
    config.refuse("mlp_bias", False)
    config.refuse("moe_layer_num_skipped", 0)
    shared = config.each("num_shared_expert") if config.flag("use_mixed_mlp_moe", True) else 0
    config.get("num_shared_expert"), config.get("intermediate_size")
    experts = {
        "experts": config.each("num_experts"),
        "shared": shared,
        "width": config.each("moe_intermediate_size", "intermediate_size"),
        "top_k": config.each("moe_topk"),
    }
    return {
        **sizes(config),
        "attention": by_heads(config, qk_norm=norm, qkv_bias=bias, out_bias=bias),
        "moe": experts,
    }


def phimoe(config: Config) -> Tables:
    """Phi-3.5 MoE: LayerNorm and biases of attention and head."""
    bias = config.flag("attention_bias")
    window = config.none_or_count("sliding_window")
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    experts = {
        "experts": config.count("num_local_experts"),
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
    }
    return {
        **sizes(config), **windowed(config, attention, window), "moe": experts, "norm_bias": True,
        "head_bias": config.flag("lm_head_bias"),
    }  # fmt: skip


def grok(config: Config) -> Tables:
    """Grok 1 and 2: four norms a layer; the second with a dense FFN beside the experts, which is a shared one."""
    dense, routed = config.count("intermediate_size"), config.none_or_count("moe_intermediate_size")
    beside = config.flag("residual_moe")
    experts = {
        "experts": config.count("num_local_experts", "num_experts"),
        "width": routed or dense,
        "top_k": config.count("num_experts_per_tok"),
        **({"shared": 1, "shared_width": dense} if beside else {}),
    }
    config.get("num_experts")
    return {**sizes(config), "attention": by_heads(config), "moe": experts, "layer_norms": 4}


def dbrx(config: Config) -> Tables:
    """DBRX, whose sizes stand in tables of their own."""
    inner, ffn = config.inner("attn_config"), config.inner("ffn_config")
    hidden, heads = config.count("d_model"), config.count("n_heads")
    keys = inner.count("kv_n_heads", default=1)
    experts = {
        "experts": ffn.count("moe_num_experts", default=4),
        "width": ffn.count("ffn_hidden_size", default=3584),
        "top_k": ffn.count("moe_top_k", default=1),
    }
    for one in (inner, ffn):
        one.refuse_unread()
    return {
        "layers": config.count("n_layers"),
        "hidden": hidden,
        "vocabulary": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
        "attention": {
            "kind": {1: "mqa", heads: "mha"}.get(keys, "gqa"),
            "heads": heads,
            "kv_heads": keys,
            "head_dim": hidden // heads,
        },
        "moe": experts,
    }
