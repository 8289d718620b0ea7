"""Kernels of public tables that no class model was fitted to: quantiles of the absolute error by GPU and class.

The rows lie in workloads/compute/measured/blackwell_held_out.csv: a draw from the half of each table's shapes that was
held out, with where they come from. A class model alone predicts them, on the GPU that they were measured on, without a
transfer beside. Without the file (an installed wheel) there is nothing to compare.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from netsim.compute.device import measured_device
from netsim.compute.roofline import estimate
from netsim.specs import load
from netsim.specs.catalog import root
from netsim.specs.formats import format_of, role_of
from netsim.specs.profile import ProfileSpec
from netsim.workloads import kernels
from netsim.workloads.operators import Operator

ROWS = "workloads/compute/measured/blackwell_held_out.csv"


def kernel_tables(where: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Percentiles of the absolute error, in percent, of a class on a GPU."""
    errors = held_out_errors()
    found: list[float | None] = []
    for w in where:
        mine = errors.get((w["gpu"], w["class"]))
        found.append(None if mine is None else float(np.percentile(np.abs(mine), w["percentile"])))
    return found


@lru_cache(maxsize=1)
def held_out_errors() -> dict[tuple[str, str], list[float]]:
    """Signed errors in percent of every row, by GPU and kernel class; nothing where the rows are not installed."""
    path = root() / ROWS
    if not path.is_file():
        return {}
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    profiles: dict[str, ProfileSpec] = {}
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            gpu, kind = row["gpu"], row["kind"]
            profile = profiles.setdefault(gpu, load(ProfileSpec, "profile", gpu))
            op = _operator(kind, tuple(map(int, row["shape"].split("x"))), float(row["bytes"]))
            seconds = estimate(op, profile.classes[kind], measured_device(profile)).seconds
            found[gpu, kind].append(100.0 * (seconds * 1e6 / float(row["time_us"]) - 1.0))
    return dict(found)


def _operator(kind: str, shape: tuple[int, ...], moved: float) -> Operator:
    """The operator of a row; `moved` bytes tell heads of keys, and tensors of a norm, which a shape does not."""
    role = role_of(kind)
    if role in kernels.PRODUCT_ROLES:
        return kernels.PRODUCT_ROLES[role](kind, *shape, products=format_of(kind))
    flops = 0.0
    if role.startswith("attention"):
        sequences, heads, length, qk, v = shape
        flops = float(sequences * heads * length**2 * ((qk + v) if role.endswith("fwd") else 3 * qk + 2 * v))
    return Operator(kind, kind, flops, moved, shape)  # type: ignore[arg-type]
