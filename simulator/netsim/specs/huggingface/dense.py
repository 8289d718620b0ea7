"""Models without experts."""

from __future__ import annotations

from typing import Any

from netsim.specs.huggingface.common import Tables, by_heads, dense, every, sizes, windowed
from netsim.specs.huggingface.config import Config

_GEMMA_3 = {
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208, "sliding_window": 4096,
    "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
}  # fmt: skip


def llama(config: Config) -> Tables:
    """Llama 1 to 3, and what is built like it; biases where the file says so."""
    bias = config.flag("attention_bias")
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {**sizes(config), **dense(config, ffn_bias=config.flag("mlp_bias")), "attention": attention}


def granite(config: Config) -> Tables:
    """Granite: Llama with multipliers, tied unless it says otherwise."""
    return {**llama(config), "tied_embeddings": config.flag("tie_word_embeddings", True)}


def internlm2(config: Config) -> Tables:
    """InternLM 2: Llama whose biases have one name."""
    bias = config.flag("bias")
    return {**sizes(config), **dense(config), "attention": by_heads(config, qkv_bias=bias, out_bias=bias)}


def mistral(config: Config) -> Tables:
    """Mistral and Ministral: a window in all layers, or in those that `layer_types` names."""
    window = config.none_or_count("sliding_window")
    return {**sizes(config), **dense(config), **windowed(config, by_heads(config), window)}


def smollm3(config: Config) -> Tables:
    """SmolLM 3: some layers without positions, which weigh nothing."""
    config.get("no_rope_layers"), config.get("no_rope_layer_interval"), config.flag("use_sliding_window")
    config.get("layer_types")
    return {**llama(config), "tied_embeddings": config.flag("tie_word_embeddings", True)}


def arcee(config: Config) -> Tables:
    """AFM: Llama with a squared ReLU in place of a gate."""
    return {**llama(config), "gated": False}


def nemotron(config: Config) -> Tables:
    """Nemotron 4 and Minitron: two matrices with a squared ReLU between them, LayerNorm with a bias."""
    return {**llama(config), "gated": False, "norm_bias": True}


def _qwen_windows(config: Config, attention: Tables) -> Tables:
    """Qwen's windows: behind the first `max_window_layers`, where they are used at all."""
    if not config.flag("use_sliding_window"):
        config.get("sliding_window"), config.get("layer_types")
        return {"attention": attention}
    layers = config.count("num_hidden_layers")
    first = config.none_or_count("max_window_layers") or 0
    return windowed(
        config, attention, config.none_or_count("sliding_window"), [n < first for n in range(layers)]
    )


def qwen2(config: Config) -> Tables:
    """Qwen 1.5 to 2.5: biases of queries, keys and values."""
    return {**sizes(config), **dense(config), **_qwen_windows(config, by_heads(config, qkv_bias=True))}


def qwen3(config: Config) -> Tables:
    """Qwen 3: norms of queries and keys in place of biases."""
    bias = config.flag("attention_bias")
    attention = by_heads(config, qk_norm="head", qkv_bias=bias, out_bias=bias)
    return {**sizes(config), **dense(config), **_qwen_windows(config, attention)}


def seed(config: Config) -> Tables:
    """Seed-OSS."""
    attention = by_heads(
        config, qkv_bias=config.flag("attention_bias", True), out_bias=config.flag("attention_out_bias")
    )
    return {**sizes(config), **dense(config, ffn_bias=config.flag("mlp_bias")), "attention": attention}


def hunyuan(config: Config) -> Tables:
    """Hunyuan, dense: norms of queries and keys."""
    config.refuse("use_cla", False)
    config.get("cla_share_factor"), config.get("dense_list")
    bias = config.flag("attention_bias")
    norm = "head" if config.flag("use_qk_norm", True) else "none"
    return {
        **sizes(config),
        **dense(config, ffn_bias=config.flag("mlp_bias")),
        "attention": by_heads(config, qk_norm=norm, qkv_bias=bias, out_bias=bias),
    }


def ernie(config: Config) -> Tables:
    """ERNIE 4.5, dense."""
    bias = config.flag("use_bias")
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {**sizes(config, True), **dense(config, ffn_bias=bias), "attention": attention}


def exaone4(config: Config) -> Tables:
    """EXAONE 4: norms of queries and keys, windows between full attention in the larger one."""
    window, pattern = config.none_or_count("sliding_window"), config.get("sliding_window_pattern")
    full = every(config, len(pattern) if isinstance(pattern, str) else int(pattern or 4)) if window else None
    return {
        **sizes(config),
        **dense(config),
        **windowed(config, by_heads(config, qk_norm="head"), window, full),
    }


def olmo2(config: Config) -> Tables:
    """OLMo 2 and 3: norms over all queries and all keys; the third with windows."""
    bias = config.flag("attention_bias")
    attention = by_heads(config, qk_norm="width", qkv_bias=bias, out_bias=bias)
    window = config.none_or_count("sliding_window")
    return {**sizes(config), **dense(config), **windowed(config, attention, window, every(config, 4))}


def gemma(config: Config) -> Tables:
    """Gemma, first generation."""
    return {**llama(config), "tied_embeddings": config.flag("tie_word_embeddings", True)}


def gemma2(config: Config) -> Tables:
    """Gemma 2: four norms a layer, a window in every other one."""
    bias, window = config.flag("attention_bias"), config.count("sliding_window", default=4096)
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {
        **sizes(config, True), **dense(config), "layer_norms": 4,
        **windowed(config, attention, window, every(config, 2)),
    }  # fmt: skip


