"""A PyTorch profiler trace (Kineto) with NCCL's metadata: its collectives by group and size, beside netsim's.

Reading and timing are those of `netsim calibrate --trace ... --topology`; here only the collectives are looked at, so
no profile is made. Without --topology the table has what was measured alone.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from netsim.calibration.beside import collectives_beside
from netsim.calibration.facts import hardware_of
from netsim.calibration.kineto import read_trace
from netsim.calibration.place import place
from netsim.calibration.rules import load_rules
from netsim.calibration.seen_collectives import collectives_of
from netsim.errors import NetsimError
from netsim.importers.report import Imported, Notes, Wanted
from netsim.specs import catalog


def read(path: Path, wanted: Wanted) -> Imported:
    """Raises NetsimError for a trace that is not whole, and for one in which no transfer names its message."""
    trace, notes, where = read_trace(path), Notes(), catalog.display(path)
    found, lost_s, lost = collectives_of(place(trace, load_rules(None, general=True)))
    if not found:
        raise NetsimError(
            f"{where}: no transfer names its message: record it with record_param_comms (PyTorch 2.4)"
        )
    notes.read.append(
        f"{len(trace.kernels)} kernels of {trace.device}, {len(found)} collectives by group and size"
    )
    if lost:
        notes.not_understood.append(f"{lost} transfers without a message, {lost_s * 1e3:.3g} ms")
    if wanted.topology is None:
        rows = [row.cells() for row in found]
        notes.assumed.append("netsim's times need a fabric: --topology")
    else:
        hardware = wanted.hardware or hardware_of(trace.device)
        if hardware is None:
            raise NetsimError(f"{where}: no hardware preset is of {trace.device}: name one with --hardware")
        rows = collectives_beside(found, wanted.topology, hardware, wanted.gpus or trace.world)
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    names = (
        "collective",
        "gpus",
        "size_bytes",
        "group",
        "runs",
        "time_us",
        "min_us",
        "netsim_us",
        "error_pct",
    )
    shown = [{name: row[name] for name in names if name in row} for row in rows]
    record = {"device": trace.device, "ranks": trace.world, "collectives": shown}
    return Imported("kineto", where, record, notes, {".csv": text.getvalue()})
