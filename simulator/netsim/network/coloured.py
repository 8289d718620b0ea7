"""What is folded: flows and links with their numbers, and colours of what may never be taken for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.network.flows import Column, FlowTable, column
from netsim.network.maxmin import check_capacity


@dataclass(frozen=True)
class Groups:
    """Which actors decide over which batches (CSR batch -> actors), and in which role.

    Parameters
    ----------
    actor_ptr : (n_batches + 1,)
    actor_ids : (n_memberships,) in 0..n_actors
    label : (n_memberships,) integer role, e.g. 0 sender, 1 receiver
    actor_color : (n_actors,) integers; actors of different colour are never folded together
    """

    actor_ptr: NDArray[np.int64]
    actor_ids: NDArray[np.int64]
    label: NDArray[np.int64]
    actor_color: NDArray[np.int64]


class Coloured(NamedTuple):
    """A network as kernels take it: the columns of its flow table, colours, and `Groups`; all read-only."""

    link_ptr: NDArray[np.int64]
    link_ids: NDArray[np.int32]
    batch_ptr: NDArray[np.int64]
    share: Column
    size: Column
    cap: Column
    weight: Column
    capacity: NDArray[np.float64]
    link_color: NDArray[np.int64]
    batch_color: NDArray[np.int64]
    actor_ptr: NDArray[np.int64]
    actor_ids: NDArray[np.int64]
    label: NDArray[np.int64]
    actor_color: NDArray[np.int64]


def make_coloured(
    capacity: NDArray[np.float64],
    table: FlowTable,
    groups: Groups | None,
    batch_color: ArrayLike | None,
    link_color: ArrayLike | None,
) -> Coloured:
    """The network of `netsim.network.folding.fold`, checked.

    Raises
    ------
    ValueError
        when an array has the wrong shape, a capacity is negative or NaN, or a flow crosses a link that does not exist.
    """
    cap = _fixed(capacity, np.float64)
    check_capacity(cap)
    if table.link_ids.size and table.link_ids.max() >= cap.size:
        raise ValueError(f"link id {table.link_ids.max()} in the table, but there are {cap.size} links")
    of_batch: ArrayLike = 0 if batch_color is None else batch_color
    if groups is None:
        none = np.zeros(0, np.int64)
        groups = Groups(np.zeros(table.n_batches + 1, np.int64), none, none, none)
        of_batch = np.arange(table.n_batches) if batch_color is None else batch_color
    _check_groups(groups, table.n_batches)
    return Coloured(
        link_ptr=table.link_ptr,
        link_ids=table.link_ids,
        batch_ptr=table.batch_ptr,
        share=column(table.link_share),
        size=column(table.unit_share),
        cap=column(table.rate_cap),
        weight=column(table.weight),
        capacity=cap,
        link_color=_fixed(np.broadcast_to(np.asarray(0 if link_color is None else link_color), cap.shape)),
        batch_color=_fixed(np.broadcast_to(np.asarray(of_batch), (table.n_batches,))),
        actor_ptr=_fixed(groups.actor_ptr),
        actor_ids=_fixed(groups.actor_ids),
        label=_fixed(groups.label),
        actor_color=_fixed(groups.actor_color),
    )


def _fixed(values: ArrayLike, dtype: type[np.generic] = np.int64) -> NDArray[Any]:
    """A contiguous read-only view, or a copy where the type differs: kernels are compiled for one kind of array."""
    view = np.ascontiguousarray(values, dtype).view()
    view.flags.writeable = False
    return view


def _check_groups(groups: Groups, n_batches: int) -> None:
    ptr, ids = groups.actor_ptr, groups.actor_ids
    if ptr.size != n_batches + 1 or ptr[0] != 0 or ptr[-1] != ids.size or (np.diff(ptr) < 0).any():
        raise ValueError(f"actor_ptr must rise from 0 to len(actor_ids) over {n_batches} batches")
    if groups.label.size != ids.size:
        raise ValueError(f"{groups.label.size} labels for {ids.size} memberships")
    if ids.size and not (ids.min() >= 0 and ids.max() < groups.actor_color.size):
        raise ValueError(f"actor ids {ids.min()}..{ids.max()}, must be in 0..{groups.actor_color.size - 1}")
