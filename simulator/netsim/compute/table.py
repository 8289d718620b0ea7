"""Times of kernels as they were measured, in two contexts, with a line through the rows that experts
received.

A row answers for an operator of its name and shape. Where the first dimension is the number of expert rows,
the time is the least-squares line through the measured points inside their range; outside, the time at the
nearest end in proportion to the rows. A row of the same name and another shape still says how far that
kernel is from its class model: `measured_operator` is the operator that it stands for, and `compute.model`
carries its time over.

Contexts: *overlapped* is the mean over the profiled layers, each kernel as it met transfers or not. *Alone*
is the mean over the runs without a transfer where there were any; else the time beside one, or the overlapped
mean, divided by what the class model says a transfer costs when it is resident always, or for the share of
the runs. A kernel is never slower alone than overlapped: where a few runs say so, it is noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from netsim.specs.formats import PRODUCTS
from netsim.specs.profile import OperatorRow
from netsim.workloads import kernels
from netsim.workloads.operators import Operator

_PRODUCTS: dict[str, Callable[..., Operator]] = {
    f"{role}_{word}": partial(make, products=word)
    for role, make in kernels.PRODUCT_ROLES.items()
    for word in PRODUCTS
}


class Lookup(NamedTuple):
    """Seconds of one call, and whether they lie between measured points."""

    seconds: float
    inside: bool


def lookup(row: OperatorRow, op: Operator, scale: float) -> Lookup | None:
    """The measured time of an operator, or None when the row is of another shape.

    scale : what the overlapped times of the row are multiplied by, to be those of another context
    """
    if not row.rows:
        return Lookup(row.overlapped * scale, True) if row.shape == op.shape and op.context == 1 else None
    if row.shape[1:] != op.shape[1:]:
        return None
    seconds, inside = _line(row, op.shape[0])
    return Lookup(seconds * scale, inside)


def measured_operator(row: OperatorRow, op: Operator) -> Operator | None:
    """The operator behind a row, for comparison with one of its name; None where they share no measure."""
    if not math.prod(op.shape) or len(row.shape) != len(op.shape):
        return None
    if row.kind in _PRODUCTS:
        return replace(_PRODUCTS[row.kind](row.name, *row.shape), calls=op.calls)
    size = math.prod(row.shape) / math.prod(op.shape)
    # attention: the work of a token also goes with the length of its sequence
    pairs = row.shape[2] / op.shape[2] if row.kind.startswith("attention") else 1.0
    # rows are of whole sequences; a share of one reads all keys and values, and its own queries and outputs
    whole = 2.0 / (1.0 + 1.0 / op.context)
    flops = op.flops * size * pairs * op.context
    return replace(op, shape=row.shape, bytes=op.bytes * size * whole, flops=flops, context=1)


def alone_s(row: OperatorRow, beside_factor: float, overlapped_factor: float) -> float:
    """Time of one call of a measured kernel without a transfer resident.

    beside_factor, overlapped_factor : how much longer the class model says it takes with a transfer resident
    all the time, and as often as one was when it was measured
    """
    if row.alone is not None:
        return min(row.alone, row.overlapped)
    if row.beside is not None:
        return min(row.beside / beside_factor, row.overlapped)
    return row.overlapped / overlapped_factor


def _line(row: OperatorRow, rows: int) -> tuple[float, bool]:
    seen, times = np.array(row.rows, dtype=float), np.array(row.row_times)
    slope = float(np.cov(seen, times, bias=True)[0, 1] / np.var(seen))
    nearest = float(np.clip(rows, seen.min(), seen.max()))
    seconds = float(times.mean()) + slope * (nearest - float(seen.mean()))
    return seconds * rows / nearest, nearest == rows
