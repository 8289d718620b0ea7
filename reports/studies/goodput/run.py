"""What redundancy of a fabric is worth over months: goodput.csv and goodput.png beside this file."""

from __future__ import annotations

import csv
from pathlib import Path

from netsim.reliability.closed_form import best_interval_s
from netsim.reliability.parts import part_classes
from netsim.reliability.study import (
    GoodputRequest,
    Policy,
    as_run,
    checkpoint_write_s,
    expected_goodput,
    goodput,
)
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas, save_png
from netsim.specs import load
from netsim.specs.case import make_case
from netsim.specs.reliability import ReliabilitySpec
from netsim.topologies import build

HERE = Path(__file__).parent
FABRICS = (("mpft", True), ("mpft", False), ("mpft_ideal", True), ("mpft_ideal", False), ("ft2", True))
SIZES = (512, 1024, 2048, 4096, 8192, 16384)


def main() -> None:
    table = load(ReliabilitySpec, "reliability", "llama3")
    rows = []
    for fabric, forwarding in FABRICS:
        case = make_case(fabric, overrides={"failover.forwarding": forwarding})
        policy = Policy(None, None, 600.0, 4)
        record = goodput(GoodputRequest(case, 2048, table, policy, days=30, runs=1000, seed=0))
        network = {"NIC", "NIC cable", "switch cable", "leaf switch", "spine switch"}
        parts = [p for p in record["parts"] if p["part"] in network]
        rows.append(
            {
                "fabric": fabric,
                "forwarding": forwarding,
                "stops_per_day": round(record["stops"]["per_day"], 3),
                "of_which_network": round(
                    sum(p["failures_per_day"] for p in parts if p["effect"] != "slows"), 3
                ),
                "goodput": round(record["goodput"]["total"], 5),
                "sampled_30_days": round(record["sampled"]["mean"], 5),
                "p5": round(record["sampled"]["p5"][-1], 5),
                "no_spare": round(record["by_spares"][0]["goodput"], 5),
                "slowest_part_away": round(
                    min(p["speed_while_away"] for p in parts if p["effect"] == "slows"), 5
                ),
            }
        )
    with (HERE / "goodput.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    save_png(figure(table), HERE / "goodput.png")


def _over_size(table: ReliabilitySpec, forwarding: bool, restart_s: float) -> list[float]:
    """Goodput at the best interval with a spare for every hundred hosts; parts that slow are taken to cost nothing."""
    found = []
    case = make_case("mpft", overrides={"failover.forwarding": forwarding})
    for gpus in SIZES:
        classes = part_classes(build(case.topology, case.hardware, gpus), table)
        rate = sum(c.rate_per_s for c in classes if c.effect != "slows")
        write_s = checkpoint_write_s(case)
        policy = Policy(None, None, restart_s, 2 + gpus // 800)
        run = as_run(classes, [1.0] * len(classes), policy, best_interval_s(write_s, rate), write_s)
        found.append(100 * expected_goodput(run)["total"])
    return found


def figure(table: ReliabilitySpec):  # type: ignore[no-untyped-def]
    fig, axes = canvas(width=6.4, height=3.6)
    for restart_s, style in ((600.0, "-"), (1800.0, "--")):
        for forwarding, colour in ((True, SIMULATED), (False, SECOND)):
            words = "hosts send over their other NICs" if forwarding else "a lost NIC or cable stops the job"
            axes.semilogx(
                SIZES, _over_size(table, forwarding, restart_s), style, color=colour, marker="o", markersize=3,
                base=2, label=f"{words}, restart {restart_s / 60:.0f} min",
            )  # fmt: skip
    axes.axhline(90, color=MUTED, linestyle=":", label="Llama 3 on 16,384 GPUs: above 90 %")
    axes.set(xlabel="GPUs", ylabel="goodput in the long run (%)", xticks=SIZES)
    axes.set_xticklabels([f"{n:,}" for n in SIZES])
    axes.set_ylim(None, 100)
    axes.legend(frameon=False, fontsize=8)
    return fig


if __name__ == "__main__":
    main()
