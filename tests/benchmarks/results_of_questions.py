"""Answers of some thirty questions, kept and compared: which simulated number moved, and by how much.

    python tests/benchmarks/results_of_questions.py write FOLDER      one NAME.json a question
    python tests/benchmarks/results_of_questions.py compare OLD NEW   exit 1 when any number differs
    python tests/benchmarks/results_of_questions.py table OLD NEW     old and new headline of each question, Markdown

Every preset at a small size and at 2,048 GPUs, every schedule, a fault, variation, serving, collectives and a sweep.
Before a change that must not move a number: write. After it: write elsewhere, and compare. Wall-clock times and the
version are left out. `--only TEXT` runs the questions whose name contains it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRESETS = ("mpft", "mpft_ideal", "mrft", "mrft3", "ft2", "ft2_roce", "ft3", "hpn", "rail_only", "slim_fly",
           "dragonfly", "torus")  # fmt: skip
SCHEDULES = ("1f1b", "interleaved", "zb1p", "dualpipe", "dualpipe_v")
LLAMA = ("--workload", "llama-3.1-405b", "--hardware", "h100", "--profile", "h100")
KEYS_OF_TIME = {"version", "wall_s", "elapsed_s", "created", "spec_sha256"}


def _questions() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    short = ("--set", "batch.microbatches=32")
    for preset in PRESETS:
        found[f"run_{preset}_2048"] = ("run", "-t", preset, "--gpus", "2048", *short)
        found[f"collective_{preset}_64"] = (
            "collective", "all_reduce", "-t", preset, "--gpus", "64", "--sizes", "64B:1GiB:64",
        )  # fmt: skip
    small = ("run", "--gpus", "512", "--set", "parallelism.pipeline=4", "--set", "batch.microbatches=8")
    for schedule in SCHEDULES:
        found[f"run_{schedule}"] = (*small, "--schedule", schedule)
    found["run_full"] = ("run", "--gpus", "2048")
    found["run_mixtral"] = ("run", "--gpus", "256", "--workload", "mixtral-8x22b")
    found["run_qwen"] = ("run", "--gpus", "256", "--workload", "qwen2.5-72b")
    found["run_llama"] = ("run", "-t", "ft2", "--gpus", "2048", *LLAMA)
    found["run_zero3"] = ("run", "--gpus", "256", "--workload", "qwen2.5-72b", "--set", "parallelism.zero=3")
    found["run_fault"] = (*small, "--fault", "nic host0.0 degraded to 50% at 1s for 1s")
    found["run_slow"] = (*small, "--set", "variation.slow.3=1.5")
    found["infer"] = ("infer", "--gpus", "256")
    for kind in ("all_to_all", "all_gather", "broadcast", "send_recv", "deepep"):
        sizes = () if kind == "deepep" else ("--sizes", "64B:1GiB:64")
        found[f"collective_{kind}"] = ("collective", kind, "-t", "mpft", "--gpus", "64", *sizes)
    found["sweep"] = (
        "sweep", "--vary", "topology=mpft,ft2", "--vary", "gpus=256,512", "--set", "parallelism.pipeline=4",
        "--set", "batch.microbatches=8", "--output", "{scratch}", "--quiet",
    )  # fmt: skip
    return found


def write(folder: Path, only: str) -> None:
    """Ask every question and keep what it answers; what it refuses is kept as well."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, words in _questions().items():
        if only in name:
            with tempfile.TemporaryDirectory() as scratch:
                asked = [word.format(scratch=f"{scratch}/study") for word in words]
                command = [sys.executable, "-m", "netsim", *asked, "--json"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            answer = json.loads(done.stdout) if done.returncode == 0 else {"refused": done.stderr.strip()}
            (folder / f"{name}.json").write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n")
            print(f"{name:28} {_headline(answer)}", file=sys.stderr, flush=True)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key in value:
            if key not in KEYS_OF_TIME:
                yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _leaves(item, f"{path}[{n}]")
    else:
        yield path, value


def _moved(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _kept(folder: Path, only: str) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if only in path.stem]


def compare(old: Path, new: Path, only: str) -> int:
    """Print every leaf that differs; 1 when there is one."""
    found = 0
    for path in _kept(old, only):
        if not (new / path.name).exists():
            continue
        before, after = (dict(_leaves(json.loads((each / path.name).read_text()))) for each in (old, new))
        moved = list(_moved(before, after))
        found += bool(moved)
        print(f"{path.stem}: {len(moved)} of {len(before)} differ" if moved else f"{path.stem}: equal")
        for key, was, now in moved[:6]:
            print(f"    {key}: {was} -> {now}")
    return int(found > 0)


def _headline(answer: Any) -> float | str:
    """The one number that stands for an answer: seconds of a step or of the last row."""
    if isinstance(answer, dict) and "refused" in answer:
        return f"refused: {answer['refused'][:90]}"
    leaves = dict(_leaves(answer))
    for ending in ("step.time_s", "tpot_s", "step_s"):
        for key in leaves:
            if key.endswith(ending):
                return float(leaves[key])
    times = [value for key, value in leaves.items() if key.endswith("time_us")]
    return float(times[-1]) * 1e-6 if times else "?"


def table(old: Path, new: Path, only: str) -> None:
    """Old and new headline of each question."""
    print("| question | old, s | new, s | change |\n|---|--:|--:|--:|")
    for path in _kept(old, only):
        was, now = (_headline(json.loads((each / path.name).read_text())) for each in (old, new))
        if isinstance(was, float) and isinstance(now, float):
            print(f"| {path.stem} | {was:.6g} | {now:.6g} | {(now / was - 1):+.2%} |")


def main() -> int:
    """Write, compare or tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["write", "compare", "table"])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    if args.what == "write":
        write(args.folders[0], args.only)
        return 0
    if len(args.folders) != 2:
        parser.error("compare and table take two folders, old and new")
    if args.what == "table":
        table(*args.folders, args.only)
        return 0
    return compare(*args.folders, args.only)


if __name__ == "__main__":
    sys.exit(main())
