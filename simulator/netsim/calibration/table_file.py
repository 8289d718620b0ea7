"""A kernel table as a checked frame: columns by our names, times in microseconds, numbers that are numbers.

A column that a time is mapped to may say its unit in its name (latency_ms, time (us), dur_ns); else it is as asked,
else microseconds, and `rates` refuses what no device could do. Two of our columns may be mapped to one of theirs. Rows
of one measurement are taken by their median. A width of values left out is that of keys.

Left out: several devices in one table (an error).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.calibration.layouts import LAYOUTS, guess
from netsim.errors import NetsimError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("kernel", "time_us", "m")
DEFAULTS: dict[str, Any] = {
    "dtype": "", "kind": "", "n": 0, "k": 0, "groups": 1, "batch": 1, "v_dim": 0, "flops": math.nan, "bytes": math.nan,
    "sm_clock_GHz": math.nan, "mode": "", "side": "", "set": "", "operator": "", "gpu": "", "group_rows": "",
    "out_dtype": "",
}  # fmt: skip
#: cells that make a row the same measurement as another
IDENTITY = (
    "kernel", "dtype", "out_dtype", "m", "n", "k", "groups", "batch", "v_dim", "group_rows", "mode", "side", "gpu",
)  # fmt: skip
#: unit -> microseconds
UNITS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
_SAME_UNIT = {"µs": "us", "usec": "us", "micros": "us", "msec": "ms", "millis": "ms", "nsec": "ns", "sec": "s",
              "secs": "s", "seconds": "s"}  # fmt: skip
_UNIT = re.compile(
    r"(?:^|[\s_.\-(\[/])(ns|nsec|us|µs|usec|micros|ms|msec|millis|s|sec|secs|seconds)[)\]]?$", re.I
)
_SIZES = ("m", "n", "k", "groups", "batch", "v_dim")
#: numbers that a row may lack
_OPTIONAL = ("flops", "bytes", "sm_clock_GHz")


def unit_of(column: str) -> str | None:
    """The unit that the name of a column of times ends with.

    >>> unit_of("latency_ms"), unit_of("Time (us)"), unit_of("latency"), unit_of("rows")
    ('ms', 'us', None, None)
    """
    found = _UNIT.search(column)
    if found is None:
        return None
    word = found[1].lower()
    return _SAME_UNIT.get(word, word)


def read_frame(
    path: Path, columns: Mapping[str, str], layout: str = "netsim", unit: str | None = None
) -> tuple[pd.DataFrame, int]:
    """A checked table, and how many rows were repeats of another.

    columns : our column -> theirs; unit : of the time, where its column does not say it

    Raises NetsimError for a table that cannot be read, lacks a column, or has a cell that is no number.
    """
    if not path.is_file():
        raise NetsimError(f"{path}: no such kernel table")
    if layout not in LAYOUTS:
        raise NetsimError(f"--layout {layout}: {did_you_mean(layout, LAYOUTS)}")
    if unit is not None and unit not in UNITS:
        raise NetsimError(f"--unit {unit}: must be one of {', '.join(UNITS)}")
    if layout != "netsim" and (columns or unit):
        raise NetsimError(f"--column, --unit: have no effect on layout {layout}, which says both")
    frame = _named(path, LAYOUTS[layout](path), columns, unit)
    _with_defaults(frame)
    _check(path, frame)
    return _medians(frame)


def _named(path: Path, frame: pd.DataFrame, columns: Mapping[str, str], unit: str | None) -> pd.DataFrame:
    frame.columns = frame.columns.map(str)
    if unknown := set(columns) - {*NEEDED, *DEFAULTS}:
        word = min(unknown)
        raise NetsimError(
            f"--column {word}={columns[word]}: a kernel table has no such column: "
            f"{did_you_mean(word, [*NEEDED, *DEFAULTS])}"
        )
    for name, theirs in columns.items():
        if theirs not in frame.columns:
            raise NetsimError(
                f"{path}: no column {theirs!r} (for {name}): {did_you_mean(theirs, frame.columns)}"
            )
    made = frame.drop(columns=[name for name in columns if name in frame.columns])
    for name, theirs in columns.items():
        made[name] = frame[theirs]
    named = columns.get("time_us", "time_us")
    if "time_us" not in made.columns:
        timed = [name for name in made.columns if re.fullmatch(r"(time|latency|duration)_(ns|us|ms|s)", name)]
        if len(timed) == 1:
            named = timed[0]
            made["time_us"] = made[named]
    for name in NEEDED:
        if name not in made.columns:
            near = guess(list(made.columns))
            hint = f"or --layout {near}" if near else "and say its unit with --unit where its name does not"
            raise NetsimError(
                f"{path}: no column {name!r}: columns are {', '.join(made.columns[:12])}; "
                f"map one with --column {name}=NAME, {hint}"
            )
    return _in_microseconds(path, made, named, unit)


def _in_microseconds(path: Path, frame: pd.DataFrame, named: str, unit: str | None) -> pd.DataFrame:
    import pandas as pd

    said = unit_of(named)
    if unit and said and unit != said:
        raise NetsimError(f"{path}: --unit {unit}: column {named!r} says {said}")
    factor = UNITS[unit or said or "us"]
    if factor != 1.0:
        numbers = pd.to_numeric(frame["time_us"], errors="coerce")
        # what is no number is told as it stands
        frame["time_us"] = (numbers * factor).astype(object).where(numbers.notna(), frame["time_us"])
    return frame


def _with_defaults(frame: pd.DataFrame) -> None:
    import pandas as pd

    for name, default in DEFAULTS.items():
        if name not in frame.columns:
            frame[name] = default
        elif isinstance(default, str):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str)
        elif not (isinstance(default, float) and math.isnan(default)):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), default)
    for name in ("kernel", "dtype"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str)
    attention = frame["kernel"].str.startswith("attn_") & (
        pd.to_numeric(frame["v_dim"], errors="coerce") == 0
    )
    frame["v_dim"] = frame["v_dim"].astype(object).where(~attention, frame["k"])


def _check(path: Path, frame: pd.DataFrame) -> None:
    import pandas as pd

    if frame.empty:
        raise NetsimError(f"{path}: holds no rows")
    for name in ("time_us", *_SIZES, *_OPTIONAL):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        missing = frame[name].isna() if name in _OPTIONAL else pd.Series(False, index=frame.index)
        least = 1e-9 if name == "time_us" else 0.0
        wrong = ~(numbers >= least) | (numbers == math.inf)
        if name in _SIZES:
            wrong |= numbers != numbers.round()
        bad = frame.index[wrong & ~missing]
        if len(bad):
            raise NetsimError(
                f"{path}: line {bad[0] + 2}: {name} = {_shown(frame[name][bad[0]])}, {_rule(name, least)}"
            )
        frame[name] = numbers


def _shown(value: Any) -> str:
    return repr(value.item() if hasattr(value, "item") else value)


def _rule(name: str, least: float) -> str:
    if name == "time_us":
        return "must be a positive number"
    return f"must be a {'whole ' if name in _SIZES else ''}number of at least {least:g}"


def _medians(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """One row a measurement, its time the median of the repeats."""
    keys = list(IDENTITY)
    time = frame.groupby(keys, dropna=False, sort=False)["time_us"].transform("median")
    once = frame.assign(time_us=time).drop_duplicates(keys)
    return once.reset_index(drop=True), len(frame) - len(once)
