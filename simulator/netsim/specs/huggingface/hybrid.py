"""Models with layers that carry a state (Mamba, gated delta rule) between layers of attention: counted."""

from __future__ import annotations

from typing import Any

from netsim.specs.huggingface.common import Tables, alternating, by_heads, every, sizes
from netsim.specs.huggingface.config import Config


def _recurrent(rule: str, heads: int, products: int, others: int, state: int) -> Tables:
    return {
        "kind": "recurrent", "rule": rule, "heads": heads, "products": products, "others": others, "state": state,
    }  # fmt: skip


def mamba2(config: Config) -> Tables:
    """Mamba-2: one product in for gate, input, groups of B and C and steps, one out; a convolution; a gated norm."""
    hidden, heads = config.count("hidden_size"), config.count("mamba_n_heads")
    inner = heads * config.count(
        "mamba_d_head", default=config.count("mamba_expand", default=2) * hidden // heads
    )
    config.count("mamba_expand", default=2)
    config.get("mamba_chunk_size")
    state, groups = config.count("mamba_d_state"), config.count("mamba_n_groups", default=1)
    mixed = inner + 2 * groups * state
    columns = inner + mixed + heads
    biases = mixed * config.flag("mamba_conv_bias", True) + (columns + hidden) * config.flag(
        "mamba_proj_bias"
    )
    others = mixed * config.count("mamba_d_conv") + biases + 3 * heads + inner
    return _recurrent("Mamba-2", heads, hidden * (columns + inner), others, inner * state)


def _mamba1(config: Config) -> Tables:
    """Mamba with norms of its steps, B and C, as in Jamba."""
    hidden = config.count("hidden_size")
    inner, state = config.count("mamba_expand", default=2) * hidden, config.count("mamba_d_state")
    rank = config.count("mamba_dt_rank")
    products = hidden * 3 * inner + inner * (rank + 2 * state) + rank * inner
    biases = inner * config.flag("mamba_conv_bias", True) + 3 * hidden * config.flag("mamba_proj_bias")
    others = inner * config.count("mamba_d_conv") + biases + inner * (state + 2) + rank + 2 * state
    return _recurrent("Mamba", inner, products, others, inner * state)


def jamba(config: Config) -> Tables:
    """Jamba: attention in one of eight layers, experts in every other one."""
    layers, period = config.count("num_hidden_layers"), config.count("attn_layer_period")
    offset = config.none_or_count("attn_layer_offset") or 0
    step, first = (
        config.count("expert_layer_period", default=1),
        config.none_or_count("expert_layer_offset") or 0,
    )
    config.refuse("expert_layer_offset", step - 1)
    width = config.count("intermediate_size")
    experts = {
        "experts": config.count("num_experts"),
        "width": width,
        "top_k": config.count("num_experts_per_tok"),
    }
    full = [n % period == offset for n in range(layers)]
    return {
        **sizes(config),
        **alternating(by_heads(config), _mamba1(config), full),
        "moe_every": first + 1,
        "dense_width": width,
        "moe": experts,
    }


def bamba(config: Config) -> Tables:
    """Bamba: Mamba-2, attention in the layers that are named."""
    given: Any = config.get("attn_layer_indices", [])
    bias = config.flag("attention_bias")
    full = [n in given for n in range(config.count("num_hidden_layers"))]
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {
        **sizes(config),
        "dense_width": config.count("intermediate_size"),
        **alternating(attention, mamba2(config), full),
    }


def granite_hybrid(config: Config) -> Tables:
    """Granite 4 H: Mamba-2, attention where `layer_types` says, experts beside a shared one."""
    full = [one == "attention" for one in config.flags("layer_types")]
    bias, shared = config.flag("attention_bias"), config.none_or_count("shared_intermediate_size")
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    count = config.none_or_count("num_local_experts")
    tables = {**sizes(config, True), **alternating(attention, mamba2(config), full)}
    config.get("intermediate_size"), config.get("num_experts_per_tok")
    if not count:
        return {**tables, "dense_width": shared or config.count("shared_intermediate_size")}
    experts = {
        "experts": count,
        "width": config.count("intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        **({"shared": 1, "shared_width": shared} if shared else {}),
    }
    return {**tables, "moe": experts}


def qwen3_next(config: Config) -> Tables:
    """Qwen3-Next: three layers of the gated delta rule to one of gated attention, a shared expert behind a gate."""
    hidden, values = config.count("hidden_size"), config.count("linear_num_value_heads")
    key_width = config.count("linear_num_key_heads") * config.count("linear_key_head_dim")
    value_dim = config.count("linear_value_head_dim")
    value_width = values * value_dim
    mixed = 2 * key_width + value_width
    others = mixed * config.count("linear_conv_kernel_dim", default=4) + 2 * values + value_dim
    state = values * config.count("linear_key_head_dim") * value_dim
    products = hidden * (mixed + value_width + 2 * values) + value_width * hidden
    rule = _recurrent("the gated delta rule", values, products, others, state)
    bias, types = config.flag("attention_bias"), config.flags("layer_types")
    full = every(config, config.count("full_attention_interval", default=4))
    if types:
        full = [one == "full_attention" for one in types]
    attention = by_heads(config, qk_norm="head", output_gate=True, qkv_bias=bias, out_bias=bias)
    config.refuse("mlp_only_layers", [])
    config.refuse("decoder_sparse_step", 1)
    config.get("intermediate_size")
    experts = {
        "experts": config.count("num_experts"),
        "width": config.count("moe_intermediate_size"),
        "top_k": config.count("num_experts_per_tok"),
        "shared": 1,
        "shared_width": config.count("shared_expert_intermediate_size"),
        "shared_gate": True,
    }
    return {**sizes(config), **alternating(attention, rule, full), "moe": experts}
