"""Speed of the network engine, and of SimGrid on the same flows where it is installed.

    python tests/benchmarks/bench_network.py [--quick] [--only NAME ...] [--simgrid-timeout SECONDS]

Warm: every kernel has run once on a small case. A time covers building flows and their paths from ranks and tree,
folding them where the row says so (with the exact check), and simulating to the end, from scratch. A row of less
than 0.2 s is the median of `REPEATS` runs. Nothing here asserts a time.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

from netsim.network import components, state
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.folding import fold

sys.path.insert(0, str(Path(__file__).parents[1]))
import simgrid_oracle  # tests/simgrid_oracle.py

CAPACITY = 50e9
REPEATS = 15


@dataclass(frozen=True)
class Tree:
    """Two layers: `down` hosts a leaf, as many spines, destination mod spines; optionally a third layer of cores."""

    hosts: int
    down: int = 32
    leaves_per_pod: int = 0  # 0: two layers

    @property
    def leaves(self) -> int:
        return -(-self.hosts // self.down)

    @property
    def n_links(self) -> int:
        return 2 * self.hosts + 2 * self.leaves * self.down * (2 if self.leaves_per_pod else 1)

    def paths(self, src: np.ndarray, dst: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """CSR flow -> links for pairs in one pod: NIC, leaf-spine, spine-leaf, NIC."""
        leaf, spine = np.divmod(np.arange(self.hosts, dtype=np.int32), np.int32(self.down))
        up = 2 * self.hosts
        return tree_paths(
            src, dst, leaf, spine, np.array([self.hosts, up, up + self.leaves * self.down, self.down])
        )


@njit(cache=True)
def tree_paths(src, dst, leaf, spine, first):
    """One pass over the pairs; `first`: receiving NIC ports, uplinks, downlinks, and spines a leaf has a link to."""
    receive, up, down, spines = first
    ptr = np.empty(src.size + 1, np.int64)
    ids = np.empty(4 * src.size, np.int32)
    ptr[0] = at = 0
    for f in range(src.size):
        a, b = src[f], dst[f]
        ids[at] = a
        at += 1
        if leaf[a] != leaf[b]:
            ids[at] = up + leaf[a] * spines + spine[b]
            ids[at + 1] = down + leaf[b] * spines + spine[b]
            at += 2
        ids[at] = receive + b
        at += 1
        ptr[f + 1] = at
    return ptr, ids[:at]


@njit(cache=True)
def all_pairs(groups):
    """Source and destination of every ordered pair of different ranks, group by group."""
    n = groups.shape[1]
    src = np.empty(groups.shape[0] * n * (n - 1), np.int32)
    dst = np.empty(src.size, np.int32)
    at = 0
    for g in range(groups.shape[0]):
        for i in range(n):
            for j in range(n):
                if i != j:
                    src[at], dst[at] = groups[g, i], groups[g, j]
                    at += 1
    return src, dst


def all_to_all(
    tree: Tree, groups: np.ndarray, sizes: Callable[[int], np.ndarray | float]
) -> tuple[FlowTable, np.ndarray, np.ndarray]:
    """One batch per row of `groups`; `sizes` gives n whole bytes, or one number for all."""
    n = groups.shape[1]
    src, dst = all_pairs(groups)
    ptr, ids = tree.paths(src, dst)
    table = FlowTable(
        link_ptr=ptr,
        link_ids=ids,
        link_share=1.0,
        batch_ptr=np.arange(groups.shape[0] + 1) * n * (n - 1),
        unit_share=sizes(src.size),
        rate_cap=np.inf,
        weight=1.0,
    )
    return table, src, dst


def equal(_: int) -> float:
    return 1e6


def random(n: int) -> np.ndarray:
    return np.random.default_rng(2).integers(1, 10**6, n).astype(float)


def in_a_row(groups: int, ranks: int) -> np.ndarray:
    return np.arange(groups * ranks).reshape(groups, ranks)


def scattered(groups: int, ranks: int) -> np.ndarray:
    return np.random.default_rng(3).permutation(groups * ranks).reshape(groups, ranks)


#: name -> (tree, groups, sizes, folded, issue target s, slow)
CASES = {
    "32 x 64 equal": (Tree(2048), lambda: in_a_row(32, 64), equal, False, 0.1, False),
    "32 x 64 equal, folded": (Tree(2048), lambda: in_a_row(32, 64), equal, True, 0.005, False),
    "128 random sizes": (Tree(128), lambda: in_a_row(1, 128), random, False, 2.0, False),
    "256 random sizes": (Tree(256), lambda: in_a_row(1, 256), random, False, 30.0, True),
    "32 x 64 random sizes": (Tree(2048), lambda: in_a_row(32, 64), random, False, 4.0, False),
    "32 x 64 scattered": (Tree(2048), lambda: scattered(32, 64), equal, False, 10.0, False),
    "2048 x 64 equal": (Tree(131072), lambda: in_a_row(2048, 64), equal, False, 60.0, True),
    "2048 x 64 equal, folded": (Tree(131072), lambda: in_a_row(2048, 64), equal, True, 2.0, True),
}


def run_case(name: str) -> dict[str, float]:
    tree, groups, sizes, folded, _, _ = CASES[name]
    capacity = np.full(tree.n_links, CAPACITY)
    begin = time.perf_counter()
    table, _, _ = all_to_all(tree, groups(), sizes)
    built = time.perf_counter()
    n_flows = table.n_flows
    if folded:
        quotient = fold(capacity, table, batch_color=np.zeros(table.n_batches))
        capacity, table = quotient.capacity, quotient.table
    in_classes = time.perf_counter()
    s = state.make_state(capacity, table)
    components.run_by_component(s, np.arange(table.n_batches), np.zeros(table.n_batches))
    end = time.perf_counter()
    return {
        "flows": n_flows,
        "solves": int(s.counts[state.N_SOLVES]),
        "build": built - begin,
        "fold": in_classes - built,
        "run": end - in_classes,
        "total": end - begin,
    }


def run_ring(steps: int = 4094, ranks: int = 2048) -> dict[str, float]:
    tree = Tree(ranks)
    begin = time.perf_counter()
    ptr, ids = tree.paths(np.arange(ranks), (np.arange(ranks) + 1) % ranks)
    table = FlowTable(ptr, ids, 1.0, np.array([0, ranks]), 1e6, np.inf, 1.0)
    built = time.perf_counter()
    net, now = FluidNetwork(np.full(tree.n_links, CAPACITY), table), 0.0
    for _ in range(steps):
        net.start(now, [0])
        now = net.next_completion_s()
        net.advance(now)
    end = time.perf_counter()
    return {
        "flows": ranks * steps,
        "solves": net.solves,
        "build": built - begin,
        "fold": 0.0,
        "run": end - built,
        "total": end - begin,
    }


def median_row(run: Callable[[], dict[str, float]]) -> dict[str, float]:
    rows = [run()]
    if rows[0]["total"] < 0.2:
        rows += [run() for _ in range(REPEATS - 1)]
    return sorted(rows, key=lambda row: row["total"])[len(rows) // 2]


def simgrid_seconds(name: str, limit_s: float) -> float:
    """SimGrid's time to run (its platform is built outside the clock); inf when it does not end within the limit."""
    tree, groups, sizes, folded, _, _ = CASES[name]
    if folded or not simgrid_oracle.installed():
        return float("nan")
    table, src, dst = all_to_all(tree, groups(), sizes)
    try:
        return simgrid_oracle.finish_times(np.full(tree.n_links, CAPACITY), table, src, dst, limit_s)[1][
            "run"
        ]
    except subprocess.TimeoutExpired:
        return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="leave out the cases that take more than ten seconds"
    )
    parser.add_argument("--only", nargs="*", default=None, help="cases whose name contains one of these")
    parser.add_argument(
        "--simgrid-timeout", type=float, default=0.0, help="seconds per case; 0 leaves SimGrid out"
    )
    args = parser.parse_args()
    warm, _, _ = all_to_all(Tree(16, 4), in_a_row(2, 8), random)
    components.run_by_component(
        state.make_state(np.ones(Tree(16, 4).n_links), warm), np.arange(2), np.zeros(2)
    )
    for sizes in (random, equal):  # with and without copies of components
        warm, _, _ = all_to_all(Tree(16, 4), in_a_row(2, 8), sizes)
        fold(np.ones(Tree(16, 4).n_links), warm, batch_color=np.zeros(2))
    run_ring(2, 8)
    print(
        f"{'case':26}{'flows':>10}{'solves':>9}{'build s':>9}{'fold s':>8}{'run s':>9}{'total s':>9}{'flows/s':>10}"
        f"{'target s':>9}{'SimGrid s':>11}{'ratio':>8}{'peak GB':>9}"
    )
    for name in [*CASES, "ring of 2048"]:
        slow, target = (CASES[name][5], CASES[name][4]) if name in CASES else (False, 2.0)
        if (args.quick and slow) or (args.only is not None and not any(part in name for part in args.only)):
            continue
        row = median_row((lambda name=name: run_case(name)) if name in CASES else run_ring)
        theirs = (
            simgrid_seconds(name, args.simgrid_timeout)
            if args.simgrid_timeout and name in CASES
            else float("nan")
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{name:26}{row['flows']:10d}{row['solves']:9d}{row['build']:9.3f}{row['fold']:8.3f}{row['run']:9.4f}"
            f"{row['total']:9.3f}{row['flows'] / row['total']:10.3g}{target:9g}{theirs:11.2f}"
            f"{theirs / row['total']:8.1f}{peak:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
