"""Pictures of the validation: measured points over simulated curves, one function a figure of the paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netsim.analysis import collisions
from netsim.collectives.sweep import sweep
from netsim.reports.plots import MEASURED, MUTED, SECOND, SIMULATED, canvas
from netsim.specs.published import PublishedSpec
from netsim.validation.experiments import setup
from netsim.validation.validate import Check

Figure = Callable[[PublishedSpec, list[Check]], Any]


def all_to_all_bandwidth(spec: PublishedSpec, checks: list[Check]) -> Any:
    """Figure 5: algbw over size for three cluster sizes."""
    counts = sorted({int(row.where["gpus"]) for row in spec.rows})
    fig, axes = canvas(1, len(counts), width=8.4, height=3.0)
    for ax, gpus in zip(axes, counts, strict=True):
        sizes = [1 << n for n in range(20, 35)]
        rows = sweep(setup("mpft", gpus), "all_to_all", [range(gpus)], sizes)
        ax.plot(sizes, [row.algbw_GBps for row in rows], color=SIMULATED, label="netsim")
        for fabric, marker in (("mpft", "o"), ("mrft", "x")):
            points = [row for row in spec.rows if row.where["fabric"] == fabric and row.where["gpus"] == gpus]
            ax.plot([_bytes(row.where["size"]) for row in points], [row.value for row in points], marker,
                    color=MEASURED, ms=4, mfc="none", label=f"measured, {fabric.upper()}")  # fmt: skip
        _size_axis(ax, [20, 24, 27, 30, 34])
        ax.set_title(f"{gpus} GPUs")
        ax.set_ylim(0, 65)
    axes[0].set_ylabel("all-to-all algbw, GB/s")
    axes[0].legend(fontsize=7, loc="lower right")
    return fig


def all_to_all_latency(spec: PublishedSpec, checks: list[Check]) -> Any:
    """Figure 6: time over size on 16 GPUs."""
    fig, ax = canvas()
    sizes = [1 << n for n in range(6, 34)]
    rows = sweep(setup("mpft", 16), "all_to_all", [range(16)], sizes)
    ax.plot(sizes, [row.time_us for row in rows], color=SIMULATED, label="netsim")
    points = [row for row in spec.rows if row.where["fabric"] != "both"]
    ax.plot([_bytes(row.where["size"]) for row in points], [row.value for row in points], "o", color=MEASURED,
            mfc="none", label="measured, mean of MPFT and MRFT")  # fmt: skip
    ax.set_yscale("log")
    _size_axis(ax, [6, 12, 18, 24, 30])
    ax.set_ylabel("all-to-all time on 16 GPUs, us")
    ax.legend()
    return fig


def expert_exchange_bars(spec: PublishedSpec, checks: list[Check]) -> Any:
    """Figure 7: logical GB/s of dispatch and combine."""
    fig, ax = canvas()
    place = np.arange(len(spec.rows))
    ax.bar(place - 0.2, [check.published for check in checks], 0.38, color=MUTED, label="measured")
    ax.bar(place + 0.2, [check.simulated for check in checks], 0.38, color=SIMULATED, label="netsim")
    for at, check in zip(place, checks, strict=True):
        ax.annotate(
            f"{check.error_pct:+.1f} %", (at + 0.2, check.simulated), ha="center", va="bottom", fontsize=7
        )
    ax.set_xticks(place, [f"{row.where['kernel']}\nEP{row.where['gpus']}" for row in spec.rows])
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("logical GB/s")
    ax.set_ylim(0, 75)
    ax.legend(loc="upper left", ncols=2)
    return fig


def routing_collision_bars(spec: PublishedSpec, checks: list[Check]) -> Any:
    """Figure 8: algbw under three routings; the whiskers of ECMP span nine seeds of ten."""
    fig, ax = canvas(width=6.8)
    mine = [row for row in spec.rows if row.where["collective"] == "reduce_scatter"]
    value = {(row.where["tp"], row.where["routing"]): row.value for row in mine}
    ticks: list[tuple[float, str]] = []
    for group, tp in enumerate(collisions.TP):
        for slot, routing in enumerate(collisions.ROUTINGS):
            at = 4.0 * group + slot
            found = collisions.outcome(tp, routing, range(collisions.SEEDS))
            low, high = found.mean - found.quantile(0.05), found.quantile(0.95) - found.mean
            label = group == slot == 0
            ax.bar(at - 0.2, value[tp, routing], 0.38, color=MUTED, label="measured" if label else None)
            ax.bar(at + 0.2, found.mean, 0.38, color=SIMULATED, label="netsim" if label else None)
            if routing == "ecmp":
                ax.errorbar(at + 0.2, found.mean, [[low], [high]], color=SECOND, capsize=3, lw=1.2,
                            label="5 to 95 % of seeds" if label else None)  # fmt: skip
            ticks.append((at, routing if slot != 1 else f"{routing}\nTP {tp}"))
    ax.set_xticks([at for at, _ in ticks], [word for _, word in ticks], fontsize=7)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("ReduceScatter algbw, GB/s")
    ax.legend(loc="upper left")
    return fig


def low_latency_times(spec: PublishedSpec, checks: list[Check]) -> Any:
    """DeepEP's low-latency kernels: time over expert-parallel width."""
    fig, ax = canvas()
    pairs = list(zip(spec.rows, checks, strict=True))
    for kernel, colour in (("dispatch", SIMULATED), ("combine", SECOND)):
        rows = [p for p in pairs if p[0].where["mode"] == "low_latency" and p[0].where["kernel"] == kernel]
        width = [row.where["gpus"] for row, _ in rows]
        ax.plot(width, [check.simulated for _, check in rows], color=colour, label=f"{kernel}, netsim")
        ax.plot(width, [check.published for _, check in rows], "o", color=colour, mfc="none",
                label=f"{kernel}, measured")  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks([8, 16, 32, 64, 128, 256], ["8", "16", "32", "64", "128", "256"])
    ax.set_xlabel("expert-parallel ranks")
    ax.set_ylabel("time of 128 tokens, us")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)
    return fig


#: published set -> its picture
FIGURES: dict[str, Figure] = {
    "deepep_h800": low_latency_times,
    "isca25_fig5": all_to_all_bandwidth,
    "isca25_fig6": all_to_all_latency,
    "isca25_fig7": expert_exchange_bars,
    "isca25_fig8": routing_collision_bars,
}

_NAMES = {
    6: "64 B",
    12: "4 KiB",
    18: "256 KiB",
    20: "1 MiB",
    24: "16 MiB",
    27: "128 MiB",
    30: "1 GiB",
    34: "16 GiB",
}


def _size_axis(ax: Any, powers: list[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks([1 << p for p in powers], [_NAMES[p] for p in powers], fontsize=7)
    ax.set_xlabel("message size")


def _bytes(size: str | int | float) -> float:
    from netsim import units

    return units.size(str(size))
