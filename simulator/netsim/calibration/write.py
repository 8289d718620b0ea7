"""A profile as the TOML that `netsim run --profile` reads: one line a measured row, one table a class.

What is written is read back and must be a valid profile; floats carry four digits, times three to six.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from netsim.calibration.observe import microseconds
from netsim.specs.base import read_toml, validate
from netsim.specs.output import write_text_whole
from netsim.specs.profile import ClassModel, OperatorRow, ProfileSpec, TransferKernel

TIMES = ("tile_overhead", "step", "value", "row", "call", "call_beside", "overlapped", "alone", "beside")
#: a fitted time below this is none: a profile is read from a thousandth of a femtosecond on
LEAST_S = 1e-15
DEFAULTS = ClassModel(source="")


def write_profile(profile: ProfileSpec, path: Path) -> ProfileSpec:
    """Write a profile and read it back.

    Raises NetsimError when the file cannot be written.
    """
    write_text_whole(path, toml(profile))
    return validate(ProfileSpec, read_toml(path), str(path))


def toml(profile: ProfileSpec) -> str:
    """The text of a profile."""
    return "\n".join(_lines(profile)) + "\n"


def _lines(p: ProfileSpec) -> Iterator[str]:
    yield f"# Compute profile, written by netsim calibrate: {len(p.operators)} measured rows, {len(p.classes)} classes."
    yield f"name = {_text(p.name)}"
    yield f"description = {_text(p.description)}"
    yield f"device = {_text(p.device)}"
    yield f"sms = {p.sms}"
    yield f"gemm_sms = {p.gemm_sms}"
    yield f'bf16_peak = "{p.bf16_peak / 1e12:g} TFLOPS"'
    yield f'fp8_peak = "{p.fp8_peak / 1e12:g} TFLOPS"'
    if p.fp4_peak is not None:
        yield f'fp4_peak = "{p.fp4_peak / 1e12:g} TFLOPS"'
    yield f'hbm_rate = "{p.hbm_rate / 1e12:g} TB/s"'
    if p.peak_clock is not None:
        yield f'peak_clock = "{p.peak_clock / 1e9:.4g} GHz"'
    yield f"clock = {_text(p.clock)}"
    yield f"transport_share = {p.transport_share:g}"
    yield f'gap = "{microseconds(p.gap)}"'
    yield ""
    yield "# Times are of one call."
    yield "operators = ["
    yield from (f"  {_inline(_row(row))}," for row in p.operators)
    yield "]"
    if p.sustained is not None:
        yield from (
            "",
            "[sustained]",
            f"factor = {p.sustained.factor:g}",
            f"source = {_text(p.sustained.source)}",
        )
    yield ""
    yield "[sources]"
    yield from (f"{key} = {_text(value)}" for key, value in p.sources.items())
    for name, kernel in p.transfers.items():
        yield from ("", f"[transfers.{name}]", *_transfer(kernel))
    for kind, model in p.classes.items():
        yield from ("", f"[classes.{kind}]", *_class(model))


def _row(row: OperatorRow) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in row:
        if name in TIMES and value is not None:
            cells[name] = _text(microseconds(value))
        elif name == "row_times" and value:
            cells[name] = "[" + ", ".join(_text(microseconds(t)) for t in value) + "]"
        elif value not in (None, "", ()) and not (name == "calls" and value == 1):
            cells[name] = _value(value)
    return cells


def _transfer(kernel: TransferKernel) -> Iterator[str]:
    yield f'alone = "{kernel.alone / 1e9:.4g} GB/s"'
    yield f'beside_compute = "{kernel.beside_compute / 1e9:.4g} GB/s"'
    if kernel.prework:
        yield "prework = ["
        for step in kernel.prework:
            cells = {
                k: (_text(microseconds(v)) if k in TIMES else _value(v))
                for k, v in step
                if v not in (None, "")
            }
            yield f"  {_inline(cells)},"
        yield "]"


def _class(model: ClassModel) -> Iterator[str]:
    for name, value in model:
        if name == "source" or value == getattr(DEFAULTS, name):
            continue
        if name in TIMES:
            if 0.0 < value < LEAST_S:
                continue
            yield (
                f'{name} = "{value * 1e9:.4g} ns"'
                if value < 1e-6
                else f"{name} = {_text(f'{value * 1e6:.4g} us')}"
            )
        elif name == "clock":
            yield f'{name} = "{value / 1e9:.4g} GHz"'
        elif name == "domain":
            box = {axis: f"[{low:.6g}, {high:.6g}]" for axis, (low, high) in value.items()}
            yield f"domain = {_inline(box)}"
        else:
            yield f"{name} = {_value(value)}"
    yield f"source = {_text(model.source)}"


def _inline(cells: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in cells.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
