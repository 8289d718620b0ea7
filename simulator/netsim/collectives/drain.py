"""How long a set of flows takes on a fabric, per byte: routed, folded by symmetry, and drained once.

All flows start together and nothing else runs, so every finishing time is proportional to the size, and one solve
serves every size. Symmetric traffic folds to a few flows; what a hash or a skew tells apart stays apart.

Left out: latency (paid by the caller, once a step), packets and queues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.plan import MAX_FLOWS
from netsim.collectives.transfers import Transfers
from netsim.errors import NetsimError
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork, drain
from netsim.network.folding import fold
from netsim.routing import PathTable, paths
from netsim.specs import Routing
from netsim.topologies import Topology
from netsim.topologies.graph import RESOURCES

UNIT_BYTES = 1e9


@dataclass(frozen=True)
class Drained:
    """Flows that ran once, for one byte of the collective's size.

    seconds : until the last flow has ended; finish_s : (n,) each flow's end
    bottleneck : resource that bound the last flow, with its link and that link's bytes over what it could carry
    local_latency_s, remote_latency_s : longest idle path inside a host, and between hosts; 0 where there is none
    sent : (gpus,) bytes that each GPU's own flows put on the fabric
    """

    seconds: float
    finish_s: NDArray[np.float64]
    bottleneck: str
    link: int
    link_load: float
    local_latency_s: float
    remote_latency_s: float
    sent: NDArray[np.float64]


def drain_transfers(
    topology: Topology,
    transfers: Transfers,
    routing: Routing,
    seed: int = 0,
    kernel_bytes_per_s: float = np.inf,
    loopback: bool = False,
) -> Drained:
    """Run one set of flows on an idle fabric.

    kernel_bytes_per_s : what a sender's communication kernel moves at most over its NIC.
    loopback: flows inside a host cross NICs as well (see `netsim.routing.paths`), and count as sent on the fabric.

    Raises NetsimError when there is nothing to run, or more flows than fit into memory.
    """
    if not len(transfers):
        raise NetsimError("a collective of one rank moves nothing")
    if len(transfers) > MAX_FLOWS:
        raise NetsimError(f"{len(transfers):,} flows, at most {MAX_FLOWS:,}: make the groups smaller")
    source, target = transfers.source, transfers.target
    routed = paths(topology, routing, source, target, seed, np.arange(len(transfers)), loopback=loopback)
    size = transfers.share * UNIT_BYTES
    table = _table(routed, size, transfers.kernel_share * kernel_bytes_per_s)
    finish, link = _run(routed, table)
    per_host = topology.gpus_per_host
    remote = source != target if loopback else source // per_host != target // per_host
    seconds = float(finish.max())
    load = 0.0
    if link >= 0:
        flow = np.repeat(np.arange(len(transfers)), np.diff(routed.ptr))
        on_it = routed.link_ids == link
        load = float((routed.share[on_it] * size[flow[on_it]]).sum() / (routed.capacity[link] * seconds))
    return Drained(
        seconds=seconds / UNIT_BYTES,
        finish_s=finish / UNIT_BYTES,
        bottleneck=RESOURCES.get(str(routed.link_kind[link]), "fabric") if link >= 0 else "kernel",
        link=link,
        link_load=load,
        local_latency_s=float(routed.latency_s[~remote].max(initial=0.0)),
        remote_latency_s=float(routed.latency_s[remote].max(initial=0.0)),
        sent=np.asarray(
            np.bincount(source[remote], transfers.share[remote], minlength=topology.gpus),
            np.float64,
        ),
    )


def _table(routed: PathTable, size: NDArray[np.float64], cap: NDArray[np.float64]) -> FlowTable:
    n = routed.n_flows
    return FlowTable(
        link_ptr=routed.ptr,
        link_ids=routed.link_ids,
        link_share=routed.share,
        batch_ptr=np.array([0, n]),
        unit_share=size,
        rate_cap=cap,
        weight=np.array(1.0),
    )


def _run(routed: PathTable, table: FlowTable) -> tuple[NDArray[np.float64], int]:
    """When each flow ends, and the link that bound the last one; -1 when its own cap did."""
    folded = fold(routed.capacity, table)
    finish = drain(folded.capacity, folded.table)
    network = FluidNetwork(folded.capacity, folded.table)
    network.start(0.0, [0])
    while np.isfinite(due := network.next_completion_s()):
        network.advance(due)
    bound = network.bottleneck_link(0)
    link = int((folded.link_class == bound).argmax()) if bound >= 0 else -1
    return finish[folded.flow_class], link
