"""What is to be sent: messages between GPUs, before anything moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Messages:
    """Messages of a run; of those that start at one instant from one NIC, the first listed goes first.

    source, target : (n,) GPUs; size_bytes : (n,) whole bytes; start_s : (n,)
    cls : (n,) 1 or 2, the class of its packets, 1 is served first; group : (n,) number in `groups`, such as a tenant
    path_ptr, path_links : (n + 1,), links of fixed paths, from the first to the last; None where switches choose
    """

    source: Ints
    target: Ints
    size_bytes: Ints
    start_s: Floats
    cls: Ints
    group: Ints
    groups: tuple[str, ...] = ("all",)
    path_ptr: Ints | None = None
    path_links: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return self.source.size

    @staticmethod
    def of(source: object, target: object, size_bytes: object, name: str = "all") -> Messages:
        """Messages that start at once, in the first class of data."""
        s, t = np.broadcast_arrays(
            np.atleast_1d(np.asarray(source, np.int64)), np.atleast_1d(np.asarray(target, np.int64))
        )
        s, t = s.copy(), t.copy()
        size = np.array(np.broadcast_to(np.asarray(size_bytes, np.int64), s.shape))
        zero = np.zeros(s.size, np.int64)
        return Messages(s, t, size, np.zeros(s.size), zero + 1, zero, (name,))


def together(*parts: Messages) -> Messages:
    """Several sets at once, each a group (or groups) of its own."""
    base = np.cumsum([0, *(len(part.groups) for part in parts)])
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("source", "target", "size_bytes", "start_s", "cls")
    }
    group = np.concatenate([part.group + first for part, first in zip(parts, base, strict=False)])
    return Messages(**joined, group=group, groups=tuple(name for part in parts for name in part.groups))


def later(messages: Messages, by_s: float) -> Messages:
    """The same, so much later."""
    return replace(messages, start_s=messages.start_s + by_s)
