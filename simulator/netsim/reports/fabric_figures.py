"""Pictures of fabrics side by side: dollars per GPU over the number of GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netsim.reports.plots import canvas
from netsim.specs.prices import PriceBook


def curve_figure(rows: Sequence[dict[str, Any]], prices: PriceBook) -> Any:
    """Dollars per GPU over GPUs: the teeth are switches bought whole."""
    figure, axes = canvas(width=7.2, height=4.0)
    names = list(dict.fromkeys(row["name"] for row in rows))
    for number, name in enumerate(names):
        mine = [row for row in rows if row["name"] == name]
        axes.step(
            [row["gpus"] for row in mine], [row["usd_per_gpu"] / 1e3 for row in mine], where="post",
            label=name, color=COLOURS[number % len(COLOURS)], lw=1.4, ls="-" if number < len(COLOURS) else "--",
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    # a fabric that is nearly all fixed parts at small sizes would flatten the others
    axes.set_ylim(0, 2.0 * float(np.median([row["usd_per_gpu"] for row in rows])) / 1e3)
    axes.set_xlabel("GPUs")
    axes.set_ylabel(f"network, k$ a GPU ({prices.name} prices)")
    axes.legend(fontsize=8, ncols=2)
    return figure


#: colour-blind safe (Okabe and Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
