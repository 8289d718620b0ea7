"""The model that Megatron's arguments describe, as the table of a workload.

Left out: models whose layers differ in ways that arguments do not say (hybrid attention, windows by layer).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from netsim.importers.report import Notes

#: without these a model is not described
NEEDED = ("num_layers", "hidden_size", "num_attention_heads")


def model_table(given: Mapping[str, Any], notes: Notes, lent: bool) -> dict[str, Any] | None:
    """The table, or None where the arguments lack the widths. `lent` : whether a job lends its model instead"""
    missing = [name for name in NEEDED if not given.get(name)]
    if missing:
        return None
    layers, hidden, heads = (int(given[name]) for name in NEEDED)
    vocabulary = given.get("padded_vocab_size") or given.get("vocab_size")
    if not vocabulary:
        if lent:
            return None
        vocabulary = 128256
        notes.assumed.append(f"a vocabulary of {vocabulary:,} words: the file has none")
    gated = bool(given.get("swiglu") or given.get("gated_linear_unit"))
    width = int(given.get("ffn_hidden_size") or (_swiglu_width(hidden) if gated else 4 * hidden))
    table: dict[str, Any] = {
        "name": str(given.get("model_name") or f"{layers} layers of {hidden}"), "layers": layers, "hidden": hidden,
        "vocabulary": int(vocabulary), "gated": gated, "attention": _attention(given, hidden, heads),
        "tied_embeddings": not given.get("untie_embeddings_and_output_weights", True),
    }  # fmt: skip
    if given.get("position_embedding_type") == "learned_absolute":
        table["positions"] = int(given.get("max_position_embeddings") or 0)
    if mtp := given.get("mtp_num_layers"):
        table["mtp_depth"] = int(mtp)
    if given.get("num_experts"):
        table |= _experts(given, layers, width, notes)
    if not table.get("moe") or table.get("dense_layers") or table.get("moe_every", 1) > 1:
        table["dense_width"] = width
    return table


def _swiglu_width(hidden: int) -> int:
    """Megatron's default with SwiGLU: two thirds of four times, in multiples of 64."""
    return int(4 * hidden * 2 / 3 / 64) * 64


def _attention(given: Mapping[str, Any], hidden: int, heads: int) -> dict[str, Any]:
    if given.get("multi_latent_attention"):
        return {
            "kind": "mla", "heads": heads, "q_rank": given.get("q_lora_rank") or None,
            "kv_rank": int(given.get("kv_lora_rank") or 512), "nope_dim": int(given.get("qk_head_dim") or 128),
            "rope_dim": int(given.get("qk_pos_emb_head_dim") or 64), "v_dim": int(given.get("v_head_dim") or 128),
        }  # fmt: skip
    groups = given.get("num_query_groups")
    grouped = given.get("group_query_attention", groups is not None) and groups
    width = int(given.get("kv_channels") or hidden // heads)
    kv_heads = int(groups or heads) if grouped else heads
    return {"kind": "gqa" if kv_heads < heads else "mha", "heads": heads, "head_dim": width,
            **({"kv_heads": kv_heads} if kv_heads < heads else {})}  # fmt: skip


def _experts(given: Mapping[str, Any], layers: int, width: int, notes: Notes) -> dict[str, Any]:
    inner = int(given.get("moe_ffn_hidden_size") or width)
    moe: dict[str, Any] = {
        "experts": int(given["num_experts"]), "width": inner, "top_k": int(given.get("moe_router_topk") or 2),
    }  # fmt: skip
    if shared := given.get("moe_shared_expert_intermediate_size"):
        moe |= {"shared": 1, "shared_width": int(shared)}
    if groups := given.get("moe_router_num_groups"):
        moe |= {"groups": int(groups), "group_limit": int(given.get("moe_router_group_topk") or groups)}
    dense, every = _pattern(given.get("moe_layer_freq"), layers, notes)
    return {"moe": moe, "dense_layers": dense, **({"moe_every": every} if every > 1 else {})}


def _pattern(freq: object, layers: int, notes: Notes) -> tuple[int, int]:
    """Dense layers first, and every how many layers one has experts: 1, 2, or a list such as ([0]*3+[1]*58)."""
    if isinstance(freq, str):
        freq = _evaluated(freq)
    if freq is None or freq == 1:
        return 0, 1
    if isinstance(freq, int):
        return 0, freq
    if isinstance(freq, list) and len(freq) == layers and set(freq) <= {0, 1}:
        dense = freq.index(1) if 1 in freq else layers
        if all(freq[dense:]):
            return dense, 1
    notes.not_understood.append(f"moe_layer_freq = {str(freq)[:60]}: every layer is taken to have experts")
    return 0, 1


def _evaluated(text: str) -> object:
    """A number, or a list of numbers with + and * only, as Megatron takes it; None for anything else."""
    if re.fullmatch(r"\s*\d+\s*", text):
        return int(text)
    if not re.fullmatch(r"[\d\s\[\](),+*]{1,400}", text):
        return None
    try:
        return _list(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _list(node: ast.AST) -> list[int]:
    if isinstance(node, ast.List):
        return [int(ast.literal_eval(each)) for each in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _list(node.left) + _list(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        count = int(ast.literal_eval(node.right))
        if count <= 10_000:
            return _list(node.left) * count
    raise ValueError("no list")
