"""SimGrid: a platform of links and routes, the flows, and a script that replays them.

Every link that a flow crosses is a link of the platform, at the rate that netsim counts with; parallel cables over
which flows spread evenly are one. A host is a GPU. Where all flows that cross a link put the same part of their bytes
on it, the link is as much wider, which is the same inequality. Latencies and launches stand in the flow list: a flow
starts so long after the operations before it; links have none. So the raw network model of SimGrid and netsim solve
the same.

What it cannot hold: a link that flows share in different parts (spread over unequal paths); such a fabric is refused,
and exported with --routing static or ecmp.

Source: SimGrid 4.1, examples/platforms; DTD version 4.1.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import numpy as np

from netsim.errors import NetsimError
from netsim.exporters.traffic import Exchange, Op, whole_bytes
from netsim.routing import paths
from netsim.routing.table import KINDS

_HEAD = "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"


def export(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """Files by name, and what the format cannot hold.

    Raises NetsimError where flows share a link in different parts.
    """
    links: dict[str, float] = {}
    routes: dict[tuple[int, int, int], list[str]] = {}
    rows = ["op,flow,src,dst,size_bytes"]
    for number, op in enumerate(exchange.ops):
        if op.source.size:
            _flows(exchange, number, op, links, routes, rows)
    ops = ["op,name,after,delay_s,seconds"]
    for n, op in enumerate(exchange.ops):
        ops.append(f"{n},{op.name},{' '.join(map(str, op.after))},{op.delay_s!r},{op.seconds!r}")
    files: dict[str, str | bytes] = {
        "platform.xml": _platform(exchange, links, routes), "flows.csv": "\n".join(rows) + "\n",
        "operations.csv": "\n".join(ops) + "\n", "replay.py": _REPLAY,
    }  # fmt: skip
    said = ["latencies and launches are delays of the flow list, links have none",
            "python replay.py prints SimGrid's time; netsim's stands in export.json"]  # fmt: skip
    if any(op.seconds for op in exchange.ops):
        said.append("compute is a wait of its seconds")
    return files, said


def _flows(
    exchange: Exchange, number: int, op: Op, links: dict[str, float], routes: dict[tuple[int, int, int], list[str]],
    rows: list[str],
) -> None:  # fmt: skip
    key = np.arange(op.source.size)
    routed = paths(exchange.topology, exchange.routing, op.source, op.target, exchange.seed, key)
    part = np.ones(routed.capacity.size)
    part[routed.link_ids] = routed.share
    if not np.allclose(part[routed.link_ids], routed.share, rtol=1e-12):
        raise NetsimError(
            "simgrid: flows share a link in different parts, which a route cannot say: use --routing static or ecmp"
        )
    size, ptr = whole_bytes(op.size_bytes), routed.ptr
    for flow in range(op.source.size):
        names = []
        for link in routed.link_ids[ptr[flow] : ptr[flow + 1]].tolist():
            name = f"{KINDS[routed.kind[link]]}{link}" + ("" if part[link] == 1 else f"-{number}")
            links[name] = float(routed.capacity[link] / part[link])
            names.append(name)
        if np.isfinite(op.cap[flow]):
            links[f"cap{number}-{flow}"] = float(op.cap[flow])
            names.append(f"cap{number}-{flow}")
        pair = (int(op.source[flow]), int(op.target[flow]))
        alike = 0
        while routes.get((*pair, alike), names) != names:
            alike += 1
        routes[(*pair, alike)] = names
        rows.append(f"{number},{flow},gpu{pair[0]}{_again(alike)},gpu{pair[1]},{size[flow]}")


def _again(alike: int) -> str:
    """Another path between the same two GPUs starts at a twin of the first."""
    return f"-{alike}" if alike else ""


def _platform(
    exchange: Exchange, links: dict[str, float], routes: dict[tuple[int, int, int], list[str]]
) -> str:
    hosts = {f"gpu{n}" for n in range(exchange.topology.gpus)}
    hosts |= {f"gpu{source}{_again(alike)}" for source, _, alike in routes}
    lines = ['<platform version="4.1">', ' <zone id="fabric" routing="Full">']
    lines += [f'  <host id="{name}" speed="1Gf"/>' for name in sorted(hosts)]
    lines += [
        f'  <link id={quoteattr(name)} bandwidth="{rate!r}Bps" latency="0s"/>'
        for name, rate in sorted(links.items())
    ]
    for (source, target, alike), names in sorted(routes.items()):
        inner = "".join(f"<link_ctn id={quoteattr(name)}/>" for name in names)
        start = f"gpu{source}{_again(alike)}"
        lines.append(f'  <route src="{start}" dst="gpu{target}" symmetrical="NO">{inner}</route>')
    return _HEAD + "\n".join([*lines, " </zone>", "</platform>"]) + "\n"


_REPLAY = '''"""Replay flows.csv and operations.csv on platform.xml with SimGrid; prints the seconds that they take."""

import csv
from pathlib import Path

from simgrid import Comm, Engine, this_actor

folder = Path(__file__).parent
engine = Engine(["replay", "--cfg=network/model:raw", "--cfg=network/crosstraffic:0", "--cfg=precision/timing:1e-12",
                 "--cfg=precision/work-amount:1e-9", "--log=root.thres:error"])
engine.load_platform(str(folder / "platform.xml"))
with (folder / "operations.csv").open() as file:
    ops = {int(row["op"]): row for row in csv.DictReader(file)}
flows = {number: [] for number in ops}
with (folder / "flows.csv").open() as file:
    for row in csv.DictReader(file):
        flows[int(row["op"])].append(row)
following = {number: [] for number in ops}
waiting = {}
for number, row in ops.items():
    before = [int(word) for word in row["after"].split()]
    waiting[number] = len(before)
    for other in before:
        following[other].append(number)
hosts = {host.name: host for host in engine.all_hosts}
anywhere = engine.all_hosts[0]
ends = []


def run(number):
    row = ops[number]
    if float(row["delay_s"]) > 0:
        this_actor.sleep_for(float(row["delay_s"]))
    began = engine.clock
    comms = []
    for flow in flows[number]:
        comm = Comm.sendto_init(hosts[flow["src"]], hosts[flow["dst"]])
        comm.set_payload_size(int(flow["size_bytes"])).start()
        comms.append(comm)
    for comm in comms:
        comm.wait()
    left = began + float(row["seconds"]) - engine.clock
    if left > 0:
        this_actor.sleep_for(left)
    ends.append(engine.clock)
    for later in following[number]:
        waiting[later] -= 1
        if not waiting[later]:
            start(later)


def start(number):
    anywhere.add_actor(f"op{number}", run, number)


for number in ops:
    if not waiting[number]:
        start(number)
engine.run()
print(repr(max(ends)))
'''
