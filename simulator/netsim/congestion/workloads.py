"""Traffic to look at: who sends how much to whom, from a name.

    all_to_all   every rank to every other; rank r begins with r + 1, so receivers are not hit in step
    incast       the `senders` ranks before the last to rank 0, and a victim: from the last rank, so from among them, to
                 rank 1, beside the receiver; the victim shares what the incast shares, but for the last link
    permutation  every rank to one other, a cycle in an order that is drawn
    ring         every rank to the next
    pair         rank 0 to the last
    tenants      two all-to-alls at once, of the even hosts and of the odd ones
    flows.csv    any file: source,target,size_bytes and, if given, start_us, class, group

Ranks are GPUs 0 .. n - 1. All start at once, but for a file. Left out: compute between messages.
Dispatch and combine of experts are in `netsim.congestion.experts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from netsim.congestion.messages import Messages, together
from netsim.errors import NetsimError, did_you_mean


@dataclass(frozen=True)
class Ask:
    """How much traffic: ranks, bytes a message, senders of an incast, GPUs a host; `seed` of what is drawn."""

    ranks: int
    size_bytes: int
    senders: int = 7
    gpus_per_host: int = 1
    seed: int = 0


def all_to_all(ask: Ask) -> Messages:
    """Every rank to every other.

    >>> all_to_all(Ask(3, 10)).target.tolist()
    [1, 2, 2, 0, 0, 1]
    """
    source = np.repeat(np.arange(ask.ranks), ask.ranks - 1)
    target = (source + np.tile(np.arange(1, ask.ranks), ask.ranks)) % ask.ranks
    return Messages.of(source, target, ask.size_bytes, "all_to_all")


def ring(ask: Ask) -> Messages:
    """Every rank to the next."""
    source = np.arange(ask.ranks)
    return Messages.of(source, (source + 1) % ask.ranks, ask.size_bytes, "ring")


def permutation(ask: Ask) -> Messages:
    """Every rank to one other."""
    order = np.random.default_rng([ask.seed, 0xF10]).permutation(ask.ranks)
    target = np.empty(ask.ranks, np.int64)
    target[order] = np.roll(order, -1)
    return Messages.of(np.arange(ask.ranks), target, ask.size_bytes, "permutation")


def pair(ask: Ask) -> Messages:
    """Rank 0 to the last."""
    return Messages.of(0, ask.ranks - 1, ask.size_bytes, "pair")


def incast(ask: Ask) -> Messages:
    """Many to one, and a victim.

    Raises NetsimError for more senders than ranks.

    >>> incast(Ask(8, 10, senders=2)).source.tolist(), incast(Ask(8, 10, senders=2)).target.tolist()
    ([5, 6, 7], [0, 0, 1])
    """
    last = ask.ranks - 1
    if ask.senders < 1 or ask.senders > ask.ranks - 3:
        raise NetsimError(
            f"--senders {ask.senders}: must be 1 to {ask.ranks - 3}, three fewer than the ranks"
        )
    many = Messages.of(np.arange(last - ask.senders, last), 0, ask.size_bytes, "incast")
    return together(many, Messages.of(last, 1, ask.size_bytes, "victim"))


def tenants(ask: Ask) -> Messages:
    """Two all-to-alls at once."""
    host = np.arange(ask.ranks) // ask.gpus_per_host
    parts = []
    for odd, name in enumerate(("even hosts", "odd hosts")):
        ranks = np.flatnonzero(host % 2 == odd)
        if ranks.size < 2:
            raise NetsimError(f"{ask.ranks} ranks: two tenants need two hosts each, or two ranks a host")
        one = all_to_all(replace(ask, ranks=ranks.size))
        parts.append(Messages.of(ranks[one.source], ranks[one.target], ask.size_bytes, name))
    return together(*parts)


PATTERNS: dict[str, Callable[[Ask], Messages]] = {
    "all_to_all": all_to_all,
    "incast": incast,
    "permutation": permutation,
    "ring": ring,
    "pair": pair,
    "tenants": tenants,
}


def pattern(name: str, ask: Ask) -> Messages:
    """Traffic by name, or from a CSV file.

    Raises NetsimError for an unknown name, a file that is no such table, or fewer ranks than it needs.
    """
    if name.endswith(".csv"):
        return from_csv(Path(name))
    if name not in PATTERNS:
        raise NetsimError(f"no traffic {name!r}: {did_you_mean(name, [*PATTERNS, 'dispatch', 'combine'])}")
    if ask.ranks < 2:
        raise NetsimError(f"--ranks {ask.ranks}: must be at least 2")
    return PATTERNS[name](ask)


_COLUMNS = {"source": "int", "target": "int", "size_bytes": "int", "start_us": "float", "class": "int"}


def from_csv(path: Path) -> Messages:
    """Messages of a table.

    Raises NetsimError naming the file, and the column or line that is wrong.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise NetsimError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    for name in table.columns:
        if name not in (*_COLUMNS, "group"):
            raise NetsimError(f"{path}: no column {name!r}: {did_you_mean(str(name), [*_COLUMNS, 'group'])}")
    for name in ("source", "target", "size_bytes"):
        if name not in table.columns:
            raise NetsimError(f"{path}: must have a column {name}")
    for name, kind in _COLUMNS.items():
        if name in table.columns:
            number = pd.to_numeric(table[name], errors="coerce")
            bad = number.isna() | (number < 0) | ((number % 1 != 0) if kind == "int" else False)
            if bad.any():
                line = int(np.flatnonzero(bad.to_numpy())[0])
                rule = "a whole number from 0" if kind == "int" else "a number from 0"
                raise NetsimError(
                    f"{path}: line {line + 2}: {name} = {table[name].iloc[line]}, must be {rule}"
                )
    made = Messages.of(table["source"].to_numpy(), table["target"].to_numpy(), table["size_bytes"].to_numpy())
    if "start_us" in table.columns:
        made = replace(made, start_s=table["start_us"].to_numpy(np.float64) * 1e-6)
    if "class" in table.columns:
        if not table["class"].isin([1, 2]).all():
            raise NetsimError(f"{path}: class must be 1 or 2")
        made = replace(made, cls=table["class"].to_numpy(np.int64))
    if "group" in table.columns:
        names, index = np.unique(np.array(table["group"].astype(str).tolist()), return_inverse=True)
        made = replace(made, group=index.astype(np.int64), groups=tuple(names.tolist()))
    return made
