"""Collectives of a trace: kernels of transfers with the message that `record_param_comms` names, by group and size.

Rows have the columns of `netsim measure --collectives`, so they answer for a network in the same way: algbw is size
over time, busbw is normalised as nccl-tests do. Size is what they count: the larger of what goes in and comes out.

Left out: kernels without a recorded message (counted, with their time); how long a kernel waited for other ranks, which
its time includes: the least time is nearest to the network's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from netsim.calibration.place import Placed
from netsim.calibration.trace_events import shown
from netsim.collectives.catalogue import COLLECTIVES

#: kind -> names of c10d that stand for it; the first that matches
KINDS = {
    "all_to_all": r"all_?to_?all", "reduce_scatter": r"reduce_?scatter", "all_reduce": r"all_?reduce",
    "all_gather": r"all_?gather", "broadcast": r"broadcast", "reduce": r"reduce", "send_recv": r"send|recv",
}  # fmt: skip
#: bytes of c10 types
BYTES = {"byte": 1, "char": 1, "bool": 1, "half": 2, "bfloat16": 2, "short": 2, "int": 4, "float": 4, "long": 8,
         "double": 8, "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1}  # fmt: skip


@dataclass(frozen=True)
class Message:
    """What a kernel moved. `stride`: between the ranks of its group, where they are evenly apart; 0: not known."""

    collective: str
    gpus: int
    size_bytes: int
    dtype: str
    group: str
    stride: int = 0


@dataclass(frozen=True)
class Row:
    """All runs of a message in a trace; seconds of one."""

    message: Message
    phases: tuple[str, ...]
    seconds: tuple[float, ...]

    def cells(self) -> dict[str, Any]:
        """As a table writes it."""
        m, middle = self.message, median(self.seconds)
        algbw = m.size_bytes / middle / 1e9 if middle else 0.0
        factor = COLLECTIVES[m.collective].bus_factor(m.gpus) if m.collective in COLLECTIVES else 1.0
        return {
            "collective": m.collective, "gpus": m.gpus, "size_bytes": m.size_bytes, "dtype": m.dtype, "group": m.group,
            "stride": m.stride or "",
            "phases": "+".join(self.phases), "runs": len(self.seconds), "time_us": middle * 1e6,
            "mean_us": fmean(self.seconds) * 1e6, "min_us": min(self.seconds) * 1e6, "max_us": max(self.seconds) * 1e6,
            "total_ms": sum(self.seconds) * 1e3, "algbw_GBps": algbw, "busbw_GBps": algbw * factor,
        }  # fmt: skip


def message_of(args: Mapping[str, Any]) -> Message | None:
    """The message of a kernel's or operator's arguments; None where they name none.

    >>> message_of({"Collective name": "allreduce", "dtype": "BFloat16", "In msg nelems": 8, "Group size": 2})
    Message(collective='all_reduce', gpus=2, size_bytes=16, dtype='bfloat16', group='', stride=0)
    """
    name, dtype = args.get("Collective name"), str(args.get("dtype", "")).lower()
    values = [args.get(key) for key in ("In msg nelems", "Out msg nelems")]
    counts = [v for v in values if type(v) is int and 0 <= v < 2**48]
    ranks = args.get("Group size")
    if not isinstance(name, str) or not counts or type(ranks) is not int or not 0 < ranks < 2**24:
        return None
    kind = next(
        (kind for kind, names in KINDS.items() if re.search(names, name.lower())), shown(name.lower(), 40)
    )
    group = args.get("Process Group Description") or args.get("Process Group Name") or ""
    size = max(counts) * BYTES.get(dtype, 1)
    return Message(kind, ranks, size, shown(dtype, 20), shown(group, 60), _stride(args))


def _stride(args: Mapping[str, Any]) -> int:
    """From the list of ranks, of which long ones are cut short."""
    ranks = [int(word) for word in re.findall(r"\d{1,9}", str(args.get("Process Group Ranks", ""))[:200])][
        :16
    ]
    steps = {later - earlier for earlier, later in pairwise(ranks)}
    (step,) = steps if len(steps) == 1 else (args.get("Global rank stride"),)
    return step if type(step) is int and 0 < step < 2**24 else 0


def collectives_of(placed: Sequence[Placed]) -> tuple[tuple[Row, ...], float, int]:
    """Rows by kind, group and size; and the seconds and number of transfers of which no message is known."""
    found: dict[Message, list[Placed]] = defaultdict(list)
    lost_s, lost = 0.0, 0
    for p in placed:
        if not p.transfer:
            continue
        call = p.kernel.call
        message = message_of(p.kernel.message) or (message_of(call.args) if call is not None else None)
        if message is None:
            lost_s, lost = lost_s + p.kernel.duration_us * 1e-6, lost + 1
        else:
            found[message].append(p)
    rows = tuple(
        Row(
            message,
            tuple(sorted({p.phase for p in mine if p.phase})),
            tuple(p.kernel.duration_us * 1e-6 for p in mine),
        )
        for message, mine in sorted(found.items(), key=lambda item: _order(item[0]))
    )
    return rows, lost_s, lost


def _order(m: Message) -> tuple[str, int, int, str, str, int]:
    return m.collective, m.gpus, m.size_bytes, m.group, m.dtype, m.stride
