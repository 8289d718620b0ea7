"""Slurm's topology.conf and topology.yaml with a node list, to a placement: ranks in the scheduler's order.

Hosts are numbered as the tree (or the blocks) lists them, leaf by leaf, which is how netsim's fabrics lie under their
leaves. The job's nodes take ranks in the order of --nodes, a host's worth each (block distribution). Written: a CSV of
rank,host,gpu for --placement, hosts of the job numbered anew without gaps, and a TOML for `netsim share` with their
numbers in the whole cluster.

Source: Slurm, topology.conf(5), topology.yaml(5).
"""

from __future__ import annotations

import re
from typing import Any

from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import expand
from netsim.specs import HardwareSpec, load

_KEY = re.compile(r"(\w+)=(\S+)")
DEFAULT_HOST = "h100"
DEEPEST = 16


def is_conf(source: Source) -> bool:
    return bool(re.search(r"^\s*(SwitchName|BlockName)=", source.head, re.MULTILINE | re.IGNORECASE))


def is_yaml(source: Source) -> bool:
    return (
        source.path.suffix in (".yaml", ".yml")
        and "topology:" in source.text
        and ("switches:" in source.text or "blocks:" in source.text or "flat:" in source.text)
    )


def read_conf(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for a line that says nothing, and for a switch that has neither nodes nor switches."""
    notes, units = Notes(), {}
    for number, line in enumerate(source.lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        keys = {key.lower(): value for key, value in _KEY.findall(text)}
        name = keys.get("switchname") or keys.get("blockname")
        if name is None:
            if "blocksizes" not in keys:
                notes.not_understood.append(f"line {number}: {text[:60]}")
            continue
        if "nodes" not in keys and "switches" not in keys:
            raise source.fail(f"{name} has neither Nodes nor Switches: truncated?", number)
        units[name] = (
            _names(source, keys.get("nodes", ""), number),
            _names(source, keys.get("switches", ""), number),
        )
    return _answer("slurm-conf", source, units, notes, wanted)


def read_yaml(source: Source, wanted: Wanted) -> Imported:
    """The topology that is the cluster's default, or the first."""
    notes, data = Notes(), source.yaml()
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise source.fail("must be a list of topologies")
    chosen = next((each for each in data if each.get("cluster_default")), data[0])
    notes.many("other topologies", [str(each.get("topology")) for each in data if each is not chosen])
    units: dict[str, tuple[list[str], list[str]]] = {}
    tree, block = chosen.get("tree") or {}, chosen.get("block") or {}
    for each in [*(tree.get("switches") or ()), *(block.get("blocks") or ())]:
        name = str(each.get("switch", each.get("block", "")))
        units[name] = (
            _names(source, str(each.get("nodes") or ""), None),
            _names(source, str(each.get("children") or ""), None),
        )
    return _answer("slurm-yaml", source, units, notes, wanted)


def _names(source: Source, text: str, number: int | None) -> list[str]:
    try:
        return expand(text) if text else []
    except ValueError as error:
        raise source.fail(str(error), number) from None


def _answer(
    kind: str, source: Source, units: dict[str, tuple[list[str], list[str]]], notes: Notes, wanted: Wanted
) -> Imported:
    order = _order(source, units)
    if not order:
        raise source.fail("no nodes")
    place = {name: n for n, name in enumerate(order)}
    job = _names(source, wanted.nodes or "", None) or order
    strange = [name for name in job if name not in place]
    if strange:
        raise source.fail(f"--nodes: {strange[0]} is in no switch or block")
    if len(set(job)) < len(job):
        raise source.fail("--nodes: a node is named twice")
    hardware = wanted.hardware or DEFAULT_HOST
    gpus = load(HardwareSpec, "hardware", hardware).gpus_per_host
    notes.assumed.append(
        f"{gpus} GPUs a node, as {hardware} has; a host's ranks follow each other (block distribution)"
    )
    packed = {name: n for n, name in enumerate(sorted(job, key=lambda name: place[name]))}
    leaves = [name for name, (nodes, _) in units.items() if nodes]
    notes.read.append(f"{len(units)} switches or blocks, {len(order)} nodes, {len(job)} of them in the job")
    used = {leaf for leaf in leaves if set(units[leaf][0]) & set(job)}
    rows = [f"{n * gpus + gpu},{packed[name]},{gpu}" for n, name in enumerate(job) for gpu in range(gpus)]
    if len(job) < len(order):
        notes.assumed.append(
            "the CSV numbers the job's hosts without gaps; the TOML for share keeps the cluster's numbers"
        )
    hosts = _ranges(sorted(place[name] for name in job))
    jobs = f'[[jobs]]\nname = "job"\ngpus = {len(job) * gpus}\nhosts = "{hosts}"\n'
    jobs += f'workload = "{wanted.workload or "llama-3.1-8b"}"\n'
    record: dict[str, Any] = {
        "nodes": len(order), "job_nodes": len(job), "leaves": len(leaves), "leaves_of_job": len(used),
        "gpus": len(job) * gpus,
        "hosts": [place[name] for name in job],
    }  # fmt: skip
    then = (
        f"netsim run --gpus {len(job) * gpus} --topology mrft --workload llama-3.1-8b --placement {{stem}}.csv",
        f"netsim share {{stem}}-jobs.toml --gpus {len(order) * gpus} --topology mrft",
    )
    text = "\n".join(["rank,host,gpu", *rows]) + "\n"
    return Imported(
        kind,
        source.place,
        record,
        notes,
        {".csv": text, "-jobs.toml": jobs},
        {"placement": ".csv"},
        then=then,
    )


def _order(source: Source, units: dict[str, tuple[list[str], list[str]]]) -> list[str]:
    """Nodes leaf by leaf, walking the tree from its roots in the order of the file."""
    below = {child for _, children in units.values() for child in children}
    unknown = below - units.keys()
    if unknown:
        raise source.fail(f"switch {min(unknown)} is named and not defined: truncated?")
    found: dict[str, None] = {}
    walk = [(name, 0) for name in reversed(list(units)) if name not in below]
    if units and not walk:
        raise source.fail("its switches form a circle")
    while walk:
        name, depth = walk.pop()
        if depth > DEEPEST:
            raise source.fail(f"{name}: deeper than {DEEPEST} switches, or a circle")
        nodes, children = units[name]
        found |= dict.fromkeys(nodes)
        walk += [(child, depth + 1) for child in reversed(children)]
    return list(found)


def _ranges(numbers: list[int]) -> str:
    """Numbers as share wants them.

    >>> _ranges([0, 1, 2, 5])
    '0-2,5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{low}-{high}" if high > low else str(low) for low, high in parts)
