"""Collectives of a trace beside netsim's on a fabric: each kind, group and size as it ran, and as netsim times it.

The ranks of the job lie on the GPUs in order. A group of n ranks, s apart, is timed with its siblings: every group of
that shape in the job runs the same collective at once, as data, tensor and expert parallel groups do. A group of
unknown ranks is taken to be contiguous. The fabric gets as many whole hosts as the job has ranks.

Left out: waiting for late ranks and kernels beside the transfer, which measured times include (the least measured time
is the fairest to hold beside an idle fabric); collectives that netsim does not time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.calibration.seen_collectives import Row
from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.request import make_setup
from netsim.collectives.sweep import Setup, sweep
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, load


def collectives_beside(
    rows: Sequence[Row], topology: str, hardware: str, world: int | None
) -> list[dict[str, Any]]:
    """Rows with `netsim_us` and its errors against the median and the least measured time.

    world : ranks of the job; None: the largest group that was seen

    Raises NetsimError when the fabric cannot be built, or no collective has a message.
    """
    if not rows:
        raise NetsimError("--topology has no effect: no transfer of the trace names its message")
    host = load(HardwareSpec, "hardware", hardware)
    ranks = world or max(row.message.gpus for row in rows)
    gpus = math.ceil(ranks / host.gpus_per_host) * host.gpus_per_host
    setup = make_setup(topology, gpus, "nccl", kind="all_reduce", hardware=hardware)
    return [{**row.cells(), **_timed(setup, row, ranks)} for row in rows]


def _timed(setup: Setup, row: Row, ranks: int) -> dict[str, Any]:
    m = row.message
    groups = groups_of(ranks, m.gpus, m.stride or 1)
    if m.collective not in COLLECTIVES or groups is None or not m.size_bytes:
        return {
            "netsim_us": None,
            "error_pct": None,
            "error_of_least_pct": None,
            "algorithm": "",
            "bottleneck": "",
        }
    (found,) = sweep(setup, m.collective, groups, [m.size_bytes])
    cells = row.cells()
    return {
        "netsim_us": found.time_us,
        "error_pct": _error(found.time_us, cells["time_us"]),
        "error_of_least_pct": _error(found.time_us, cells["min_us"]),
        "algorithm": f"{found.algorithm}, {found.protocol}",
        "bottleneck": found.bottleneck,
    }


def _error(predicted: float, measured: float) -> float | None:
    return 100 * (predicted / measured - 1) if measured else None


def groups_of(ranks: int, size: int, stride: int) -> NDArray[np.int64] | None:
    """All groups of `size` ranks, `stride` apart, that a job of so many ranks has; one alone where they do not tile it.

    None for a group of one, or of more ranks than there are.

    >>> groups_of(8, 2, 2).tolist()
    [[0, 2], [1, 3], [4, 6], [5, 7]]
    """
    span = size * stride
    if size < 2 or (size - 1) * stride >= ranks:
        return None
    if ranks % span:
        return np.arange(size, dtype=np.int64)[None, :] * stride
    blocks = np.arange(ranks, dtype=np.int64).reshape(-1, size, stride)
    return np.asarray(blocks.transpose(0, 2, 1).reshape(-1, size))
