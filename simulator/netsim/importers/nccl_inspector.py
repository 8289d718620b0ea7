"""JSON lines of NCCL Inspector: collectives of production runs with their times, to a network profile.

Times of a collective, size and group are taken as their median over calls. Left out: what a rank waited for others,
which the times include, so a fit to them is a lower bound of the network.

Source: NVIDIA/nccl, plugins/profiler/inspector.
"""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import median

from netsim.importers.bench import Bench, Point, kind_of
from netsim.importers.network_fit import network_profile
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

_FACTORS = {"all_gather": "ranks", "reduce_scatter": "ranks"}


def is_kind(source: Source) -> bool:
    return '"coll_perf"' in source.head and '"coll_exec_time_us"' in source.head


def read(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError when no line is a collective's."""
    notes, strange = Notes(), []
    found: dict[tuple[str, int, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    names: set[str] = set()
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            head, perf = entry["header"], entry["coll_perf"]
            kind = kind_of(str(perf["coll"]))
            key = (kind or "", int(head["n_ranks"]), int(head.get("nnodes", 1)))
            size, time_us = int(perf["coll_msg_size_bytes"]), float(perf["coll_exec_time_us"])
        except (ValueError, KeyError, TypeError, RecursionError):
            strange.append(f"line {number}")
            continue
        if kind is None:
            names.add(str(perf["coll"]))
        elif size > 0 and time_us > 0:
            found[key][size].append(time_us)
    notes.many("lines", strange)
    notes.many("collectives that netsim does not time", sorted(names))
    benches = [
        Bench(kind, hosts, max(1, ranks // hosts), points=[Point(s, median(t) * 1e-6) for s, t in sorted(rows.items())])
        for (kind, ranks, hosts), rows in found.items() if ranks > 1 and ranks % max(hosts, 1) == 0
    ]  # fmt: skip
    if not benches:
        raise source.fail("no collective of several ranks with its time")
    notes.assumed.append(
        "sizes are those of nccl-tests' convention; times hold what a rank waited for others"
    )
    return network_profile("nccl-inspector", source, benches, notes, wanted, None)
