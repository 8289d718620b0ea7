"""DeepSeek-V3 at 2,048 GPUs with something broken: from the start of the step, or from the middle on.

Run it from the root of a checkout: python reports/studies/faults/run.py (minutes); `--draw` makes the picture again of
the faults.csv that is there.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from netsim.analysis.impact import Effect
from netsim.errors import StalledError
from netsim.faults.history import resolve
from netsim.reports.plots import canvas, save_png
from netsim.specs.case import make_case
from netsim.specs.faults import parse_fault
from netsim.topologies import build
from netsim.training.simulate import Step, is_touched, lay_out, simulate_job
from netsim.workloads.plan import make_plan

HERE = Path(__file__).parent
GPUS = 2048
#: fabric -> what breaks; a link is a cable between a leaf and a spine
PARTS = {
    "mpft": {
        "NIC cable": ["link host0.0"],
        "1 link": ["link leaf0.0-spine0.0#0"],
        "2 links": ["link leaf0.0-spine0.0#0", "link leaf0.0-spine0.1#0"],
        "spine": ["switch spine0.0"],
        "leaf": ["switch leaf0.0"],
        "plane": ["plane 0"],
    },
    "mpft_ideal": {
        "NIC cable": ["link host0.0.0"],
        "1 link": ["link leaf0.0-spine0.0#0"],
        "2 links": ["link leaf0.0-spine0.0#0", "link leaf0.0-spine0.1#0"],
        "spine": ["switch spine0.0"],
        "leaf": ["switch leaf0.0"],
        "plane": ["plane 0"],
    },
    "mrft": {
        "NIC cable": ["link host0.0"],
        "1 link": ["link leaf0.0-spine0.0"],
        "2 links": ["link leaf0.0-spine0.0", "link leaf0.0-spine0.1"],
        "spine": ["switch spine0.0"],
        "leaf": ["switch leaf0.0"],
        "plane": ["plane 0"],
    },
    "ft3": {
        "NIC cable": ["link host0.0"],
        "1 link": ["link leaf0.0-spine0.0"],
        "2 links": ["link leaf0.0-spine0.0", "link leaf0.0-spine0.1"],
        "spine": ["switch spine0.0"],
        "leaf": ["switch leaf0.0"],
        "plane": ["plane 0"],
    },
}
WHEN = {"start": "", "middle": " at 50%"}


def rows_of(fabric: str) -> list[dict[str, object]]:
    """A row for each fault of a fabric."""
    case = make_case(fabric)
    topology, job = build(case.topology, case.hardware, GPUS), lay_out(case, make_plan(case.workload, GPUS))
    whole = simulate_job(case, topology, job)
    whole_s = float(whole.execution.end_s.max())
    rows: list[dict[str, object]] = [row(fabric, "none", "start", whole_s, Effect((), False, whole))]
    for what, parts in PARTS[fabric].items():
        for when, words in WHEN.items():
            strikes = resolve(topology, [parse_fault(f"{part} down{words}") for part in parts], whole_s)
            step: Step | None = whole
            stalled, touched = "", is_touched(whole, strikes)
            try:
                step = simulate_job(case, topology, job, strikes=strikes) if touched else whole
            except StalledError as error:
                step, stalled = None, str(error)
            effect = Effect(strikes, touched, step, stalled)
            rows.append(row(fabric, what, when, whole_s, effect))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def row(fabric: str, what: str, when: str, whole_s: float, effect: Effect) -> dict[str, object]:
    """What a fault costs; empty cells where the step stalls."""
    stalls = effect.step is None
    return {
        "fabric": fabric,
        "down": what,
        "from": when,
        "step_s": "" if stalls else f"{effect.step_s:.4f}",
        "added_ms": "" if stalls else f"{(effect.step_s - whole_s) * 1e3:.2f}",
        "added_percent": "" if stalls else f"{(effect.step_s / whole_s - 1) * 100:.3f}",
        "rerouted_GB": "" if stalls else f"{effect.rerouted_bytes / 1e9:.0f}",
        "standing_ms": "" if stalls else f"{effect.standing_s * 1e3:.2f}",
        "stage_groups_run": "" if effect.step is None else len(effect.step.traffic.multiplicity),
        "stalled": effect.stalled,
    }


def draw(rows: list[dict[str, str]]) -> None:
    """Added time by fault, a group of bars for each; a cross where the step stalls."""
    figure, axes = canvas(width=8.0, height=3.4)
    faults = list(PARTS["mpft"])
    colours = {"mpft": "#1769aa", "mpft_ideal": "#6fb1e0", "mrft": "#c2571a", "ft3": "#8a8a8a"}
    top = max(float(r["added_percent"]) for r in rows if r["added_percent"])
    for n, (fabric, colour) in enumerate(colours.items()):
        for k, fault in enumerate(faults):
            found = {r["from"]: r for r in rows if r["fabric"] == fabric and r["down"] == fault}
            at = k + (n - 1.5) * 0.2
            if found["start"]["stalled"]:
                axes.plot(at, top * 0.03, marker="x", color=colour, markersize=6, mew=1.5)
                continue
            label = fabric if k == 0 else None
            axes.bar(at, float(found["start"]["added_percent"]), 0.18, color=colour, label=label)
            axes.plot(
                at,
                float(found["middle"]["added_percent"]),
                marker="_",
                color="#222222",
                markersize=9,
                mew=1.5,
            )
    axes.plot([], [], marker="_", color="#222222", ls="", markersize=9, mew=1.5, label="from the middle")
    axes.plot([], [], marker="x", color="#222222", ls="", markersize=6, mew=1.5, label="the step stalls")
    axes.set_xticks(range(len(faults)), faults)
    axes.set_ylabel("added step time (%)")
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=8, ncols=2)
    save_png(figure, HERE / "faults.png")


def main() -> None:
    path = HERE / "faults.csv"
    if "--draw" not in sys.argv:
        rows = [r for fabric in PARTS for r in rows_of(fabric)]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with path.open(newline="") as file:
        draw(list(csv.DictReader(file)))


if __name__ == "__main__":
    main()
