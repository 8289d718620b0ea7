"""Flows on a faulted fabric, without a training step around them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from netsim.analysis.impact import carried_by_links
from netsim.execution.executor import Execution, Program, Transfer, execute
from netsim.faults.history import History, make_history, reaction_s, resolve
from netsim.faults.stall import why_stalled
from netsim.faults.states import Layers, make_layers, make_states, path_changes
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.network.folding import fold
from netsim.routing import paths
from netsim.routing.detour import Flows
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.faults import parse_fault
from netsim.topologies import Topology, build

QUICK = {"failover.detection": "0 s", "failover.recompute": "0 s"}


@lru_cache(maxsize=64)
def fabric(name: str, gpus: int, width: int = 8, **more: object) -> Topology:
    """A preset with hosts of `width` GPUs and NICs that reacts at once unless told otherwise."""
    host = {"gpus_per_host": width, "nics_per_host": width}
    hardware = load(HardwareSpec, "hardware", "h800", host)
    overrides = QUICK | {key.replace("__", "."): value for key, value in more.items()}
    return build(load(TopologySpec, "topology", name, overrides), hardware, gpus)


@dataclass(frozen=True)
class Ran:
    """Flows that ran, a batch each."""

    topology: Topology
    flows: Flows
    history: History
    layers: Layers
    fluid: FluidNetwork
    execution: Execution | None
    stalled: str

    @property
    def end_s(self) -> np.ndarray:
        return self.execution.end_s

    @property
    def link_bytes(self) -> np.ndarray:
        return carried_by_links(self.topology, self.layers.link_class, self.fluid.link_bytes)


def run_flows(
    topology: Topology,
    source: np.ndarray,
    target: np.ndarray,
    size: np.ndarray,
    faults: list[str],
    routing: str = "adaptive",
    folded: bool = False,
    together: bool = True,
) -> Ran:
    """All flows from 0 s on: one batch, or (`together` false) a batch each."""
    from netsim.errors import StalledError

    flows = Flows(source, target, np.zeros(source.size, np.int64), 7)
    routed = paths(topology, routing, source, target, 7, flows.key)
    strikes = resolve(topology, [parse_fault(text) for text in faults], 1.0)
    history = make_history(topology, strikes, reaction_s(topology.spec, routing))
    n = source.size
    batch_ptr = np.array([0, n]) if together else np.arange(n + 1)

    def table_of(ptr: np.ndarray, ids: np.ndarray, share: np.ndarray) -> FlowTable:
        return FlowTable(ptr, ids, share, batch_ptr, size, np.full(n, np.inf), np.ones(n))

    states = make_states(topology, routing, routed, flows, history, table_of)
    union, capacity, link_class, flow_class = (
        states.union,
        states.capacity,
        np.arange(states.capacity.size),
        np.arange(n),
    )
    if folded:
        quotient = fold(capacity, union, batch_color=np.arange(batch_ptr.size - 1), link_color=states.layer)
        union, capacity = quotient.table, quotient.capacity
        link_class, flow_class = (c.astype(np.int64) for c in (quotient.link_class, quotient.flow_class))
    layers = make_layers(states, union, link_class, flow_class)
    fluid = FluidNetwork(capacity, layers.tables[0])
    batches = batch_ptr.size - 1
    program = Program(
        actor=np.arange(batches), queue=np.ones(batches, int), seconds=np.full(batches, np.nan),
        transfer=np.arange(batches), wait_ptr=np.zeros(batches + 1, int), wait_ids=np.zeros(0, int), joint_size=[],
        transfers=[Transfer(b, 1.0, np.inf, 0.0) for b in range(batches)],
    )  # fmt: skip
    execution, stalled = None, ""
    try:
        execution = execute(program, fluid, changes=path_changes(history, layers))
    except StalledError:
        stalled = why_stalled(topology, history, layers, fluid)
    return Ran(topology, flows, history, layers, fluid, execution, stalled)


def all_to_all(gpus: int, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Every GPU to every GPU of the other hosts."""
    near, far = np.nonzero(~np.eye(gpus, dtype=bool))
    apart = near // width != far // width
    return near[apart], far[apart]
