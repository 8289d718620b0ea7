"""Kernel tables: CSV or Parquet, one row a kernel at a shape, to samples that models can be fitted to.

The columns are those of `netsim measure`; a table with other names is read with a mapping, and tables of others have
a layout (`layouts`). Needed: `kernel`, `time_us`, `m`; the rest has defaults (`table_file`). The rules' `flavours` tell
the kernel class from kernel and dtype. Used are rows measured alone, in the clock protocol asked for; rows of the set
`holdout` are never fitted.

Shapes: m, n, k of a product; rows as m for grouped products, and weights of n x k for grouped weight gradients;
length, heads, qk width as m, n, k, with `batch` and `v_dim`, for attention; rows and columns as m, n for the rest.
Bytes that a table does not give follow from the shape, for kernels that are known by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.calibration.fit import Sample
from netsim.calibration.table_file import IDENTITY, read_frame
from netsim.errors import NetsimError
from netsim.specs.formats import format_of, role_of
from netsim.specs.profile import KINDS
from netsim.workloads import kernels
from netsim.workloads.operators import Operator

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT = "holdout"
#: the resident kernel that stands for a transfer, and the fewest pairs that say what it costs
BESIDE, FEW = "copy", 4


_FP8 = 1.0 + 4.0 / 128
#: kernel -> bytes read and written for each of m x n values, where a table does not say
VALUE_BYTES = {
    "rmsnorm": 4.0, "layernorm": 4.0, "add_rmsnorm": 8.0, "rmsnorm_bwd_dx": 6.0, "rope": 4.0, "slice_copy": 4.0,
    "quant_1x128": 2.0 + _FP8, "dequant_1x128": 2.0 + _FP8, "quant_transpose": 2.0 + _FP8, "swiglu": 6.0,
    "swiglu_quant": 4.0 + _FP8, "swiglu_bwd": 10.0, "gather_transpose": 2.0, "transpose_fp8": 2.0, "residual_add": 6.0,
    "cast_bf16_fp32": 6.0, "copy_d2d": 2.0, "grad_accum": 10.0, "adam_bf16_moments": 22.0, "adamw_fused": 28.0,
}  # fmt: skip


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
    layout: str = "netsim",
    unit: str | None = None,
) -> KernelTable:
    """Kernel tables of one device as samples.

    flavours : class -> alternatives, each "kernel:dtype" or several of them joined by "+"; the first that the tables
    hold stands for the class
    columns : our column -> the files'; layout, unit : how the files are written (`table_file`)
    overhead_s : what the timing itself adds to every row

    Raises NetsimError when a file cannot be read, lacks a column, or holds no rows of the mode, cells that
    are no numbers, or several devices.
    """
    import pandas as pd

    source = ", ".join(map(str, paths))
    read = [read_frame(path, columns or {}, layout, unit) for path in paths]
    frame = pd.concat([each for each, _ in read], ignore_index=True)
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
        samples[kind] = tuple(_sample(source, kind, row, overhead_s) for row in rows.to_dict("records"))
    taken = {name for flavour in chosen.values() for name in flavour.split("+")}
    unused = {
        "repeats of a row, which counts by the median": sum(repeats for _, repeats in read),
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


def _sample(source: str, kind: str, row: Mapping[Any, Any], overhead_s: float) -> Sample:
    try:
        op = operator_of(kind, row)
    except NetsimError as error:
        raise NetsimError(f"{source}: {error}") from None
    whole = float(row["time_us"]) * 1e-6
    seconds = max(whole - overhead_s, min(whole, 0.2e-6))
    clock = float(row["sm_clock_GHz"]) * 1e9
    held_out = row["set"] == HOLDOUT
    return Sample(op, seconds, 0.0, clock if math.isfinite(clock) and clock > 0 else None, op.name, held_out)


def operator_of(kind: str, row: Mapping[Any, Any]) -> Operator:
    """The operator behind a row; work and bytes of the row count where it has them.

    Raises NetsimError for a size of 0, and for bytes that neither the row nor its kernel's name tells.
    """
    m, n, k, groups = (int(row[name]) for name in ("m", "n", "k", "groups"))
    name = f"{row['kernel']}:{row['dtype']} {m}x{n}x{k}" + (f"/{groups}" if groups > 1 else "")
    role, found = role_of(kind), _given(row)
    if role in kernels.PRODUCT_ROLES or role.startswith("attention"):
        if not (m and n and k and groups and (role in kernels.PRODUCT_ROLES or row["v_dim"])):
            raise NetsimError(f"{name}: m, n, k, groups and v_dim must be at least 1 in class {kind}")
        op = (
            _attention(kind, name, row)
            if role.startswith("attention")
            else _product(kind, name, m, n, k, groups)
        )
    else:
        found.pop("flops", None)
        moved = found["bytes"] if "bytes" in found else _bytes(kind, name, row, m * max(n, 1))
        assert kind in KINDS
        op = Operator(name, kind, 0.0, moved, (m, max(n, 1)))  # type: ignore[arg-type]
    return Operator(op.name, op.kind, found.get("flops", op.flops), found.get("bytes", op.bytes), op.shape)


def _given(row: Mapping[Any, Any]) -> dict[str, float]:
    """Work and bytes of a row, where they are above 0."""
    cells = {key: float(row[key]) for key in ("flops", "bytes")}
    return {key: value for key, value in cells.items() if math.isfinite(value) and value > 0}


def _bytes(kind: str, name: str, row: Mapping[Any, Any], values: int) -> float:
    if kind in ("small", "index"):
        return 0.0
    each = VALUE_BYTES.get(str(row["kernel"]))
    if each is None:
        raise NetsimError(f"{name}: how many bytes it moves is not known from its name: add a column bytes")
    return each * values


def _product(kind: str, name: str, m: int, n: int, k: int, groups: int) -> Operator:
    shape = (m, n, k, groups) if kind.startswith("grouped") else (m, n, k)
    return kernels.PRODUCT_ROLES[role_of(kind)](name, *shape, products=format_of(kind))


def _attention(kind: str, name: str, row: Mapping[Any, Any]) -> Operator:
    m, n, k, batch, v = (int(row[name]) for name in ("m", "n", "k", "batch", "v_dim"))
    forward = kind.startswith("attention_fwd")
    flops = batch * n * m * m * ((k + v) if forward else (3 * k + 2 * v))
    moved = 4.0 * batch * n * m * (k + v) * (1 if forward else 2)
    return Operator(name, kind, float(flops), moved, (batch, n, m, k, v))  # type: ignore[arg-type]
