"""What the executor runs, and what it answers: programs of tasks in columns, and when each task ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Lag(NamedTuple):
    """Another task instance, and seconds after its start or end."""

    other: int
    seconds: float


@dataclass(frozen=True)
class Transfer:
    """How a task uses the network: a registered batch, bytes of its unit, the sender's kernel rate, fixed latency.

    `rendezvous` names a joint transfer; `batch` is -1 for one without traffic; `sms` are taken from compute while it
    lasts, from the start of the kernel, which may wait for other members; `size_bytes` is what was asked for where a
    library moves it as something else; `path_s` is the part of the latency that goes with the idle latency of paths.
    """

    batch: int
    unit_bytes: float
    kernel_bytes_per_s: float
    latency_s: float
    rendezvous: int = -1
    sms: int = 0
    size_bytes: float = 0.0
    path_s: float = 0.0


@dataclass(frozen=True)
class Program:
    """What the actors run, in columns over task instances; instances of one actor are in queue order.

    actor, queue : (n,); seconds : (n,) compute time, NaN for a transfer; transfer : (n,) index into `transfers`,
    -1 for compute; wait_ptr, wait_ids : CSR of instances waited for; joint_size : members of each rendezvous.

    Exchanges that run beside the block that needs them, chunk by chunk, are tied to it by two relations:
    early : instance -> (other, seconds): it may start that long after the other has started
    late : instance -> (other, seconds) pairs: it ends no sooner than that long after the other has ended
    slope : (n,) share by which compute takes longer for every SM that transfers hold meanwhile; none: not at all
    """

    actor: NDArray[np.int64]
    queue: NDArray[np.int64]
    seconds: NDArray[np.float64]
    transfer: NDArray[np.int64]
    wait_ptr: NDArray[np.int64]
    wait_ids: NDArray[np.int64]
    transfers: Sequence[Transfer]
    joint_size: Sequence[int]
    early: Mapping[int, Lag] = field(default_factory=dict)
    late: Mapping[int, tuple[Lag, ...]] = field(default_factory=dict)
    slope: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.actor)


class RankTimes(Protocol):
    """How the ranks of an actor differ."""

    @property
    def width(self) -> int:
        """Ranks of every actor."""
        ...

    def seconds(self, instance: int) -> NDArray[np.float64]:
        """(width,) compute time of an instance on each rank."""
        ...

    def tail_s(self, instance: int) -> float:
        """What a transfer takes longer after its mean bytes have moved."""
        ...


@dataclass(frozen=True)
class Execution:
    """When every task instance started and ended, in seconds, and the link that bound each transfer (-1: none).

    `stall_s` is what of it a task stood still for what it is tied to (`Program.late`).

    Where ranks differ: `last_rank`, which of them was the last to end each compute task (-1 for a transfer), and
    `wait_s`, (actors, width) how long each waited at the start of transfers for the last rank.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    bottleneck: NDArray[np.int64]
    stall_s: NDArray[np.float64] | None = None
    last_rank: NDArray[np.int64] | None = None
    wait_s: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Speed:
    """How fast an actor computes: `factor[n]` of its speed from `time_s[n]` on, all of it before.

    >>> Speed((2.0, 4.0), (0.5, 1.0)).end_s(1.0, 3.0)  # one second before, one in two slow ones, one after
    5.0
    """

    time_s: tuple[float, ...]
    factor: tuple[float, ...]

    def end_s(self, now_s: float, seconds: float) -> float:
        """When `seconds` of work end that start now; inf for never."""
        factor = 1.0
        for at, then in zip(self.time_s, self.factor, strict=True):
            if at > now_s:
                done = (at - now_s) * factor
                if done >= seconds:
                    return now_s + seconds / factor
                seconds, now_s = seconds - done, at
            factor = then
        return now_s + seconds / factor if factor > 0 else np.inf
