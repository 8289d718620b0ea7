"""Networks that change in time: one layer of links for each state that the fabric is ever in.

A *state* is what the capacities are and which paths flows take, from one instant to the next. Link l in state s is the
link `s * n_links + l` of one large network, so that a change of state is no change of any capacity: flows only go on
over other links (`FluidNetwork.reroute`). The table of a state holds its layer's part of every path; `stack` makes the
union of all, in which a flow crosses its links of all layers.

*Folding stays exact.* An equitable partition of the union, whose layers have different colours of links,
is equitable in every layer: restricted to one layer it keeps or drops each sum of shares whole. So flows of a class
have equal rates in each state, have sent equal bytes at every change, and end together (`netsim.network.folding`).
Two links that fail at different times are told apart, because some state tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.network.flows import FlowTable


def stack(tables: Sequence[FlowTable], n_links: int) -> FlowTable:
    """The union of the states' tables, which differ only in their links; layer s begins at link s * n_links.

    >>> one, two = (FlowTable.from_batches([([[0], links], 1.0)]) for links in ([1], [0, 1]))
    >>> both = stack([one, two], 2)
    >>> both.link_ptr.tolist(), both.link_ids.tolist()
    ([0, 2, 5], [0, 2, 1, 2, 3])
    """
    hops = np.array([np.diff(table.link_ptr) for table in tables])  # (states, flows)
    ptr = np.concatenate([[0], np.cumsum(hops.sum(axis=0))])
    place = ptr[:-1] + np.cumsum(hops, axis=0) - hops
    ids, share = np.empty(ptr[-1], dtype=np.int32), np.empty(ptr[-1])
    for layer, table in enumerate(tables):
        at = np.repeat(place[layer] - table.link_ptr[:-1], hops[layer]) + np.arange(table.link_ids.size)
        ids[at] = table.link_ids + layer * n_links
        share[at] = table.link_share
    first = tables[0]
    return FlowTable(ptr, ids, share, first.batch_ptr, first.unit_share, first.rate_cap, first.weight)


def split(union: FlowTable, layer_of_link: NDArray[np.int64], layers: int) -> list[FlowTable]:
    """The table of each state from a (folded) union; links keep their numbers."""
    layer = layer_of_link[union.link_ids]
    flow = np.repeat(np.arange(union.n_flows), np.diff(union.link_ptr))
    tables = []
    for number in range(layers):
        mine = layer == number
        hops = np.bincount(flow[mine], minlength=union.n_flows)
        ptr = np.concatenate([[0], np.cumsum(hops)])
        columns = (union.batch_ptr, union.unit_share, union.rate_cap, union.weight)
        tables.append(FlowTable(ptr, union.link_ids[mine], union.link_share[mine], *columns))
    return tables
