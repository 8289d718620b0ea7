"""What ECMP loses to hash collisions: ring collectives of tensor-parallel neighbours over RoCE, 100 seeds.

python reports/studies/routing_collisions/run.py     writes routing_collisions.csv and .png beside this file
"""

import csv
from pathlib import Path

import numpy as np

from netsim.analysis.collisions import ROUTINGS, SEEDS, TP, Outcome, clean_probability, outcome
from netsim.reports.plots import MEASURED, MUTED, SECOND, SIMULATED, canvas, save_png
from netsim.specs import load
from netsim.specs.published import PublishedSpec

HERE = Path(__file__).parent
QUEUE_PAIRS = (1, 2, 4)
GPUS = (128, 512, 2048)


def measured() -> dict[tuple[int, str], float]:
    """ReduceScatter of figure 8, GB/s."""
    rows = load(PublishedSpec, "published", "isca25_fig8").rows
    mine = [
        row for row in rows if row.where["collective"] == "reduce_scatter" and row.where["routing"] != "ratio"
    ]
    return {
        (int(row.where["tp"]), str(row.where["routing"])): row.value for row in mine if row.value is not None
    }


def row(found: Outcome, gpus: int, published: float | None) -> dict[str, object]:
    """One line of the table; the percentile says where the measured value lies among the seeds."""
    best = outcome(found.tp, "adaptive", [0], gpus=gpus).mean
    below = None if published is None else float((found.mean_GBps < published).mean())
    return {
        "gpus": gpus,
        "tp": found.tp,
        "routing": found.routing,
        "queue_pairs": found.queue_pairs,
        "seeds": len(found.mean_GBps),
        "mean_GBps": round(found.mean, 2),
        "p05_GBps": round(found.quantile(0.05), 2),
        "p95_GBps": round(found.quantile(0.95), 2),
        "slowest_group_GBps": round(float(found.slowest_GBps.mean()), 2),
        "over_adaptive": round(found.mean / best, 3),
        "groups_without_collision": round(found.clean_groups, 3),
        "measured_GBps": published,
        "seeds_below_measured": None if below is None else round(below, 2),
    }


def table() -> list[dict[str, object]]:
    """All cases: the three routings on the full fabric, then ECMP with more queue pairs and on smaller fabrics."""
    value, seeds = measured(), range(SEEDS)
    rows = [row(outcome(tp, r, seeds, gpus=2048), 2048, value[tp, r]) for tp in TP for r in ROUTINGS]
    for gpus in GPUS:
        for parts in QUEUE_PAIRS:
            if (gpus, parts) != (2048, 1):
                rows += [row(outcome(tp, "ecmp", seeds, parts, gpus), gpus, value[tp, "ecmp"]) for tp in TP]
    return rows


def picture(path: Path) -> None:
    """Distribution over seeds of the mean group under ECMP, with what was measured."""
    value = measured()
    fig, axes = canvas(1, len(TP), width=8.4, height=3.0)
    for ax, tp in zip(axes, TP, strict=True):
        best = outcome(tp, "adaptive", [0]).mean
        for parts, colour in zip((1, 2), (SIMULATED, SECOND), strict=True):
            found = np.sort(outcome(tp, "ecmp", range(SEEDS), parts).mean_GBps)
            share = np.arange(1, found.size + 1) / found.size
            word = "queue pair" if parts == 1 else "queue pairs"
            ax.step(found, share, where="post", color=colour, label=f"ECMP, {parts} {word}")
        ax.axvline(best, color=MUTED, lw=1.2, label="adaptive, static")
        ax.axvline(value[tp, "ecmp"], color=MEASURED, ls="--", lw=1, label="measured, ECMP")
        ax.axvline(value[tp, "adaptive"], color=MEASURED, ls=":", lw=1, label="measured, adaptive")
        ax.set_xlim(0, 1.15 * best)
        ax.set_title(f"TP {tp}: {tp} groups, {8 // tp} of 8 NICs each", fontsize=9)
        ax.set_xlabel("algbw of the mean group, GB/s")
    axes[0].set_ylabel("share of seeds below")
    axes[0].legend(fontsize=6.5, loc="upper left")
    save_png(fig, path)


def main() -> None:
    """Write the table and the picture."""
    rows = table()
    with (HERE / "routing_collisions.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    picture(HERE / "routing_collisions.png")
    for tp in TP:
        print(f"TP {tp}: no collision in a group with probability {clean_probability(tp):.3f}")


if __name__ == "__main__":
    main()
