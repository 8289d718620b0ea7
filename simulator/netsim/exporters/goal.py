"""GOAL text, which LogGOPSim and ATLAHS replay: a program of calc, send and recv for each rank.

Times are in ns, sizes in bytes; a label waits for all labels of the operations before it on its rank. Launches and
latencies are calc in front of an operation. What it cannot hold: links, routes and NVLink (the simulator has a network
of its own), and the most that a kernel sends a second.

Source: spcl/LogGOPSim, the grammar of txt2bin.
"""

from __future__ import annotations

from netsim.exporters.by_rank import RankOp, by_rank
from netsim.exporters.traffic import Exchange


def export(exchange: Exchange) -> tuple[dict[str, str | bytes], list[str]]:
    """The file, and what it cannot hold."""
    lines = [f"num_ranks {exchange.topology.gpus}"]
    for rank, ops in by_rank(exchange):
        lines.append(f"rank {rank} {{")
        lines += _program(ops)
        lines.append("}")
    said = ["a rank is a GPU; links, routes and NVLink are those of the simulator that replays",
            "txt2bin -i traffic.goal -o traffic.bin, then LogGOPSim -f traffic.bin"]  # fmt: skip
    return {"traffic.goal": "\n".join(lines) + "\n"}, said


def _program(ops: list[RankOp]) -> list[str]:
    lines, count = [], 0
    last: dict[int, list[str]] = {}
    for op in ops:
        before = [label for number in op.after for label in last[number]]
        labels: list[str] = []

        def add(text: str, after: list[str], own: list[str] = labels) -> str:
            nonlocal count
            count += 1
            lines.append(f"l{count}: {text}")
            lines.extend(f"l{count} requires {label}" for label in after)
            own.append(f"l{count}")
            return f"l{count}"

        if op.delay_s > 0 or not (op.sends or op.receives or op.seconds):
            before = [add(f"calc {round(op.delay_s * 1e9)}", before)]
            if op.sends or op.receives or op.seconds:
                labels.clear()
        if op.seconds:
            add(f"calc {round(op.seconds * 1e9)}", before)
        for target, size, tag in op.sends:
            add(f"send {size}b to {target} tag {tag} cpu 0 nic 0", before)
        for source, size, tag in op.receives:
            add(f"recv {size}b from {source} tag {tag} cpu 0 nic 0", before)
        last[op.number] = list(labels)
    return lines
