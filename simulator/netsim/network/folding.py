"""Folding: flows that nothing tells apart become one flow with a multiplicity.

Take a partition of flows and links into classes that is *equitable*: links of class L have one capacity and carry,
from each flow class F, the same sum of shares ``S_LF``; flows of class F have one weight, cap and size and cross links
of the same classes. The quotient network has one link per L, one flow per F and shares ``S_LF``.

*The quotient has the right rates.* Give every flow the rate of its class in the max-min allocation of the quotient.
A link of class L then carries ``sum_F S_LF x_F <= capacity``, as in the quotient. A flow of class F has in the quotient
a bottleneck: its cap, or a link class L, full, on which no class has a larger level; every flow of F crosses a link of
class L, which is full too and carries flows of the same classes. So every flow has a bottleneck, and an allocation in
which every flow has one is *the* max-min allocation: it is unique (`netsim.network.maxmin`).

*The partition may be static.* Let the classes be equitable over all registered batches, batches being part of the
partition (flows of one class belong to batches of one class), and let batches of one class start together. By
induction over events: between two events, the active flows are a union of flow classes; restricted to any union of
flow classes the partition stays equitable (each ``S_LF`` is either kept whole or dropped); so flows of a class have
equal rates, have sent equal bytes and end together, and a batch class ends together. What starts next is again a union
of batch classes, if the actors that decide it act alike: actors are in the partition as well.

*Copies are folded once.* A component of the flow-link graph (batches and actors taken in) that equals an earlier one,
node by node, has its colours. So the coarsest equitable partition of the network without such copies, with every node
of a copy in the class of its counterpart, is that of the whole (`netsim.network.copies`).

Symmetry may be missing: a fault, a hash collision or a skewed size only makes more classes, in the extreme one each.

Left out: symmetry in time (a class whose batches start one after the other), and changed capacities of single links;
give such a link its own colour before folding.

Source: equitable partitions, Godsil and Royle, Algebraic Graph Theory, 2001, section 9.3; fractional symmetries of
linear programs, Grohe, Kersting, Mladenov and Selman, Dimension reduction via colour refinement, ESA 2014.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.network.coloured import Groups, make_coloured
from netsim.network.copies import find_copies
from netsim.network.flows import FlowTable
from netsim.network.quotient import Folded, coarsest_quotient
from netsim.network.reduced import with_copies, without_copies


def fold(
    capacity: NDArray[np.float64],
    table: FlowTable,
    groups: Groups | None = None,
    batch_color: ArrayLike | None = None,
    link_color: ArrayLike | None = None,
) -> Folded:
    """The quotient of a network by its coarsest equitable partition.

    Parameters
    ----------
    capacity : (n_links,) bytes/s
    table : all flows that may ever run
    groups : actors, when batches are to be folded across actors that cannot be told apart
    batch_color : (n_batches,) integers; batches of different colour are never folded together. Default: every batch
        its own colour without `groups` (nothing is known about who starts together), one colour for all with them
    link_color : (n_links,) integers, e.g. a link that will fail later

    Raises
    ------
    ValueError
        when an array has the wrong shape, or a capacity is negative or NaN.

    Examples
    --------
    Eight equal flows, two on each of four equal links, started together: one flow with share 2 on one link.

    >>> table = FlowTable.from_batches([([[i % 4] for i in range(8)], 10.0)])
    >>> folded = fold(np.full(4, 5.0), table)
    >>> folded.table.link_share.tolist(), folded.flow_count.tolist(), folded.link_count.tolist()
    ([2.0], [8], [4])
    >>> from netsim.network.fluid import drain
    >>> drain(folded.capacity, folded.table)[folded.flow_class].tolist() == drain(np.full(4, 5.0), table).tolist()
    True
    """
    network = make_coloured(capacity, table, groups, batch_color, link_color)
    copies = find_copies(network)
    if copies is None:
        return coarsest_quotient(network)
    return with_copies(network, copies, coarsest_quotient(without_copies(network, copies)))
