"""SimAI: a topology of GPUs, NVSwitches and switches as text, and a workload of a row a layer.

The topology lists every cable with its rate in Gb/s and latency in ms. The workload of a collective is one row; that of
a step has a row for each layer and half of the first micro-batch of one rank of every pipeline stage: compute forward,
for the input gradient and for the weight gradient, each with the exchange that goes with it (tensor parallelism, or the
experts' all-to-all), and a last row with the gradients. What it cannot hold: overlap and schedules of netsim (SimAI
has its own), several kinds of exchanges in a row (the largest is written), routing, and a host's PCIe.

Source: aliyun/SimAI, astra-sim-alibabacloud, workload and ns-3 topology files.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from netsim.errors import NetsimError
from netsim.exporters.traffic import Exchange
from netsim.topologies import LinkKind, Topology

#: collective -> SimAI's word
TYPES = {
    "all_reduce": "ALLREDUCE",
    "all_gather": "ALLGATHER",
    "reduce_scatter": "REDUCESCATTER",
    "all_to_all": "ALLTOALL",
}
_OF_WORK = {
    "dispatch": "ALLTOALL_EP", "cached_dispatch": "ALLTOALL_EP", "combine": "ALLTOALL_EP",
    "combine_backward": "ALLTOALL_EP",
    "tensor_gather": "ALLGATHER", "tensor_scatter": "REDUCESCATTER", "context_gather": "ALLGATHER",
    "context_scatter": "REDUCESCATTER",
}  # fmt: skip
_GRADIENT = {"reduce_scatter": "REDUCESCATTER", "all_reduce": "ALLREDUCE"}


def export(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """Files by name, and what they cannot hold.

    Raises NetsimError for traffic that is no collective of SimAI's and no step.
    """
    if exchange.kind and exchange.kind not in TYPES:
        raise NetsimError(f"simai: has no collective {exchange.kind}: {', '.join(sorted(TYPES))}")
    if not exchange.kind and exchange.what != "step":
        raise NetsimError(f"simai: writes a step or a collective, not {exchange.what}")
    rows = [_collective(exchange)] if exchange.kind else _rows(exchange.step)
    head = _head(exchange)
    files: dict[str, str | bytes] = {
        "topology.txt": _topology(exchange.topology),
        "workload.txt": "\n".join([head, str(len(rows)), *rows]) + "\n",
    }
    said = ["PCIe, routing, goodput and the schedule are SimAI's own; rates of cables are line rates"]
    if not exchange.kind:
        said.append("a layer's row has one exchange, the largest; times are those of the first micro-batch")
    return files, said


def _head(exchange: Exchange) -> str:
    gpus, plan = exchange.topology.gpus, None if exchange.step is None else exchange.step.plan
    tp, ep, pp, ga = (
        (gpus, 1, 1, 1) if plan is None else (plan.tensor, plan.expert, plan.pipeline, plan.microbatches)
    )
    virtual = 1 if plan is None else exchange.step.case.workload.schedule.virtual_stages or 1
    return (
        f"HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: {tp} ep: {ep} pp: {pp} vpp: {virtual} ga: {ga} "
        f"all_gpus: {gpus} checkpoints: 0 checkpoint_initiates: 0"
    )


def _row(name: str, times_ns: list[int], comms: list[tuple[str, int]]) -> str:
    cells = [name, "-1"]
    for time, (kind, size) in zip(times_ns, comms, strict=True):
        cells += [str(time), kind, str(size)]
    return "\t".join([*cells, "0"])


def _collective(exchange: Exchange) -> str:
    none = ("NONE", 0)
    return _row(exchange.kind, [1, 1, 1], [(TYPES[exchange.kind], exchange.collective_bytes), none, none])


def _rows(step: Any) -> list[str]:
    """Of the first stage group of every pipeline rank: layers with compute and exchanges."""
    graph, program, instances = step.graph, step.program, step.instances
    times: dict[tuple[int, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    comms: dict[tuple[int, str], dict[str, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    gradients: dict[str, float] = defaultdict(float)
    groups = step.plan.groups
    for n, task in enumerate(instances.task.tolist()):
        work, layer = graph.works[graph.work[task]], graph.layer[task]
        if program.actor[n] % groups:
            continue
        transfer = None if program.transfer[n] < 0 else program.transfers[int(program.transfer[n])]
        if transfer is not None and work.name in _GRADIENT:
            gradients[_GRADIENT[work.name]] = max(gradients[_GRADIENT[work.name]], transfer.size_bytes)
        if layer < 0 or graph.microbatch[task] != 0:
            continue
        block = (
            "experts" if work.name in _OF_WORK and "EP" in _OF_WORK[work.name] else work.block or work.name
        )
        if transfer is None:
            times[layer, work.block or work.name][work.phase] += float(program.seconds[n])
        elif work.name in _OF_WORK:
            size = transfer.size_bytes or transfer.unit_bytes
            key = "mlp" if block == "experts" else block
            comms[layer, key][work.phase or _phase(work.name)][_OF_WORK[work.name]] += size
    rows = []
    for layer, block in sorted(set(times) | set(comms)):
        here, moved = times[layer, block], comms[layer, block]
        ns = [round(here[phase] * 1e9) for phase in ("F", "B", "W")]
        pairs = [_largest(moved[phase]) for phase in ("F", "B", "W")]
        rows.append(_row(f"layer{layer}_{block}", ns, pairs))
    last = [(kind, round(size)) for kind, size in gradients.items()][:1] or [("NONE", 0)]
    return [*rows, _row("gradients", [1, 1, 1], [("NONE", 0), ("NONE", 0), last[0]])]


def _phase(name: str) -> str:
    return "B" if name in ("cached_dispatch", "combine_backward") else "F"


def _largest(sizes: dict[str, float]) -> tuple[str, int]:
    if not sizes:
        return "NONE", 0
    kind = max(sizes, key=lambda each: sizes[each])
    return kind, round(sizes[kind])


def _topology(topology: Topology) -> str:
    """GPUs first, then NVSwitches (one a host), then switches; a NIC is part of its GPU."""
    gpus, hosts, first = topology.gpus, topology.hosts, topology.first_switch
    switches = topology.switches
    rows: list[tuple[int, int, float, float]] = []
    scale, latency = topology.hardware.scale_up, topology.spec.latency
    for gpu in range(gpus):
        rows.append((gpu, gpus + gpu // topology.gpus_per_host, scale.rate, scale.latency / 2))
    for kind in (LinkKind.PORT_TX, LinkKind.UP):
        links = topology.links(kind)
        rates = topology.nominal_bytes_per_s[links.start : links.stop]
        ends = np.stack([topology.link_src, topology.link_dst])[:, links.start : links.stop].astype(np.int64)
        for rate, one, two in zip(rates.tolist(), *ends.tolist(), strict=True):
            near = (
                (one - gpus - hosts) * topology.gpus_per_nic
                if kind == LinkKind.PORT_TX
                else one - first + gpus + hosts
            )
            delay = latency.endpoint / 2 if kind == LinkKind.PORT_TX else latency.switch_hop
            rows.append((near, two - first + gpus + hosts, rate, delay))
    lines = [
        f"{gpus + hosts + switches} {topology.gpus_per_host} {hosts} {switches} {len(rows)} {_gpu(topology)}"
    ]
    lines.append(" ".join(str(gpus + n) for n in range(hosts + switches)))
    lines += [f"{a} {b} {rate * 8 / 1e9:.15g}Gbps {delay * 1e3:.9g}ms 0" for a, b, rate, delay in rows]
    return "\n".join(lines) + "\n"


def _gpu(topology: Topology) -> str:
    return topology.hardware.gpu.name.split()[-1]
