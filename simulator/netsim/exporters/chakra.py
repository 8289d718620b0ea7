"""Chakra execution traces (ET, schema 1.0.0): a file of protobuf messages for each rank.

Compute is a COMP node with its duration, launches and latencies are COMP nodes in front; each flow is a COMM_SEND node
on one rank and a COMM_RECV node on the other, with comm_size in bytes. What it cannot hold: links, routes, the most
that a kernel sends a second, and times under a microsecond (duration_micros is whole; the exact time is the attribute
`duration_ns`). `astra` writes a collective as COMM_COLL instead, for ASTRA-sim to run with algorithms of its own, and
the network, system and memory files that it asks for.

Source: mlcommons/chakra, schema/protobuf/et_def.proto; astra-sim/astra-sim, examples of the analytical network.
"""

from __future__ import annotations

import json

from netsim.errors import NetsimError
from netsim.exporters.by_rank import RankOp, by_rank
from netsim.exporters.protobuf import boolean, integer, message, packed, text, uint64
from netsim.exporters.traffic import Exchange

COMP, SEND, RECV, COLL = 4, 5, 6, 7
#: collective of netsim -> CollectiveCommType
COLLECTIVES = {"all_reduce": 0, "all_gather": 2, "broadcast": 5, "all_to_all": 6, "reduce_scatter": 7}


def export(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """A file a rank, and what they cannot hold."""
    files: dict[str, str | bytes] = {}
    for rank, ops in by_rank(exchange):
        files[f"traffic.{rank}.et"] = b"".join([_head(), *_nodes(rank, ops)])
    said = ["a rank is a GPU; links, routes and NVLink are those of the simulator that replays",
            "duration_micros is whole microseconds, the attribute duration_ns has the time"]  # fmt: skip
    return files, said


def export_astra(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """Traces with ASTRA-sim's own files; a collective is one COMM_COLL node of all ranks."""
    topology, hardware = exchange.topology, exchange.topology.hardware
    nic = (
        hardware.nic.line_rate
        * hardware.nic.goodput_fraction
        * hardware.nics_per_host
        / hardware.gpus_per_host
    )
    latency = topology.spec.latency
    if exchange.kind:
        if exchange.kind not in COLLECTIVES:
            known = ", ".join(sorted(COLLECTIVES))
            raise NetsimError(f"astra: Chakra has no collective {exchange.kind}: {known}; use chakra")
        node = _collective(exchange)
        files: dict[str, str | bytes] = {f"traffic.{rank}.et": node for rank in range(topology.gpus)}
        said = ["the collective is one node: ASTRA-sim runs it with algorithms of its own (system.json)"]
    else:
        files, said = export(exchange)
    dims = [(hardware.gpus_per_host, hardware.scale_up.achieved_rate, hardware.scale_up.latency)]
    dims += [(topology.hosts, nic, latency.endpoint + 3 * latency.switch_hop)]
    dims = [dim for dim in dims if dim[0] > 1] or dims[:1]
    rows: dict[str, list[object]] = {"topology": ["Switch"] * len(dims), "npus_count": [dim[0] for dim in dims],
            "bandwidth": [dim[1] / 1e9 for dim in dims], "latency": [dim[2] * 1e9 for dim in dims]}  # fmt: skip
    files["network.yml"] = "".join(f"{key}: {_list(values)}\n" for key, values in rows.items())
    kinds = ["ring" if n else "direct" for n in range(len(dims))]
    system = {
        "scheduling-policy": "LIFO", "endpoint-delay": 10, "active-chunks-per-dimension": 1,
        "preferred-dataset-splits": 4,
        **{f"{name}-implementation": kinds for name in ("all-reduce", "all-gather", "reduce-scatter")},
        "all-to-all-implementation": ["direct"] * len(dims), "collective-optimization": "localBWAware",
        "local-mem-bw": hardware.gpu.hbm_rate / 1e9,
    }  # fmt: skip
    files["system.json"] = json.dumps(system, indent=1) + "\n"
    files["memory.json"] = json.dumps({"memory-type": "NO_MEMORY_EXPANSION"}) + "\n"
    said.append(
        "network.yml is a switch for NVLink and one for NICs: no tiers, planes, oversubscription or routing"
    )
    return files, said


def _list(values: list[object]) -> str:
    return (
        "[ "
        + ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values)
        + " ]"
    )


def _head() -> bytes:
    return message(text(1, "1.0.0"))


def _attribute(name: str, value: bytes) -> bytes:
    body = text(1, name) + value
    return packed(10, body)


def _node(number: int, name: str, kind: int, after: list[int], seconds: float, *attributes: bytes) -> bytes:
    body = integer(1, number) + text(2, name) + integer(3, kind)
    if after:
        body += uint64(5, after)
    body += integer(7, round(seconds * 1e6))
    return message(body + b"".join(attributes))


def _compute(number: int, name: str, after: list[int], seconds: float) -> bytes:
    return _node(
        number, name, COMP, after, seconds, _attribute("is_cpu_op", boolean(27, False)),
        _attribute("duration_ns", integer(13, round(seconds * 1e9))), _attribute("num_ops", integer(9, 0)),
        _attribute("tensor_size", integer(13, 0)),
    )  # fmt: skip


def _nodes(rank: int, ops: list[RankOp]) -> list[bytes]:
    found: list[bytes] = []
    last: dict[int, list[int]] = {}
    for op in ops:
        before = [number for b in op.after for number in last[b]]
        if op.delay_s > 0 or not (op.sends or op.receives or op.seconds):
            found.append(_compute(len(found), f"{op.name} launch", before, op.delay_s))
            before = [len(found) - 1]
        first = len(found)
        if op.seconds:
            found.append(_compute(len(found), op.name, before, op.seconds))
        for other, size, tag in op.sends:
            found.append(_transfer(len(found), op.name, SEND, before, (rank, other, size, tag)))
        for other, size, tag in op.receives:
            found.append(_transfer(len(found), op.name, RECV, before, (other, rank, size, tag)))
        last[op.number] = list(range(first, len(found))) or before
    return found


def _transfer(number: int, name: str, kind: int, after: list[int], what: tuple[int, int, int, int]) -> bytes:
    source, target, size, tag = what
    return _node(
        number, name, kind, after, 0.0, _attribute("is_cpu_op", boolean(27, False)),
        _attribute("comm_size", integer(9, size)), _attribute("comm_src", integer(7, source)),
        _attribute("comm_dst", integer(7, target)), _attribute("comm_tag", integer(7, tag)),
    )  # fmt: skip


def _collective(exchange: Exchange) -> bytes:
    return _head() + _node(
        0, exchange.kind, COLL, [], 0.0, _attribute("is_cpu_op", boolean(27, False)),
        _attribute("comm_type", integer(9, COLLECTIVES[exchange.kind])),
        _attribute("comm_size", integer(9, exchange.collective_bytes)),
    )  # fmt: skip
