"""An ablation as a page: the picture, a sentence a choice, the tables, and how each counterpart is defined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.analysis.codesign.choices import CHOICES
from netsim.analysis.codesign.words import LABELS, times
from netsim.reports.page import Column, Document, Figure, Figures, Listing, Section, Table, Text
from netsim.reports.page.parts import number, percent
from netsim.reports.plots import canvas, svg

Row = dict[str, Any]
#: quantities of the picture, and whether more of one is better
_SHOWN = (("step_time_s", False), ("tokens_per_usd", True), ("memory_gb", False), ("nic_bytes_per_gpu", False),
          ("network_usd", False), ("kv_cache_bytes_per_token", False), ("decode_tpot_ms", False),
          ("decode_tokens_per_s_per_gpu", True))  # fmt: skip
_WORSE, _BETTER = "#D55E00", "#0072B2"


def document(record: Row) -> Document:
    """The page of an ablation record."""
    ask, provenance = record["question"], record["provenance"]
    title = f"What the choices of {ask['model']} are worth on {ask['gpus']:,} GPUs over {ask['topology']}"
    subtitle = (
        f"By netsim {provenance['version']}: one simulated training step and one decode step with each choice replaced "
        f"by its conventional counterpart, one at a time; {ask['price_book']} prices, {ask['gpu_hour_usd']:g} $ a "
        f"GPU-hour, seed {ask['seed']}."
    )
    return Document(
        title, subtitle, sections(record), "report.json", record, f"netsim {provenance['version']}."
    )


def sections(record: Row) -> list[Section]:
    """The ablation as sections of a page."""
    tables, provenance = record["tables"], record["provenance"]
    names = {row["choice"]: row["name"] for row in tables["ablation"]}
    caption = (
        "Each quantity without the choice over the same with it, on a logarithmic scale: to the right there is more. "
        "Orange is worse than as it is, blue better; a dash did not run."
    )
    columns = [
        Column("name", "without", left=True), Column("instead", "instead", left=True),
        Column("step_time_s", "step, s", number(2)), Column("exposed_comm_s", "exposed, s", number(2)),
        Column("mfu_causal", "MFU", percent()), Column("tokens_per_usd", "tokens/$, M", number(2, 1e6)),
        Column("memory_gb", "memory, GB", number(1)), Column("fits", "fits"),
        Column("nic_bytes_per_gpu", "NIC, GB/GPU", number(1, 1e9)), Column("switches", "switches"),
        Column("network_usd", "network, M$", number(2, 1e6)),
        Column("kv_cache_bytes_per_token", "KV cache, KB", number(1, 1e3)), Column("decode_batch", "decode batch"),
        Column("decode_tpot_ms", "TPOT, ms", number(1)),
        Column("decode_tokens_per_s_per_gpu", "decode tokens/s/GPU", number(0)), Column("plan", "runs as", left=True),
    ]  # fmt: skip
    if any(row["error"] for row in tables["ablation"]):
        columns.append(Column("error", "no step because", left=True))
    if any(row["decode_error"] for row in tables["ablation"]):
        columns.append(Column("decode_error", "no decoding because", left=True))
    ratio = [
        Column("choice", "without", lambda choice: names[choice], left=True),
        *(Column(key, label, lambda v: "" if v is None else times(v)) for key, (label, _, _) in LABELS.items()),
    ]  # fmt: skip
    said = [(names[finding["choice"]], finding["text"]) for finding in record["findings"]]
    instead = [(CHOICES[name].name, CHOICES[name].detail) for name in record["question"]["choices"]]
    return [
        Section(
            "worth", "What each choice is worth",
            [Figures([Figure("ablation", caption, draw(record), wide=True)]), Listing(said)],
        ),
        Section(
            "ablation-table", "Every number",
            [
                Table("ablation", "With, and without each", columns, tables["ablation"], marked=0),
                Table("ratios", "Without over with", ratio, tables["worth"], folded=True),
            ],
        ),
        Section("counterparts", "What is taken instead", [Listing(instead)]),
        Section("asked", "Asked with", [Text(provenance["command"], "code")]),
    ]  # fmt: skip


def draw(record: Row) -> str:
    """A panel a quantity, a bar a choice."""
    worth: Sequence[Row] = record["tables"]["worth"]
    names = [row["name"] for row in record["tables"]["ablation"][1:]]
    fig, axes = canvas(2, len(_SHOWN) // 2, width=10.4, height=1.6 + 0.5 * len(names))
    for panel, (ax, (key, more_is_better)) in enumerate(zip(axes.ravel(), _SHOWN, strict=True)):
        values = [row[key] for row in worth]
        known = [value for value in values if value]
        low, high = min([1.0, *known]), max([1.0, *known])
        span = max(high / low, 1.3)
        for place, value in enumerate(values):
            if not value:
                ax.text(1.0, place, " –", va="center", fontsize=8)
                continue
            better = (value > 1.0) == more_is_better
            ax.barh(place, value - 1.0, 0.66, left=1.0, color=_BETTER if better else _WORSE, lw=0)
            if abs(value - 1.0) >= 5e-4:
                ahead = value > 1.0
                ax.text(value * span**0.03 if ahead else value / span**0.03, place, times(value), va="center",
                        ha="left" if ahead else "right", fontsize=7.5)  # fmt: skip
        ax.axvline(1.0, color="#1c2127", lw=0.8)
        ax.set_xscale("log")
        ax.set_xlim(low / (span**0.55 if low < 1.0 else span**0.05), high * span**0.55)
        ax.set_xticks([])
        ax.minorticks_off()
        ax.set_yticks(range(len(names)), names if panel % (len(_SHOWN) // 2) == 0 else [""] * len(names))
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_title(LABELS[key][0], fontsize=8.5, loc="left")
    return svg(fig)
