"""The TOML beside a CSV: which GPU, driver and libraries its rows come from, under which protocol, and when.

A table may be measured in several sessions; `first_row` says from which data row on a session's rows stand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from netsim.errors import NetsimError
from netsim.measure import timing


def beside(table: Path) -> Path:
    """Where the provenance of a table stands.

    >>> str(beside(Path("runs/h200.csv")))
    'runs/h200.toml'
    """
    return table.with_suffix(".toml")


def add_session(table: Path, first_row: int, machine: Mapping[str, object], seed: int, quick: bool) -> None:
    """Write, or add to, the provenance of a table; a session before it that added no row is forgotten.

    Raises NetsimError when there is a file that is no such provenance.
    """
    path = beside(table)
    try:
        before = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NetsimError(f"{path}: is in the way of the provenance of {table.name}: {error}") from error
    sessions = [s for s in before.get("session", []) if s["first_row"] < first_row]
    sessions.append({"first_row": first_row, "seed": seed, "quick": quick, **machine})
    facts = {"table": table.name, "protocol": _protocol(), "session": sessions}
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")


def write_soak(table: Path, facts: Mapping[str, object]) -> None:
    """Write the provenance of a soak (`netsim.measure.soak`), with its result."""
    beside(table).write_text(tomli_w.dumps({"table": table.name, **facts}), encoding="utf-8")


def _protocol() -> dict[str, object]:
    effort = timing.Effort()
    return {
        "statistic": "median of CUDA-event times, with 10 % and 90 % quantiles",
        "repetitions": f"{effort.fewest} to {effort.most}, for {effort.total_s * 1e3:g} ms of the kernel; measured "
        f"again, {timing.ATTEMPTS} times at most, while the spread exceeds {timing.WIDE_SPREAD:.0%}",
        "cool": f"at most {timing.COOL_DUTY:.0%} duty: L2 flushed by a read of four times its size, then a rest of "
        f"three times the kernel and at least {timing.SHORTEST_REST_S * 1e6:g} us, before each repetition",
        "hot": f"back to back after {timing.HOT_WARM_UP_S * 1e3:g} ms of the same kernel, L2 warm; below "
        f"{timing.GRAPH_BELOW_S * 1e6:g} us replayed from a CUDA graph",
        "data": "normal random values",
    }
