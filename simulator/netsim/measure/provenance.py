"""The TOML beside a CSV: which GPU, driver, libraries and protocol its rows come from, and when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomli_w

from netsim.measure import timing


def beside(table: Path) -> Path:
    """Where the provenance of a table stands.

    >>> str(beside(Path("runs/h200.csv")))
    'runs/h200.toml'
    """
    return table.with_suffix(".toml")


def write(table: Path, machine: Mapping[str, object], seed: int, quick: bool) -> None:
    """Write the provenance of a table."""
    effort = timing.QUICK if quick else timing.Effort()
    text = tomli_w.dumps(
        {
            "table": table.name,
            "machine": dict(machine),
            "protocol": {
                "seed": seed,
                "quick": quick,
                "repetitions": f"{effort.fewest} to {effort.most}, for {effort.total_s * 1e3:g} ms of the kernel",
                "statistic": "median of CUDA-event times, with 10 % and 90 % quantiles",
                "cool": f"at most {timing.COOL_DUTY:.0%} duty: L2 flushed by a read of four times its size, then a "
                f"rest of three times the kernel and at least {timing.SHORTEST_REST_S * 1e6:g} us, before each "
                "repetition",
                "hot": f"back to back after {timing.HOT_WARM_UP_S * 1e3:g} ms of the same kernel, L2 warm; below "
                f"{timing.GRAPH_BELOW_S * 1e6:g} us replayed from a CUDA graph",
                "data": "normal random values",
            },
        }
    )
    beside(table).write_text(text, encoding="utf-8")
