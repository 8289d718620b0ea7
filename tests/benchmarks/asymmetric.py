"""Questions where nothing is alike: CPU seconds and memory of this checkout beside another revision, in one run.

    python tests/benchmarks/asymmetric.py --against REVISION      all rows
    python tests/benchmarks/asymmetric.py --only dragonfly        rows whose name contains the text, this checkout alone

Each row is a whole process, the two revisions in turn, and its figures are those that the operating system keeps of a
finished child: user and system seconds (of both cores together, so a busy machine disturbs them less than the clock
does) and the peak of memory. The kernels of each revision lie in a folder of their own and are compiled by small
questions first, which do not count; the row `first run` compiles them again. What a revision refuses, and what it does
not end in `--limit` seconds, is said in place of a figure. No figure is asserted.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
SCATTERED = ("--placement", "random", "--routing", "ecmp")
UNEVEN = ("--set", "variation.expert_load=lognormal:0.16", "--set", "variation.redrawn=microbatch")
SHORT = ("--set", "batch.microbatches=32")

#: row -> (what is asked, CPU seconds that it is meant to take)
ROWS: dict[str, tuple[tuple[str, ...], float]] = {
    "ft3 2,048 scattered": (("run", "-t", "ft3", "--gpus", "2048", *SCATTERED), 8),
    "mpft 16,384 uneven": (("run", "-t", "mpft", "--gpus", "16384", *UNEVEN), 30),
    "mpft 16,384 scattered": (("run", "-t", "mpft", "--gpus", "16384", *SCATTERED), 60),
    "dragonfly 2,048": (("run", "-t", "dragonfly", "--gpus", "2048"), 4),
    "dragonfly 8,192": (("run", "-t", "dragonfly", "--gpus", "8192"), 20),
    "compare three at 2,048": (("compare", "--topologies", "mpft,mrft,ft3", "--gpus", "2048", "-o", "FOLDER"), 20),
    "first run": (("run", "-t", "mpft", "--gpus", "2048"), 8),
    "ft3 131,072 uneven": (
        ("run", "-t", "ft3", "--set", "switch.radix=128", "--gpus", "131072", *UNEVEN[:2]), 600,
    ),
}  # fmt: skip
WARM_UP = (
    ("run", "-t", "ft3", "--gpus", "1024", *SCATTERED, *SHORT),
    ("run", "-t", "mpft", "--gpus", "1024", *UNEVEN, *SHORT),
    ("run", "-t", "dragonfly", "--gpus", "1024", *SHORT),
)


@dataclass(frozen=True)
class Cost:
    """What a process took; `said` is its last line when it did not end well."""

    cpu_s: float
    peak_bytes: int
    said: str = ""

    def __str__(self) -> str:
        return self.said or f"{self.cpu_s:.1f} s, {self.peak_bytes / 1e9:.2f} GB"


def run(root: Path, kernels: Path, question: tuple[str, ...], limit_s: float) -> Cost:
    """Ask the checkout at `root`, with compiled kernels kept in `kernels`."""
    env = os.environ | {"PYTHONPATH": str(root / "simulator"), "NUMBA_CACHE_DIR": str(kernels)}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        words = [f"{folder}/out" if word == "FOLDER" else word for word in question]
        child = subprocess.Popen(
            [sys.executable, "-m", "netsim", *words, "--quiet"],
            cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
        )  # fmt: skip
        alarm = threading.Timer(limit_s, os.killpg, (child.pid, signal.SIGKILL))
        alarm.start()
        _, status, usage = os.wait4(child.pid, 0)
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        lines = errors.read().decode().strip().splitlines()
    said = ""
    if child.returncode == -signal.SIGKILL:
        said = f"not done after {limit_s:g} s"
    elif child.returncode != 0:
        said = f"exit {child.returncode}: {lines[-1] if lines else ''}"
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said)


def compare(roots: dict[str, Path], only: str, limit_s: float) -> None:
    """Print the table, a row as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        kernels = {name: Path(folder) / name for name in roots}
        for name, root in roots.items():
            for question in WARM_UP:
                run(root, kernels[name], question, limit_s)
        print(f"| question | {' | '.join(roots)} | ratio | meant |\n|---|{'---|' * len(roots)}---|---|")
        for row, (question, meant_s) in ROWS.items():
            if only not in row:
                continue
            costs = []
            for name, root in roots.items():
                fresh = Path(folder) / f"{name}-fresh"
                costs.append(run(root, fresh if row == "first run" else kernels[name], question, limit_s))
            known = len(costs) == 2 and not any(cost.said for cost in costs)
            ratio = f"{costs[0].cpu_s / costs[1].cpu_s:.2f}" if known else "-"
            print(f"| {row} | {' | '.join(map(str, costs))} | {ratio} | {meant_s:g} s |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="REVISION", help="also run this revision")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains the text")
    parser.add_argument("--limit", type=float, default=600.0, metavar="SECONDS", help="of one process")
    asked = parser.parse_args()
    if not any(asked.only in row for row in ROWS):
        parser.error(f"--only {asked.only}: no such row; there are {', '.join(ROWS)}")
    roots = {"this": HERE}
    if not asked.against:
        compare(roots, asked.only, asked.limit)
        return
    git = ("git", "-C", str(HERE), "worktree")
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run([*git, "add", "--quiet", "--detach", str(other), asked.against], check=True)
        try:
            compare(roots | {asked.against: other}, asked.only, asked.limit)
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)


if __name__ == "__main__":
    main()
