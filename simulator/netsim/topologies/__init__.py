"""What a cluster is made of: families of fabrics as pure functions from a spec to a graph in flat arrays."""

from netsim.topologies.checks import CHECKS, CheckError, check, oversubscription, ports_used
from netsim.topologies.describe import latency_us, summary, switches_by_tier, to_networkx
from netsim.topologies.families import FAMILIES, build, max_gpus
from netsim.topologies.graph import LINK_KINDS, TIERS, LinkKind, NodeKind, Topology

__all__ = [
    "CHECKS",
    "FAMILIES",
    "LINK_KINDS",
    "TIERS",
    "CheckError",
    "LinkKind",
    "NodeKind",
    "Topology",
    "build",
    "check",
    "latency_us",
    "max_gpus",
    "oversubscription",
    "ports_used",
    "summary",
    "switches_by_tier",
    "to_networkx",
]
