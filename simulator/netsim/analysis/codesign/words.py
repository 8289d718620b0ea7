"""An ablation in sentences: what each choice changed, in numbers, and what it left as it was."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

#: quantity -> how it is called, how a value of it is written, whether more of it is better
LABELS: dict[str, tuple[str, str, float]] = {
    "step_time_s": ("step", "{:.2f} s", 1.0),
    "memory_gb": ("memory of the fullest rank", "{:.1f} GB", 1.0),
    "nic_bytes_per_gpu": ("NIC bytes a GPU and step", "{:.1f} GB", 1e9),
    "network_usd": ("network", "{:.2f} M$", 1e6),
    "tokens_per_usd": ("training tokens a dollar", "{:.2f} M", 1e6),
    "kv_cache_bytes_per_token": ("KV cache a token", "{:.1f} KB", 1e3),
    "decode_tpot_ms": ("decode time a token", "{:.1f} ms", 1.0),
    "decode_tokens_per_s_per_gpu": ("decode tokens/s a GPU", "{:,.0f}", 1.0),
    "parameters": ("parameters", "{:.1f} B", 1e9),
    "gflop_per_token": ("training GFLOP a token", "{:,.0f}", 1.0),
}


def sentences(record: Row) -> list[Row]:
    """For each choice a paragraph, and of it the notes beside the numbers."""
    base, *rows = record["tables"]["ablation"]
    ratios = {row["choice"]: row for row in record["tables"]["worth"]}
    return [
        {
            "choice": row["choice"],
            "text": _said(base, row, ratios[row["choice"]]),
            "notes": _notes(base, row),
        }
        for row in rows
    ]


def _said(base: Row, row: Row, ratio: Row) -> str:
    head = f"Without {row['name']} ({row['instead']}): "
    changed = [text for key in LABELS if (text := _change(key, base, row, ratio))]
    same = [LABELS[key][0] for key in LABELS if ratio[key] == 1.0]
    parts = [f"{head}{'; '.join(changed)}."] if changed else [head[:-2] + "."]
    parts += _notes(base, row)
    if same:
        parts.append(f"Unchanged: {', '.join(same)}.")
    return " ".join(parts)


def _notes(base: Row, row: Row) -> list[str]:
    """What the numbers alone do not say."""
    if row["error"] and row["error"] == row["decode_error"]:
        return [f"Nothing to turn off: {row['error']}."]
    notes = []
    if row["error"]:
        notes.append(f"No training step: {row['error']}.")
    elif row["plan"] != base["plan"] or row["schedule"] != base["schedule"]:
        notes.append(f"It runs as {row['plan']}, {row['schedule']}.")
    if not row["error"] and base["fits"] and not row["fits"]:
        notes.append(f"Training does not fit into {row['capacity_gb']:.0f} GB.")
    if row["decode_error"]:
        notes.append(f"No decoding: {row['decode_error']}.")
    elif row["decode_batch"] != base.get("decode_batch"):
        notes.append(f"Decoding has room for {row['decode_batch']} requests a GPU.")
    return notes


def _change(key: str, base: Row, row: Row, ratio: Row) -> str:
    if ratio[key] is None or ratio[key] == 1.0:
        return ""
    label, form, scale = LABELS[key]
    return (
        f"{label} {form.format(base[key] / scale)} to {form.format(row[key] / scale)} ({times(ratio[key])})"
    )


def times(ratio: float) -> str:
    """A ratio for people.

    >>> times(1.254), times(0.9), times(15.8), times(1.0002), times(0.0)
    ('+25 %', '-10 %', 'x 15.8', '+0.02 %', 'none')
    """
    if ratio >= 2.0:
        return f"x {ratio:.3g}"
    change = (ratio - 1.0) * 100.0
    if change == -100.0:
        return "none"
    if abs(change) < 0.005:
        return "below 0.01 %"
    return f"{change:+.2g} %" if abs(change) < 10.0 else f"{change:+.0f} %"
