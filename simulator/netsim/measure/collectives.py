"""Which collectives are measured, at which sizes and world sizes, and how a time becomes algbw and busbw.

Measured (`netsim measure --collectives`): all-reduce, reduce-scatter, all-gather, all-to-all and send/receive
among the GPUs of one host, one process a GPU, through torch.distributed: NCCL, or gloo among CPU processes.
Conventions are those of nccl-tests: `size_bytes` is the whole buffer of a rank (all-gather: what it receives;
reduce-scatter: what it gives; all-to-all: either; send/receive: what it sends to the next rank while it receives
as much from the one before), algbw = size / time, busbw = algbw x `bus_factor`. All-reduce is in place, the others
out of place (`in_place`). FP32 sums of whole numbers, so every result is compared with the exact one.

Left out: several hosts, captured CUDA graphs (a small size shows torch's launch too), NVLink multicast (switched
off: it can leave a shared host's GPUs unusable), other types and reductions, the choice of algorithm by hand.

Source of the conventions: NVIDIA nccl-tests, doc/PERFORMANCE.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.errors import NetsimError

#: bytes of an element: FP32
ITEM_BYTES = 4
COLLECTIVES = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "send_recv")
#: set for every process that communicates, and recorded
ENVIRONMENT = {
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
}


@dataclass(frozen=True)
class Case:
    """One row to measure: a collective of a size; `beside` = gemm with matrix products on another stream."""

    collective: str
    gpus: int
    size_bytes: int
    beside: str = "none"

    @property
    def in_place(self) -> bool:
        """Whether the result replaces the operand."""
        return self.collective == "all_reduce"

    @property
    def name(self) -> str:
        """As findings name it."""
        return f"{self.collective}:{self.gpus}:{self.size_bytes}:{self.beside}"


def bus_factor(collective: str, gpus: int) -> float:
    """What nccl-tests multiplies algbw with, so that the figure compares with the speed of a link.

    >>> [bus_factor(c, 4) for c in COLLECTIVES]
    [1.5, 0.75, 0.75, 0.75, 1.0]
    """
    if collective == "send_recv":
        return 1.0
    return (2 if collective == "all_reduce" else 1) * (gpus - 1) / gpus


def bandwidths_GBps(case: Case, time_us: float) -> tuple[float, float] | None:
    """algbw and busbw; None for one GPU, whose time is launches and copies and no bandwidth.

    >>> bandwidths_GBps(Case("all_reduce", 4, 1_000_000), 10.0)
    (100.0, 150.0)
    """
    if case.gpus == 1:
        return None
    algbw = case.size_bytes / time_us / 1e3
    return algbw, algbw * bus_factor(case.collective, case.gpus)


def world_sizes(gpus: int) -> tuple[int, ...]:
    """Powers of two up to the GPUs of the host; one GPU stands for itself.

    >>> world_sizes(8), world_sizes(6), world_sizes(1)
    ((2, 4, 8), (2, 4), (1,))
    """
    return tuple(2**k for k in range(1, gpus.bit_length()) if 2**k <= gpus) or (1,)


def make_plan(gpus: int, sizes: Sequence[int], beside: bool) -> tuple[Case, ...]:
    """Every case, by world size, collective and size; with `beside`, each also next to a compute kernel.

    Raises NetsimError for a size that does not split into FP32 values of every rank.
    """
    worlds = world_sizes(gpus)
    for size in sizes:
        if size <= 0 or size % (ITEM_BYTES * worlds[-1]):
            rule = (
                f"must be a multiple of {ITEM_BYTES * worlds[-1]}: FP32 values of each of {worlds[-1]} ranks"
            )
            raise NetsimError(f"--sizes: {size} B {rule}")
    return tuple(
        Case(collective, world, size, how)
        for world in worlds
        for collective in COLLECTIVES
        if world > 1 or collective != "send_recv"  # nobody to send to
        for size in sizes
        for how in (("none", "gemm") if beside else ("none",))
    )
