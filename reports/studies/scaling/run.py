"""How netsim's own cost grows with the cluster: one process a size, weak scaling, folded.

python reports/studies/scaling/run.py      writes scaling.csv and scaling.png beside this file
"""

import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
CASES: list[tuple[str, int, list[str]]] = [("mpft", gpus, []) for gpus in (1024, 2048, 4096, 8192, 16384)]
CASES += [("ft3", gpus, ["--set", "switch.radix=128"]) for gpus in (2048, 16384, 32768, 65536, 131072)]


def measure(topology: str, gpus: int, more: list[str]) -> dict[str, object]:
    """Wall time and peak memory of one whole process."""
    command = [sys.executable, "-c", "from netsim.cli import main; main()", "run", "--json"]
    command += ["--topology", topology, "--gpus", str(gpus), *more]
    child = (
        "import resource, subprocess, sys; "
        "out = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True).stdout; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(out)"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", child, *command], capture_output=True, text=True, check=True)
    wall = time.perf_counter() - began
    peak_kib, text = done.stdout.split("\n", 1)
    result = json.loads(text)
    ran = result["provenance"]["execution"]
    return {
        "topology": topology,
        "gpus": gpus,
        "wall_s": round(wall, 2),
        "peak_memory_GB": round(int(peak_kib) * 1024 / 1e9, 3),
        "flows": ran["flows"],
        "flow_classes": ran["flow_classes"],
        "step_s": round(result["step"]["time_s"], 4),
    }


def draw(rows: list[dict[str, object]]) -> Figure:
    """Wall time and memory against GPUs, logarithmic."""
    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2),
        ("wall_s", "peak_memory_GB"),
        ("wall time (s)", "peak memory (GB)"),
        strict=True,
    ):
        for name, mark in (("mpft", "o"), ("ft3", "s")):
            mine = [row for row in rows if row["topology"] == name]
            shown = "three layers, radix 128" if name == "ft3" else "multi-plane, radix 64"
            axes.plot([r["gpus"] for r in mine], [r[key] for r in mine], marker=mark, label=shown)
        axes.set(xscale="log", xlabel="GPUs", ylabel=label, ylim=(0, None))
        axes.set_xticks([1024, 4096, 16384, 65536], ["1 Ki", "4 Ki", "16 Ki", "64 Ki"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    """Measure every case, the first one twice to warm the compilation cache."""
    measure(*CASES[0])
    rows = [measure(*case) for case in CASES]
    with (HERE / "scaling.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw(rows).savefig(HERE / "scaling.png", dpi=120)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, "KiB at most")


if __name__ == "__main__":
    main()
