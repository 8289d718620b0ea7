"""How a GPU slows down under a training layer, and whether the H800 trace began at rest: power_limit.png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from netsim.measure.soak import COLD_LAYERS, Sample, read_samples, slowdown
from netsim.reports.plots import MEASURED, MUTED, SECOND, SIMULATED, canvas, save_png
from netsim.specs.catalog import root

HERE = Path(__file__).parent
MEASURED_AT = root() / "workloads/compute/measured"
TRACE = root() / "reports/studies/h800_trace/blocks.csv"
SIDES = {
    "h100_soak.csv": "H100, 20 SMs held, waiting",
    "h100_soak_copy.csv": "H100, 20 SMs held, copying",
    "h200_soak.csv": "H200, 20 SMs held, waiting",
}
#: blocks whose shapes no routing changes
FIXED = ("attn(B)", "attn(W)", "attn(F)")
#: ms of the kernels of attn(F) in the trace: the first of them were launched late, so its length says nothing
BUSY = {"attn(F)": (4.311, 4.263, 4.438, 4.467)}


def main() -> None:
    runs = {label: read_samples(MEASURED_AT / name) for name, label in SIDES.items()}
    for label, samples in runs.items():
        found = slowdown(samples)
        print(f"{label}: {found.factor:.3f} ({found.cold_ms:.2f} -> {found.steady_ms:.2f} ms)")
    first = next(iter(runs.values()))
    for block in FIXED:
        print(block, "trace", of_mean(trace(block)).round(3), "H100", of_mean(cold(first, block)).round(3))
    save_png(figure(runs), HERE / "power_limit.png")


def layers(samples: list[Sample], window: str) -> tuple[np.ndarray, np.ndarray]:
    """Start of each layer of a window, seconds, and its length, ms; the layer numbers of several runs together."""
    table = pd.DataFrame(samples)
    table = table[table["window"] == window]
    whole = table.groupby(["run", "layer"]).agg(t_s=("t_s", "first"), ms=("ms", "sum"))
    return whole["t_s"].to_numpy(), whole["ms"].to_numpy()


def cold(samples: list[Sample], block: str) -> np.ndarray:
    """(COLD_LAYERS,) ms of a block after rest, means over the runs."""
    table = pd.DataFrame(samples)
    mine = table[(table["window"] == "cold") & (table["block"] == block)]
    return np.asarray(mine.groupby("layer")["ms"].mean())[:COLD_LAYERS]


def trace(block: str) -> np.ndarray:
    """(4,) ms of a block of the public H800 trace, layer pair by layer pair."""
    if block in BUSY:
        return np.array(BUSY[block])
    rows = pd.read_csv(TRACE, comment="#")
    mine = rows[rows["block"] == block].sort_values("layer_pair")
    return np.asarray(mine["end_us"] - mine["start_us"], np.float64) * 1e-3


def of_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values / values.mean())


def figure(runs: dict[str, list[Sample]]) -> Any:
    fig, (left, right) = canvas(1, 2, width=9.0, height=3.4)
    for (label, samples), colour in zip(runs.items(), (SIMULATED, SECOND, "#009E73"), strict=True):
        start, ms = layers(samples, "long")
        left.plot(start + 0.027, ms, ".", markersize=2, color=colour, alpha=0.4)
        found = slowdown(samples)
        left.axhline(found.cold_ms, linestyle=":", linewidth=1, color=colour)
        left.axhline(found.steady_ms, linewidth=1, color=colour, label=f"{label}: {found.factor:.3f}")
    left.set(xscale="log", xlabel="time since rest (s)", ylabel="one layer, forward and backward (ms)")
    left.set_title("One training layer, over and over", fontsize=9)
    left.legend(fontsize=8, loc="upper right")
    samples = next(iter(runs.values()))
    for block, marker in zip(FIXED, ("o", "s", "^"), strict=True):
        right.plot(range(1, 5), of_mean(trace(block)), marker, color=MEASURED, label=f"{block}, H800 trace")
        right.plot(
            range(1, 5), of_mean(cold(samples, block)), marker + "-", color=SIMULATED, mfc="none", linewidth=1,
            label=f"{block}, H100 after rest",
        )  # fmt: skip
    right.axhline(1.0, linewidth=0.8, color=MUTED)
    right.set(
        xlabel="layer of the window", ylabel="time over its mean", xticks=range(1, 5), ylim=(0.96, 1.06)
    )
    right.set_title("Did the trace begin at rest?", fontsize=9)
    right.legend(fontsize=7.5, ncols=2, loc="upper left")
    return fig


if __name__ == "__main__":
    main()
