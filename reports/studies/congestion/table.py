"""Measure fluid against packets for every collective that netsim prices; writes the table that ships.

    python reports/studies/congestion/table.py

About ten minutes on one core.
"""

import csv
import sys
from pathlib import Path

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.request import make_setup
from netsim.congestion.against_fluid import compare, expert_bytes, plan_of
from netsim.errors import NetsimError
from netsim.specs import catalog, load
from netsim.specs.packets import PacketsSpec

FABRICS = [("mpft", "adaptive"), ("ft2", "adaptive"), ("ft2", "ecmp"), ("mrft", "ecmp")]
RANKS = 64
SIZES = [1 << 20, 1 << 24]
TOKENS = 512
RADIX = {"switch.radix": 16}
FIELDS = ["kind", "algorithm", "fabric", "routing", "ranks", "size_bytes", "fluid_us", "packets_us", "ratio"]


def cases():
    for kind, collective in COLLECTIVES.items():
        for algorithm in collective.algorithms:
            yield from ((kind, algorithm, 8 if algorithm == "one_host" else RANKS, size) for size in SIZES)
    for kind in ("dispatch", "combine"):
        for mode in ("normal", "low_latency"):
            yield kind, mode, RANKS, round(expert_bytes(kind, TOKENS))


def main() -> None:
    spec = load(PacketsSpec, "transport", "spray")
    rows = []
    for fabric, routing in FABRICS:
        for kind, algorithm, ranks, size in cases():
            if algorithm == "one_host" and (fabric, routing) != FABRICS[0]:
                continue
            setup = make_setup(
                fabric, ranks, "nccl", kind="all_to_all", routing=routing,
                overrides={} if ranks == 8 or fabric == "mpft" else RADIX,
            )  # fmt: skip
            try:
                found = compare(setup, plan_of(setup, kind, algorithm), size, spec)
            except NetsimError as error:
                print(f"{kind} {algorithm} {fabric} {routing} {size}: {error}", file=sys.stderr)
                continue
            rows.append(
                {
                    "kind": kind, "algorithm": algorithm, "fabric": fabric, "routing": routing, "ranks": ranks,
                    "size_bytes": size, "fluid_us": f"{found.fluid_s * 1e6:.3f}",
                    "packets_us": f"{found.packets_s * 1e6:.3f}", "ratio": f"{found.ratio:.4f}",
                }
            )  # fmt: skip
            print(*rows[-1].values(), flush=True)
    path = Path(catalog.folder("transport")) / "fluid_against_packets.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("# Measured by reports/studies/congestion/table.py: transport spray, 4096 B, no header\n")
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
