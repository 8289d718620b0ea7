"""What every algorithm of a collective answers: its flows, its latency steps and its messages.

The flows of a plan start together and it ends with the last of them: the fluid limit of an algorithm that pipelines
its chunks, where the slowest resource decides. An algorithm that cannot pipeline (the steps of a ring) repeats one set
of flows. Sizes are per byte of the collective's size, in the convention of nccl-tests: the buffer of a rank for
all-reduce, broadcast, all-to-all and send/receive, the whole buffer for reduce-scatter and all-gather.

Left out: the reduction arithmetic, and the SMs that the kernels take (see `netsim.compute`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.transfers import Transfers, join
from netsim.errors import NetsimError

Ints = NDArray[np.int64]

#: about 2 GB of flow table
MAX_FLOWS = 8_000_000


@dataclass(frozen=True)
class Group:
    """The ranks of one collective: equally many on every host.

    grid : (hosts, width) GPUs, a host a row

    >>> Group.of([0, 1, 2, 3], gpus_per_host=2).grid.tolist()
    [[0, 1], [2, 3]]
    """

    grid: Ints

    @staticmethod
    def of(gpus: object, gpus_per_host: int) -> Group:
        """Ranks in host order.

        Raises NetsimError when hosts hold different numbers of them.
        """
        ranks = np.asarray(gpus, dtype=np.int64)
        hosts, count = np.unique(ranks // gpus_per_host, return_counts=True)
        if (count != count[0]).any():
            raise NetsimError(
                f"{ranks.size} ranks on {hosts.size} hosts of {gpus_per_host} GPUs: every host must hold as many"
            )
        return Group(np.sort(ranks).reshape(hosts.size, count[0]))

    @property
    def hosts(self) -> int:
        return len(self.grid)

    @property
    def width(self) -> int:
        """Ranks on a host."""
        return int(self.grid.shape[1])

    @property
    def ranks(self) -> int:
        return self.grid.size

    @property
    def remote_peers(self) -> int:
        """Ranks on other hosts."""
        return self.ranks - self.width


@dataclass(frozen=True)
class Plan:
    """A collective of one group (or of several alike, see `together`).

    transfers : flows of one repetition, shares in bytes per byte of size
    repeats : how many times they run, one after the other
    local_steps, remote_steps : latencies paid one after the other, inside a host and between hosts
    messages : point-to-point messages that a rank posts to other hosts
    message_share : bytes of one message per byte of size
    copied : bytes per byte of size that a rank's kernel copies within its memory beside its sends
    in_switch : whether the switch inside the host adds up; its flows load links as the multicast traffic does
    """

    transfers: Transfers
    repeats: int = 1
    local_steps: int = 0
    remote_steps: int = 0
    messages: int = 0
    message_share: float = 0.0
    copied: float = 0.0
    in_switch: bool = False


def together(plans: list[Plan]) -> Plan:
    """The plans of groups of one shape as one: all start at once."""
    return replace(plans[0], transfers=join(*(plan.transfers for plan in plans)))


def spread(flows: Transfers, rows: Ints) -> Transfers:
    """Flows between ranks 0 to n - 1 as those of many groups alike.

    rows : (groups, n) GPUs, a group a row, in the order of its ranks

    Raises NetsimError when they would be more flows than fit into memory.

    >>> one = Transfers(np.array([0]), np.array([1]), np.ones(1), np.ones(1))
    >>> spread(one, np.array([[4, 5], [8, 9]])).target.tolist()
    [5, 9]
    """
    if len(flows) * len(rows) > MAX_FLOWS:
        raise NetsimError(f"{len(flows) * len(rows):,} flows, at most {MAX_FLOWS:,}: make the groups smaller")
    return Transfers(
        rows[:, flows.source].ravel(),
        rows[:, flows.target].ravel(),
        np.tile(flows.share, len(rows)),
        np.tile(flows.kernel_share, len(rows)),
    )