def gemma3(config: Config) -> Tables:
    """Gemma 3: norms of queries and keys, five windows to a full layer; its files leave defaults out."""
    config.keys = {**_GEMMA_3, **config.keys}
    bias, pattern = (
        config.flag("attention_bias"),
        config.count("sliding_window_pattern", "_sliding_window_pattern", default=6),
    )
    attention = by_heads(config, qk_norm="head", qkv_bias=bias, out_bias=bias)
    return {
        **sizes(config, True), **dense(config), "layer_norms": 4,
        **windowed(config, attention, config.count("sliding_window"), every(config, pattern)),
    }  # fmt: skip


def glm4(config: Config) -> Tables:
    """GLM 4 of 2025, dense: four norms a layer."""
    attention = by_heads(config, qkv_bias=config.flag("attention_bias"))
    return {**sizes(config), **dense(config), "layer_norms": 4, "attention": attention}


def cohere(config: Config) -> Tables:
    """Command R and A: attention and FFN side by side behind one norm, tied; the second generation with windows."""
    bias, window = config.flag("attention_bias"), config.none_or_count("sliding_window")
    config.refuse("use_qk_norm", False)
    pattern = config.count("sliding_window_pattern", default=4)
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {
        **sizes(config, True), **dense(config), "layer_norms": 1,
        **windowed(config, attention, window, every(config, pattern) if window else None),
    }  # fmt: skip


def phi(config: Config) -> Tables:
    """Phi 1 and 2: side by side behind one LayerNorm, two matrices, biases everywhere."""
    config.refuse("qk_layernorm", False)
    return {
        **sizes(config),
        **dense(config, ffn_bias=True),
        "gated": False, "layer_norms": 1, "norm_bias": True, "head_bias": True,
        "attention": by_heads(config, qkv_bias=True, out_bias=True),
    }  # fmt: skip


def phi3(config: Config) -> Tables:
    """Phi 3 and 4."""
    config.refuse("attention_bias", False)
    return {
        **sizes(config),
        **dense(config),
        **windowed(config, by_heads(config), config.none_or_count("sliding_window")),
    }


def starcoder2(config: Config) -> Tables:
    """StarCoder 2: two matrices, LayerNorm, biases everywhere."""
    bias = config.flag("use_bias", True)
    attention = by_heads(config, qkv_bias=bias, out_bias=bias)
    return {
        **sizes(config, True), **dense(config, ffn_bias=bias), "gated": False, "norm_bias": True,
        **windowed(config, attention, config.none_or_count("sliding_window")),
    }  # fmt: skip


def gpt2(config: Config) -> Tables:
    """GPT-2, and GPT-3 where its sizes are written so: learned positions, two matrices, biases, tied."""
    hidden, heads = config.count("n_embd"), config.count("n_head")
    return {
        "layers": config.count("n_layer"),
        "hidden": hidden,
        "vocabulary": config.count("vocab_size"),
        "positions": config.count("n_positions", "n_ctx", default=1024),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "dense_width": config.count("n_inner", default=4 * hidden),
        "attention": _every_head(heads, hidden // heads, qkv_bias=True, out_bias=True),
        **_plain(),
    }


def gpt_neox(config: Config) -> Tables:
    """GPT-NeoX and Pythia: rotary, two LayerNorms, biases, a head of its own."""
    bias = config.flag("attention_bias", True)
    config.get("use_parallel_residual")
    return {
        **sizes(config),
        **dense(config),
        "attention": by_heads(config, qkv_bias=bias, out_bias=bias),
        **_plain(),
    }


def opt(config: Config) -> Tables:
    """OPT: learned positions, of which two more than tokens, biases, tied."""
    hidden = config.count("hidden_size")
    config.refuse("word_embed_proj_dim", hidden)
    bias = config.flag("enable_bias", True)
    config.get("layer_norm_elementwise_affine"), config.get("do_layer_norm_before")
    return {
        **sizes(config, True),
        "positions": config.count("max_position_embeddings") + 2,
        "dense_width": config.count("ffn_dim"),
        "attention": by_heads(config, qkv_bias=bias, out_bias=bias),
        **_plain(),
    }


def falcon(config: Config) -> Tables:
    """Falcon: side by side, two matrices of four times the width, tied; one norm, or two in the larger ones."""
    hidden, heads = config.count("hidden_size"), config.count("num_attention_heads", "n_head")
    new = config.flag("new_decoder_architecture")
    grouped = config.count("num_kv_heads", "n_head_kv", default=heads)
    keys = grouped if new else 1 if config.flag("multi_query", True) else heads
    bias = config.flag("bias")
    parallel = config.flag("parallel_attn", True)
    norms = 2 if new and (config.none_or_count("num_ln_in_parallel_attn") or 2) == 2 else 1
    return {
        "layers": config.count("num_hidden_layers", "n_layer"),
        "hidden": hidden,
        "vocabulary": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", True),
        "dense_width": config.count("ffn_hidden_size", default=4 * hidden),
        "attention": {
            **_every_head(heads, hidden // heads, qkv_bias=bias, out_bias=bias),
            "kind": {1: "mqa", heads: "mha"}.get(keys, "gqa"),
            "kv_heads": keys,
        },
        **_plain(),
        "ffn_bias": bias,
        "layer_norms": norms if parallel else 2,
    }


def _every_head(heads: int, head_dim: int, **more: Any) -> Tables:
    return {"kind": "mha", "heads": heads, "kv_heads": heads, "head_dim": head_dim, **more}


def _plain() -> Tables:
    """The FFN and norms of GPT: two matrices with biases, LayerNorm."""
    return {"gated": False, "ffn_bias": True, "norm_bias": True}
