"""What benchmarks of collectives measured, whatever log it stands in: times by size for one group of ranks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

#: name of a benchmark or of NCCL's function -> kind of netsim
KINDS = {
    "all_reduce": "all_reduce", "allreduce": "all_reduce", "all_gather": "all_gather", "allgather": "all_gather",
    "reduce_scatter": "reduce_scatter", "reducescatter": "reduce_scatter", "alltoall": "all_to_all",
    "all_to_all": "all_to_all", "broadcast": "broadcast", "sendrecv": "send_recv",
}  # fmt: skip
#: words of a GPU's name -> host preset, the first that matches
HOSTS = {
    "GB300": "gb300_nvl72", "GB200": "gb200_nvl72", "B300": "b300", "B200": "b200", "H800": "h800", "H200": "h200",
    "H100": "h100", "H20": "h20", "A100": "a100", "MI300X": "mi300x", "MI355X": "mi355x",
}  # fmt: skip


class Point(NamedTuple):
    """One size: bytes in the convention of nccl-tests, and the seconds that it took."""

    size_bytes: int
    seconds: float


@dataclass
class Bench:
    """One benchmark. hosts, width : hosts and ranks on each; gpu : its name, where the log says so"""

    kind: str
    hosts: int
    width: int
    gpu: str = ""
    points: list[Point] = field(default_factory=list)
    wrong: int = 0

    @property
    def ranks(self) -> int:
        return self.hosts * self.width


def kind_of(name: str) -> str | None:
    """netsim's name of a collective.

    >>> kind_of("alltoall_perf"), kind_of("AllReduce"), kind_of("gather_perf")
    ('all_to_all', 'all_reduce', None)
    """
    return KINDS.get(name.strip().lower().removesuffix("_perf"))


def host_of(gpu: str) -> str | None:
    """The host preset with such a GPU."""
    return next((preset for word, preset in HOSTS.items() if word in gpu.upper()), None)
