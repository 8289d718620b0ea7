"""The formats that traffic can be written in: a new one is one module and one entry here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from netsim.errors import NetsimError, did_you_mean
from netsim.exporters.traffic import Exchange, summary

Files = tuple[dict[str, str | bytes], list[str]]


class Format(NamedTuple):
    """A format: what it is for, its module, and the function there."""

    words: str
    module: str
    function: str = "export"


FORMATS: dict[str, Format] = {
    "htsim": Format("connection matrix and fat-tree of htsim: packets, congestion control", "htsim"),
    "goal": Format("GOAL text of LogGOPSim and ATLAHS", "goal"),
    "chakra": Format("Chakra execution traces, a file a rank", "chakra"),
    "simgrid": Format("SimGrid platform and flow list, with a script that replays them", "simgrid"),
    "simai": Format("SimAI workload and topology", "simai"),
    "astra": Format("Chakra traces with ASTRA-sim's network, system and memory", "chakra", "export_astra"),
}


def format_of(name: str) -> Format:
    """Raises NetsimError for an unknown name."""
    if name not in FORMATS:
        raise NetsimError(f"no format {name!r}: {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def export(name: str, exchange: Exchange, folder: Path, force: bool = False) -> dict[str, Any]:
    """Write traffic into a folder; the record is also `export.json` there.

    Raises NetsimError for an unknown format, for traffic that it cannot hold, and for a folder that has files already.
    """
    chosen = format_of(name)
    if folder.exists() and not folder.is_dir():
        raise NetsimError(f"{folder}: is a file, must be a folder")
    if folder.exists() and any(folder.iterdir()) and not force:
        raise NetsimError(f"{folder}: has files already; add --force to overwrite them")
    write: Callable[[Exchange], Files] = getattr(
        importlib.import_module(f"netsim.exporters.{chosen.module}"), chosen.function
    )
    files, said = write(exchange)
    record = {"format": name, **summary(exchange), "said": [*exchange.said, *said], "files": sorted(files)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            path = folder / file
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        (folder / "export.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise NetsimError(f"{folder}: cannot be written: {error.strerror}") from None
    return record
