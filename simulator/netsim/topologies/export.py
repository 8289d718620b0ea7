"""A built fabric as text for other tools: GraphML and node-link JSON through networkx, or a CSV of its cables.

GraphML and JSON hold every node and link with their columns, the CSV holds the fabric alone; all three can be read
again (`netsim.topologies.edge_list`).
"""

from __future__ import annotations

import json
from collections.abc import Callable

from netsim.topologies.describe import to_networkx
from netsim.topologies.edge_list import write_edges
from netsim.topologies.graph import Topology


def to_graphml(topology: Topology) -> str:
    """GraphML text; parallel links keep their ids."""
    import networkx as nx

    return "\n".join(nx.generate_graphml(to_networkx(topology))) + "\n"


def to_json(topology: Topology) -> str:
    """Node-link JSON text, as `networkx.node_link_graph` reads it."""
    import networkx as nx

    return json.dumps(nx.node_link_data(to_networkx(topology), edges="edges")) + "\n"


#: file suffix -> text of a fabric
EXPORTS: dict[str, Callable[[Topology], str]] = {
    "graphml": to_graphml,
    "json": to_json,
    "csv": write_edges,
}
