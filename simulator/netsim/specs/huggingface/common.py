"""What the configs of many architectures share: sizes, attention by heads, which layers have a window."""

from __future__ import annotations

from typing import Any

from netsim.specs.huggingface.config import Config

Tables = dict[str, Any]


def sizes(config: Config, tied: bool = False) -> Tables:
    """Layers, width and vocabulary. tied : what the architecture does where the file does not say"""
    return {
        "layers": config.count("num_hidden_layers"),
        "hidden": config.count("hidden_size"),
        "vocabulary": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", tied),
    }


def by_heads(config: Config, **more: Any) -> Tables:
    """Attention that keeps keys and values by head."""
    heads = config.count("num_attention_heads")
    keys = config.count("num_key_value_heads", default=heads)
    width = config.count("hidden_size")
    return {
        "kind": {1: "mqa", heads: "mha"}.get(keys, "gqa"),
        "heads": heads,
        "kv_heads": keys,
        "head_dim": config.count("head_dim", "attention_head_dim", default=max(1, width // heads)),
        **{key: value for key, value in more.items() if value},
    }


def alternating(attention: Tables, other: Tables, full: list[bool]) -> Tables:
    """`attention` in the layers where `full`, `other` in the rest; the keys of a ModelSpec.

    >>> alternating({}, {"window": 128}, [False, True, False, True])["full_every"]
    2
    >>> alternating({}, {"window": 128}, [False, False])
    {'attention': {'window': 128}}
    """
    if all(full) or not any(full):
        return {"attention": attention if all(full) else other}
    every = full.index(True) + 1
    tables = {"attention": attention, "alternate": other}
    if every > 1 and full == [(n + 1) % every == 0 for n in range(len(full))]:
        return {**tables, "full_every": every}
    return {**tables, "full_layers": [n for n, one in enumerate(full) if one]}


def windowed(config: Config, attention: Tables, window: int | None, full: list[bool] | None = None) -> Tables:
    """Attention with a window in the layers that `layer_types` names, or else in those that are not `full`."""
    types = config.flags("layer_types")
    if types:
        full = [one == "full_attention" for one in types]
    if full is None:
        full = [window is None] * config.count("num_hidden_layers")
    if window is None or all(full):
        return {"attention": attention}
    return alternating(attention, {**attention, "window": window}, full)


def every(config: Config, count: int) -> list[bool]:
    """Every layer of that number."""
    return [(n + 1) % count == 0 for n in range(config.count("num_hidden_layers"))]


def dense(config: Config, **more: Any) -> Tables:
    """A dense FFN in every layer."""
    return {
        "dense_width": config.count("intermediate_size"),
        **{key: value for key, value in more.items() if value},
    }


def first_dense(config: Config, experts: Tables, *names: str) -> Tables:
    """Experts behind the first dense layers."""
    count = config.none_or_count(*names) or 0
    width = config.none_or_count("intermediate_size") or 0
    return {"dense_layers": count, "dense_width": width if count else 0, "moe": experts}


def step(config: Config, experts: Tables) -> Tables:
    """Experts in every n-th layer, and a dense FFN in the others (`decoder_sparse_step`)."""
    config.refuse("mlp_only_layers", [])
    count = config.count("decoder_sparse_step", default=1)
    width = config.none_or_count("intermediate_size") or 0
    more = {"moe_every": count, "dense_width": width} if count > 1 else {}
    return {"moe": experts, **more}
