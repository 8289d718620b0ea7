"""The keys of one config.json, asked for by name; those that nobody asked for are named if they may say a size."""

from __future__ import annotations

import re
from typing import Any

from netsim.errors import SpecError

#: words in a key that may change how large a model is or what it computes
_SIZE = re.compile(
    r"size|width|dim|rank|head|layer|expert|num_|^n_|_num|bias|window|chunk|norm|freq|interval|period|every|pattern|"
    r"kernel|state|conv|topk|top_k|shared|share|group|tie|residual|gate|sparse|block|depth|indexer|index_"
)
#: keys with such a word that change nothing that is counted here
_HARMLESS = frozenset(
    (
        "norm_topk_prob", "moe_norm_topk_prob", "moe_norm_min", "use_norm_topk", "moe_normalize_expert_weights",
        "chunk_size_feed_forward", "num_return_sequences", "num_beams", "num_beam_groups", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "cross_attention_hidden_size", "tie_encoder_decoder", "num_labels",
        "router_jitter_noise", "input_jitter_noise", "seq_aux", "ep_size", "pretraining_tp", "max_window_layers",
        "max_position_embeddings", "original_max_position_embeddings", "query_pre_attn_scalar", "moe_use_aux_free",
        "moe_router_enable_expert_bias", "moe_use_hardware_balance", "moe_drop_tokens", "residual_in_fp32",
        "num_logits_to_keep", "attn_temperature_tuning",
    )
)  # fmt: skip
_HARMLESS_ENDS = (
    "_token_id", "_token_ids", "_dropout", "_eps", "_epsilon", "_init", "_coef", "_alpha", "_std", "_dtype",
)  # fmt: skip
_HARMLESS_STARTS = (
    "rope_",
    "rotary_",
    "vision_",
    "image_",
    "audio_",
    "video_",
    "bos_",
    "eos_",
    "pad_",
    "router_aux",
)


class Config:
    """The keys of one file or of a table inside it; `used` are those that were asked for."""

    def __init__(self, place: str, keys: dict[str, Any], architecture: str = "") -> None:
        self.place, self.keys, self.used = place, keys, set[str]()
        self.architecture = architecture

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key; None and a missing one are the default."""
        self.used.add(key)
        value = self.keys.get(key)
        return default if value is None else value

    def count(self, *names: str, default: int | None = None) -> int:
        """A whole number of at least one, under the first of several names that is there."""
        key = next((name for name in names if self.keys.get(name) is not None), names[0])
        self.used.update(names)
        value = self.keys.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise SpecError(self.place, "", None, f"{key} is missing, {self.architecture} has it")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SpecError(self.place, key, value, "must be a whole number of at least 1")
        return value

    def none_or_count(self, *names: str) -> int | None:
        """A count, or None where the file says null or nothing; zero is none as well."""
        self.used.update(names)
        key = next((name for name in names if self.keys.get(name) not in (None, 0)), None)
        return self.count(key) if key else None

    def each(self, *names: str) -> int:
        """A count that may be written as a list of one for each layer, all alike.

        Raises SpecError where layers differ.
        """
        key = next((name for name in names if self.keys.get(name) is not None), names[0])
        value = self.keys.get(key)
        if isinstance(value, list) and value:
            if any(one != value[0] for one in value):
                raise SpecError(self.place, key, value, "is not modelled: layers differ")
            self.keys = {**self.keys, key: value[0]}
        return self.count(*names)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise SpecError(self.place, key, value, "must be true or false")
        return value

    def flags(self, key: str) -> list[Any]:
        """A list with an entry for each layer, or nothing.

        Raises SpecError for another length.
        """
        value, layers = (
            self.get(key, []),
            self.count("num_hidden_layers", "n_layers", "n_layer", "num_layers"),
        )
        if not isinstance(value, list) or (value and len(value) != layers):
            raise SpecError(
                self.place, key, value, f"must be a list with an entry for each of {layers} layers"
            )
        return value

    def inner(self, key: str) -> Config:
        """A table inside; an empty one where there is none."""
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise SpecError(self.place, key, value, "must be an object of keys and values")
        return Config(self.place, value, self.architecture)

    def refuse(self, key: str, *fine: Any) -> None:
        """Only the values that are modelled."""
        value = self.get(key)
        if value not in (None, *fine):
            raise SpecError(self.place, key, value, "is not modelled")

    def refuse_unread(self) -> None:
        """Names the first key that may change the model's size and that nobody asked for.

        Raises SpecError.
        """
        for key, value in self.keys.items():
            if key not in self.used and _says_size(key, value):
                rule = f"is not understood in a {self.architecture}, and may change its size; without effect? remove it"
                raise SpecError(self.place, key, value, rule)


def _says_size(key: str, value: Any) -> bool:
    """Whether a key may change the model: a number, yes or a list under a name that speaks of sizes.

    >>> _says_size("extra_experts", 4), _says_size("extra_experts", 0), _says_size("norm_eps", 1e-6)
    (True, False, False)
    """
    if value in (None, False, 0, "", [], {}) or isinstance(value, str | float | dict):
        return False
    if key in _HARMLESS or key.startswith(_HARMLESS_STARTS) or key.endswith(_HARMLESS_ENDS):
        return False
    return _SIZE.search(key) is not None
