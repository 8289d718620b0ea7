"""What `netsim import` prints: what was found, what was not understood or assumed, findings, files, what to do next."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.explain_tables import print_explained
from netsim.reports.terminal.rows import print_rows

_OWN = ("kind", "file", "read", "not_understood", "assumed", "findings", "files", "then", "step")
_HEADINGS = {
    "read": "read",
    "findings": "found wrong",
    "not_understood": "not understood",
    "assumed": "assumed",
}


def print_import(record: dict[str, Any]) -> None:
    """The record of `netsim.api.files.import_file`."""
    print(f"{record['file']}: {record['kind']}")
    for key, value in record.items():
        if key not in _OWN and not isinstance(value, list | dict):
            print(f"  {key.replace('_', ' ')}: {value:.6g}" if isinstance(value, float) else
                  f"  {key.replace('_', ' ')}: {value}")  # fmt: skip
    for key, heading in _HEADINGS.items():
        for n, line in enumerate(record.get(key, ())):
            print(f"{heading if not n else '':<15} {line}")
    for key in ("scores", "collectives"):
        if record.get(key):
            print()
            _table(record[key])
    if "step" in record:
        _step(record["step"])
    if record.get("files"):
        print(f"\nwrote {', '.join(record['files'])}")
    for line in record.get("then", ()):
        print(f"next  {line}")


def _table(rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    print_rows([columns, *cells], left=1)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return "" if value is None else str(value)


def _step(step: dict[str, Any]) -> None:
    print(
        f"\nmeasured {step['measured_s']:.3f} s, simulated {step['simulated_s']:.3f} s ({step['error_pct']:+.1f} %) on "
        f"{step['gpus']:,} GPUs over {step['topology']}, {step['parallelism']}"
    )
    for line in step["warnings"]:
        print(f"warning: {line}")
    print_explained(step["explain"], step["simulated_s"])


def print_export(record: dict[str, Any]) -> None:
    """The record of `netsim.api.files.export_traffic`."""
    print(
        f"{record['what']} of {record['gpus']:,} GPUs over {record['topology']}, {record['routing']}: "
        f"{record['flows']:,} flows, {record['bytes'] / 1e9:.4g} GB; netsim takes {record['netsim_s'] * 1e3:.6g} ms"
    )
    for line in record["said"]:
        print(f"  {line}")
    names = record["files"]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    print(f"wrote {shown}, export.json to {record['folder']}")
