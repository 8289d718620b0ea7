"""The lines of `netsim doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def lines(record: dict[str, Any]) -> Iterator[str]:
    """The record of `netsim.api.doctor` as text, what needs attention last."""
    memory = "" if record["memory_gb"] is None else f", {record['memory_gb']:g} GB of memory"
    yield f"netsim {record['netsim']}, Python {record['python']}, {record['system']}"
    yield f"{record['cores']} cores{memory}"
    cache = record["cache"]
    yield f"Compiled kernels: {cache['kernels']} in {cache['folder']}"
    yield f"GPUs: {', '.join(record['gpus']) or 'none (only netsim measure needs one)'}"
    yield "Packages: " + ", ".join(f"{row['package']} {row['installed']}" for row in record["packages"])
    for row in record["extras"]:
        if row["missing"]:
            yield f"Extra {row['extra']}: not installed ({', '.join(row['missing'])})"
    yield from (f"Attention: {problem}" for problem in record["problems"])
    if not record["problems"]:
        yield "Ready"
