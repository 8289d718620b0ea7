"""Every fabric preset at 2,048 GPUs: parts, price, power, step time, all-to-all; writes fabrics.csv and the pictures.

Run it from the root of a checkout: python reports/studies/fabrics/run.py (minutes).
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GPUS = 2048
NAMES = (
    "mpft",
    "mpft_ideal",
    "mrft",
    "mrft3",
    "ft2",
    "ft3",
    "hpn",
    "rail_only",
    "slim_fly",
    "dragonfly",
    "torus",
)


def netsim(*arguments: str) -> Any:
    """What a command prints as JSON."""
    command = [sys.executable, "-c", "from netsim.cli import main; main()", *arguments, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def all_to_all(name: str, group: int) -> float:
    """GB/s that each GPU gets when all groups exchange 1 GiB a rank at once."""
    rows = netsim(
        "collective", "all_to_all", "-t", name, "-n", str(GPUS), "--group-size", str(group), "--sizes", "1GiB"
    )
    return float(rows[0]["algbw_GBps"])


def main() -> None:
    names = ",".join(NAMES)
    street = {row["name"]: row for row in netsim("topology", "compare", names, "--prices", "street_2026")}
    rows = []
    for row in netsim("topology", "compare", names, "--draw", str(HERE / "cost_over_size.png")):
        name = row["name"]
        step = netsim("run", "-t", name, "-n", str(GPUS), "-q")["step"]["time_s"]
        local, wide = all_to_all(name, 64), all_to_all(name, 512)
        rows.append(
            {
                "fabric": name,
                "switches": row["switches"],
                "links": row["switch_links"],
                "published_musd": round(row["network_usd"] / 1e6, 2),
                "street_musd": round(street[name]["network_usd"] / 1e6, 1),
                "street_low_musd": round(street[name]["network_usd_low"] / 1e6, 1),
                "street_high_musd": round(street[name]["network_usd_high"] / 1e6, 1),
                "power_kw": round(row["power_kw"]),
                "step_s": round(step, 2),
                "all_to_all_64_GBps": round(local, 1),
                "all_to_all_512_GBps": round(wide, 1),
                "usd_per_all_to_all_GBps": round(row["network_usd"] / (GPUS * local)),
                "bisection_GBps": round(row["bisection_GBps"]),
            }
        )
        print(rows[-1], file=sys.stderr)
    with (HERE / "fabrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name in ("mpft", "dragonfly"):
        netsim("topology", name, "--draw", str(HERE / f"{name}.png"))


if __name__ == "__main__":
    main()
