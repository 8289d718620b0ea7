"""Kernel tables: CSV or Parquet, one row a kernel at a shape, to samples that models can be fitted to.

The columns are those of `netsim measure`; a table with other names is read with a mapping. Needed: `kernel`,
`time_us`, `m`; the rest has defaults. `kind` is the kernel class, or the rules' `flavours` tell it from kernel and
dtype. Used are rows measured alone, in the clock protocol asked for; rows of the set `holdout` are never fitted.

Shapes: m, n, k of a product; rows as m for grouped products, and weights of n x k for grouped weight gradients;
length, heads, qk width as m, n, k, with `batch` and `v_dim`, for attention; rows and columns as m, n for the rest.

Left out: units other than microseconds, several devices in one table (an error).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.calibration.fit import Sample
from netsim.errors import NetsimError, did_you_mean
from netsim.specs.profile import KINDS
from netsim.workloads import kernels
from netsim.workloads.operators import Operator

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
    "kernel",
    "dtype",
    "out_dtype",
    "m",
    "n",
    "k",
    "groups",
    "batch",
    "v_dim",
    "group_rows",
    "mode",
    "side",
)
HOLDOUT = "holdout"
#: the resident kernel that stands for a transfer, and the fewest pairs that say what it costs
BESIDE, FEW = "copy", 4


@dataclass(frozen=True)
class KernelTable:
    """Samples of one device, by class; `slowdown` is what a resident copy added to each class, where measured;
    `unused` counts rows by the reason they are not among the samples."""

    source: str
    device: str
    samples: Mapping[str, tuple[Sample, ...]]
    flavours: Mapping[str, str]
    slowdown: Mapping[str, float]
    unused: Mapping[str, int]


def read_tables(
    paths: Sequence[Path],
    flavours: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, str] | None = None,
    mode: str = "cool",
    overhead_s: float = 0.0,
) -> KernelTable:
    """Kernel tables of one device as samples.

    flavours : class -> alternatives, each "kernel:dtype" or several of them joined by "+"; the first that the tables
    hold stands for the class
    columns : our column -> the files'
    overhead_s : what the timing itself adds to every row

    Raises NetsimError when a file cannot be read, lacks a column, or holds no rows of the mode, times that are
    no positive numbers, several devices, or a row twice.
    """
    import pandas as pd

    source = ", ".join(map(str, paths))
    frames = [_frame(path, columns or {}) for path in paths]
    for path, each in zip(paths, frames, strict=True):
        _check(path, each)
    frame = pd.concat(frames, ignore_index=True)
    device = _one_device(source, frame)
    mine = frame[frame["mode"].isin({mode, ""})]
    used = mine[mine["side"] == ""]
    if used.empty:
        modes = ", ".join(sorted(set(frame["mode"]) - {""})) or "none"
        raise NetsimError(
            f"{source}: no rows of mode {mode!r} without a resident kernel; modes there: {modes}"
        )
    label = used["kernel"] + ":" + used["dtype"]
    chosen = {kind: found for kind, names in flavours.items() if (found := _first(names, set(label)))}
    if not chosen:
        raise NetsimError(
            f"{source}: no row belongs to a kernel class: looked for {', '.join(sorted(flavours))} "
            "by the rules' flavours"
        )
    samples: dict[str, tuple[Sample, ...]] = {}
    for kind, flavour in chosen.items():
        rows = used[label.isin(flavour.split("+"))]
        samples[kind] = tuple(_sample(kind, row, overhead_s) for row in rows.to_dict("records"))
    taken = {name for flavour in chosen.values() for name in flavour.split("+")}
    unused = {
        f"mode other than {mode}, or beside a resident kernel": len(frame) - len(used),
        **{
            f"no class for {name}": int(count)
            for name, count in label[~label.isin(taken)].value_counts().items()
        },
    }
    slowdown = {kind: s for kind, f in chosen.items() if (s := _slowdown(mine, f, overhead_s)) is not None}
    return KernelTable(source, device, samples, chosen, slowdown, {k: n for k, n in unused.items() if n})


def _slowdown(frame: pd.DataFrame, flavour: str, overhead_s: float) -> float | None:
    """Median of what a resident copy adds to the kernels of a flavour that were measured with and without one."""
    rows = frame[(frame["kernel"] + ":" + frame["dtype"]).isin(flavour.split("+"))]
    keys = [name for name in IDENTITY if name != "side"]
    alone = rows[rows["side"] == ""].drop_duplicates(keys)
    pairs = alone.merge(rows[rows["side"] == BESIDE], on=keys, suffixes=("", "_beside"))
    if len(pairs) < FEW:
        return None
    times, beside = (pairs[name] * 1e-6 - overhead_s for name in ("time_us", "time_us_beside"))
    return max(0.0, float((beside / times).median() - 1.0))


def _one_device(source: str, frame: pd.DataFrame) -> str:
    devices = sorted({str(name) for name in frame["gpu"].unique() if name})
    if len(devices) > 1:
        raise NetsimError(
            f"{source}: rows of several devices ({', '.join(devices)}): calibrate one at a time"
        )
    return devices[0] if devices else ""


def _first(alternatives: tuple[str, ...], held: set[str]) -> str:
    for flavour in alternatives:
        present = [name for name in flavour.split("+") if name in held]
        if present:
            return "+".join(present)
    return ""


def _frame(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise NetsimError(f"{path}: no such kernel table")
    try:
        frame = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, comment="#", low_memory=False)
        )
    except Exception as error:
        raise NetsimError(f"{path}: cannot be read as a table: {error}") from None
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
    frame = frame.rename(columns={theirs: name for name, theirs in columns.items()})
    for name in NEEDED:
        if name not in frame.columns:
            raise NetsimError(
                f"{path}: no column {name!r}: columns are {', '.join(map(str, frame.columns[:12]))}; "
                f"map one with --column {name}=NAME"
            )
    for name, default in DEFAULTS.items():
        if name not in frame.columns:
            frame[name] = default
        elif isinstance(default, str):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str)
        elif not (isinstance(default, float) and math.isnan(default)):
            frame[name] = frame[name].fillna(default)
    return frame


def _check(path: Path, frame: pd.DataFrame) -> None:
    import pandas as pd

    if frame.empty:
        raise NetsimError(f"{path}: holds no rows")
    for name in ("time_us", "m", "n", "k", "groups"):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        least = 0.0 if name != "time_us" else 1e-9
        bad = frame.index[~(numbers >= least) | (numbers == math.inf)]
        if len(bad):
            rule = "must be a positive number" if name == "time_us" else "must be a number of at least 0"
            raise NetsimError(f"{path}: line {bad[0] + 2}: {name} = {frame[name][bad[0]]!r}, {rule}")
        frame[name] = numbers
    twice = frame.index[frame.duplicated(list(IDENTITY))]
    if len(twice):
        row = frame.loc[twice[0]]
        raise NetsimError(
            f"{path}: line {twice[0] + 2}: {row['kernel']} {row['m']:g} x {row['n']:g} x {row['k']:g} is there twice"
        )


def _sample(kind: str, row: Mapping[Any, Any], overhead_s: float) -> Sample:
    op = operator_of(kind, row)
    seconds = max(float(row["time_us"]) * 1e-6 - overhead_s, 0.2e-6)
    clock = float(row["sm_clock_GHz"]) * 1e9
    held_out = row["set"] == HOLDOUT
    return Sample(op, seconds, 0.0, clock if math.isfinite(clock) and clock > 0 else None, op.name, held_out)


def operator_of(kind: str, row: Mapping[Any, Any]) -> Operator:
    """The operator behind a row; work and bytes of the row count where it has them."""
    m, n, k, groups = (int(row[name]) for name in ("m", "n", "k", "groups"))
    name = f"{row['kernel']}:{row['dtype']} {m}x{n}x{k}" + (f"/{groups}" if groups > 1 else "")
    op = (
        _MAKERS[kind](name, m, n, k, groups, row)
        if kind in _MAKERS
        else _plain(name, kind, m, max(n, 1), row)
    )
    found = {
        key: float(row[key])
        for key in ("flops", "bytes")
        if math.isfinite(float(row[key])) and float(row[key]) > 0
    }
    if kind in ("small", "index") or not op.flops:
        found.pop("flops", None)
    return Operator(op.name, op.kind, found.get("flops", op.flops), found.get("bytes", op.bytes), op.shape)


def _plain(name: str, kind: str, rows: int, columns: int, row: Mapping[Any, Any]) -> Operator:
    assert kind in KINDS
    return Operator(name, kind, 0.0, float(row["bytes"]), (rows, columns))  # type: ignore[arg-type]


def _attention(kind: str) -> Callable[..., Operator]:
    def make(name: str, m: int, n: int, k: int, groups: int, row: Mapping[Any, Any]) -> Operator:
        batch, v = int(row["batch"]), int(row["v_dim"])
        pairs = batch * n * m * m
        flops = pairs * ((k + v) if kind == "attention_fwd" else (3 * k + 2 * v))
        moved = 4.0 * batch * n * m * (k + v) * (1 if kind == "attention_fwd" else 2)
        return Operator(name, kind, float(flops), moved, (batch, n, m, k, v))  # type: ignore[arg-type]

    return make


_MAKERS: dict[str, Callable[..., Operator]] = {
    "gemm_fp8": lambda name, m, n, k, groups, row: kernels.gemm_fp8(name, m, n, k),
    "gemm_bf16": lambda name, m, n, k, groups, row: kernels.gemm_bf16(name, m, n, k),
    "wgrad_fp8": lambda name, m, n, k, groups, row: kernels.wgrad_fp8(name, m, n, k),
    "grouped_gemm_fp8": lambda name, m, n, k, groups, row: kernels.grouped_gemm_fp8(name, m, n, k, groups),
    "grouped_wgrad_fp8": lambda name, m, n, k, groups, row: kernels.grouped_wgrad_fp8(name, m, n, k, groups),
    "attention_fwd": _attention("attention_fwd"),
    "attention_bwd": _attention("attention_bwd"),
}
