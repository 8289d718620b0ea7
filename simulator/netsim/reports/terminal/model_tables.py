"""Models side by side for a person at a terminal: a column each, a section for what they are and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netsim.analysis.models import ModelRequest

Record = dict[str, Any]
Row = tuple[str, ...]


def rows(records: Sequence[Record], ask: ModelRequest) -> list[Row]:
    """Every line, cells as text; empty cells where a model has no such thing."""
    lines: list[Row] = [("", *(record["model"]["name"] for record in records))]

    def section(title: str) -> None:
        lines.extend([("",) * (len(records) + 1), (title, *[""] * len(records))])

    def add(name: str, value: Callable[[Record], Any], form: str = "{:,.1f}", scale: float = 1.0) -> None:
        values = [_found(value, record) for record in records]
        if any(v is not None for v in values):
            cells = ("" if v is None else form.format(v / scale if scale != 1.0 else v) for v in values)
            lines.append(("  " + name, *cells))

    add("attention", lambda r: r["model"]["attention"], "{}")
    add("layers (dense)", lambda r: f"{r['model']['layers']} ({r['model']['dense_layers']})", "{}")
    add("experts, chosen", lambda r: _experts(r["model"]["moe"]), "{}")
    section("Parameters (billion)")
    add("total", lambda r: r["parameters"]["total"], scale=1e9)
    add("active", lambda r: r["parameters"]["active"], scale=1e9)
    add("  without the embedding", lambda r: r["parameters"]["active_without_embedding"], scale=1e9)
    for role in [role for role in records[0]["parameters"]["by_role"] if role != "norms"]:
        add(role, lambda r, role=role: r["parameters"]["by_role"][role] or None, "{:,.2f}", 1e9)  # type: ignore[misc]
    add("MTP modules, apart", lambda r: r["parameters"]["mtp"] or None, "{:,.2f}", 1e9)
    section("GFLOP a token")
    for step in ("forward", "training"):
        for mask, word in (("causal", "causal"), ("noncausal", "not causal")):
            add(f"{step}, {word}", lambda r, k=f"{step}_{mask}": r["flops_per_token"][k], scale=1e9)  # type: ignore[misc]
    section("KV cache a token (KB)")
    add("as it is, BF16", lambda r: r["kv_cache"]["bytes_per_token"]["bf16"], "{:,.3f}", 1e3)
    add("as it is, FP8", lambda r: r["kv_cache"]["bytes_per_token"]["fp8"], "{:,.3f}", 1e3)
    for kind in records[0]["kv_cache"]["bytes_per_token_by_kind"]:
        add(
            f"with {kind}, BF16",
            lambda r, k=kind: r["kv_cache"]["bytes_per_token_by_kind"][k],  # type: ignore[misc]
            "{:,.3f}",
            1e3,
        )
    section("Operations a byte, sequences")
    _blocks(records, "sequence", add)
    section("Operations a byte, decode")
    _blocks(records, "decode", add)
    for precision in ("bf16", "fp8"):
        add(
            f"the GPU at its {precision.upper()} peak",
            lambda r, p=precision: r["intensity"]["ridge"][p],  # type: ignore[misc]
            "{:,.0f}",
        )
    if any(record["job"] for record in records):
        _job(section, add, records)
    return lines


def notes(ask: ModelRequest) -> str:
    """For which tokens the lines hold."""
    return (
        f"GFLOP and sequences: {ask.sequence_length:,} tokens, forward. Decode: {ask.batch:,} sequences with "
        f"{ask.context:,} tokens\ncached, weights in the precision of the products and read once. Sent: dispatch and "
        "combine over NICs, the rest over any link."
    )


def _found(value: Callable[[Record], Any], record: Record) -> Any:
    """The value, or None where the record has no such part."""
    try:
        return value(record)
    except (KeyError, TypeError):
        return None


def _experts(moe: Record | None) -> str | None:
    return f"{moe['experts']}+{moe['shared']}, {moe['top_k']}+{moe['shared']}" if moe else None


def _blocks(records: Sequence[Record], what: str, add: Callable[..., None]) -> None:
    names = [name for record in records for name in record["intensity"][what]]
    for name in dict.fromkeys(names):
        if name not in ("tokens", "batch", "context"):
            add(name, lambda r, n=name: r["intensity"][what][n])


def _job(section: Callable[[str], None], add: Callable[..., None], records: Sequence[Record]) -> None:
    section("Training job")
    add("GPUs", lambda r: r["job"]["gpus"], "{:,}")
    for key in ("hardware", "parallelism", "schedule"):
        add(key, lambda r, k=key: r["job"][k], "{}")
    add("million tokens a step", lambda r: r["job"]["tokens_per_step"], scale=1e6)
    section("Fullest rank (GB)")
    for part in ("parameters", "gradients", "optimizer", "activations", "buffers", "total", "capacity"):
        add(part, lambda r, p=part: r["job"]["memory"][f"{p}_gb"])
    section("Sent a token (KB)")
    kinds = next(record["job"]["traffic_bytes_per_token"] for record in records if record["job"])
    for kind in kinds:
        add(kind, lambda r, k=kind: r["job"]["traffic_bytes_per_token"][k] or None, scale=1e3)
