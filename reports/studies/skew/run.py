"""How much uneven experts, uneven GPUs and one slow GPU cost a step: skew.csv and skew.png beside this file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas, save_png
from netsim.specs.case import make_case
from netsim.training.result import phases, step_time_s
from netsim.training.simulate import simulate
from netsim.training.skew import skew

HERE = Path(__file__).parent
GPUS = 2048
#: log-normal widths of expert load; a rank of four experts has half of it
EXPERTS = (0.08, 0.16, 0.24, 0.32)
SPEEDS = (0.005, 0.01, 0.02)
SLOW = (1.05, 1.1, 1.2, 1.4)


def main() -> None:
    rows = [_row("none", 0.0, {})]
    for width in EXPERTS:
        load: dict[str, Any] = {"variation.expert_load": f"lognormal:{width}"}
        rows.append(
            _row("experts, by layer and micro-batch", width / 2, load | {"variation.redrawn": "microbatch"})
        )
    rows.append(_row("experts, by layer", 0.08, {"variation.expert_load": "lognormal:0.16"}))
    rows += [_row("speed of GPUs", width, {"variation.compute_sigma": width}) for width in SPEEDS]
    rows += [_row("one slow GPU", factor - 1, {"variation.slow": {"1000": factor}}) for factor in SLOW]
    with (HERE / "skew.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    save_png(figure(rows), HERE / "skew.png")


def _row(cause: str, width: float, overrides: dict[str, Any]) -> dict[str, Any]:
    step = simulate(make_case(overrides=overrides), GPUS)
    found = skew(step) if step.ranks is not None else None
    return {
        "cause": cause,
        "spread": round(width, 4),
        "step_s": round(step_time_s(step), 4),
        "pairs_s": round(phases(step).mean_s["1F1B"], 4),
        "bubble_s": round(phases(step).mean_s["bubble"], 4),
        "wait_p50_s": round(found["wait_s"]["p50"], 4) if found else 0.0,
        "wait_p99_s": round(found["wait_s"]["p99"], 4) if found else 0.0,
        "slowest_gpu": found["slowest"]["gpu"] if found else "",
        "slowest_is_last": round(found["slowest"]["last_fraction"], 3) if found else "",
    }


def figure(rows: list[dict[str, Any]]) -> Any:
    fig, (left, right) = canvas(1, 2, width=9.0, height=3.4)
    even = float(rows[0]["step_s"])

    def line(axes: Any, cause: str, colour: str, label: str) -> None:
        points = [(0.0, even)] + [
            (100 * float(r["spread"]), float(r["step_s"])) for r in rows if r["cause"] == cause
        ]
        axes.plot(*zip(*points, strict=True), "o-", color=colour, label=label)

    line(left, "experts, by layer and micro-batch", SIMULATED, "rows of experts, by rank")
    line(left, "speed of GPUs", SECOND, "speed of GPUs")
    left.set(xlabel="standard deviation between ranks (%)", ylabel="step (s)", ylim=(even - 0.4, None))
    left.legend(frameon=False)
    line(right, "one slow GPU", SIMULATED, "one GPU of 2,048 is slower")
    slower = [0.0, 40.0]
    right.plot(slower, [even * (1 + s / 100) for s in slower], "--", color=MUTED, label="all are")
    right.set(xlabel="slower by (%)", ylabel="step (s)")
    right.legend(frameon=False)
    return fig


if __name__ == "__main__":
    main()
