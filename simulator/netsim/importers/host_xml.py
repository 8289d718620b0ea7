"""NCCL's topology XML (NCCL_TOPO_DUMP_FILE): what a host has, to a host TOML made from the preset of its GPU.

Read: GPUs, NICs with their speeds and the GPU that each is nearest to (by CPU and PCIe switch), NVLinks of a GPU.
Achieved rates stay those of the preset, in proportion. Left out: which switch a NVLink goes to.

Source: NVIDIA/nccl, src/graph/xml.cc and topo.cc.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import rate_text, toml
from netsim.specs import catalog
from netsim.specs.base import read_toml

#: compute capability -> GB/s of one NVLink, one direction; host preset
_LINKS = {"80": (25.0, "a100"), "90": (25.0, "h100"), "100": (50.0, "b200"), "103": (50.0, "b300")}


def is_kind(source: Source) -> bool:
    return "<system" in source.head and "<cpu" in source.head and "<pci" in source.text


def read(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for a dump without GPUs."""
    notes, root = Notes(), source.xml()
    gpus, nets = (
        list(root.iter("gpu")),
        [net for net in root.iter("net") if int(net.get("speed", "0") or 0) > 0],
    )
    if not gpus:
        raise source.fail("no <gpu> in it")
    capability = gpus[0].get("sm", "")
    each, preset = _LINKS.get(capability, (25.0, "h100"))
    if capability not in _LINKS:
        notes.assumed.append(f"GPU with sm {capability!r} taken as {preset}")
    name = wanted.hardware or preset
    table: dict[str, Any] = read_toml(catalog.find("hardware", name))
    links = [sum(int(link.get("count", "1")) for link in gpu.iter("nvlink")) for gpu in gpus]
    if len(set(links)) > 1:
        notes.findings.append(f"GPUs have different numbers of NVLinks: {', '.join(map(str, links))}")
    if links and min(links) * each:
        before = float(str(table["scale_up"]["rate"]).split()[0])
        rate = min(links) * each
        achieved = float(str(table["scale_up"]["achieved_rate"]).split()[0]) * rate / before
        table["scale_up"] |= {"rate": f"{rate:g} GB/s", "achieved_rate": f"{achieved:.4g} GB/s"}
    speeds = sorted({int(net.get("speed", "0")) for net in nets})
    if len(speeds) > 1:
        notes.findings.append(f"NICs run at different speeds, Mb/s: {', '.join(map(str, speeds))}")
    count = _nics(len(nets), len(gpus), notes)
    if nets:
        table["nic"]["line_rate"] = rate_text(speeds[0] * 1e6 / 8)
    affinity = _affinity(root)
    table |= {"name": "{name}", "description": f"{len(gpus)} GPUs and {count} NICs, read from a topology of NCCL",
              "gpus_per_host": len(gpus), "nics_per_host": count}  # fmt: skip
    table.pop("gpus_per_tray", None)
    table["sources"]["host"] = "{file}"
    notes.read.append(
        f"{len(gpus)} GPUs with {min(links)} NVLinks, {len(nets)} NICs at {speeds or 'no'} Mb/s"
    )
    record = {
        "gpus_per_host": len(gpus),
        "nics": [net.get("name") for net in nets],
        "nvlinks": links,
        "affinity": affinity,
    }
    then = ("netsim collective all_reduce --topology mrft --gpus 64 --hardware {stem}.toml",)
    return Imported(
        "nccl-topology", source.place, record, notes, {".toml": toml(table)}, {"hardware": ".toml"}, then=then
    )


def _nics(nics: int, gpus: int, notes: Notes) -> int:
    """NICs that a host of netsim can have: they divide its GPUs, or are a multiple."""
    if nics and (gpus % nics == 0 or nics % gpus == 0):
        return nics
    fits = max((n for n in range(1, gpus + 1) if gpus % n == 0 and n <= max(nics, 1)), default=1)
    notes.assumed.append(
        f"{nics} NICs for {gpus} GPUs: counted as {fits}, others are for storage or management"
    )
    return fits


def _affinity(root: Element) -> dict[str, list[str]]:
    """GPU -> NICs under the same outermost PCIe element; those of the same CPU where none is."""
    found: dict[str, list[str]] = {}
    for cpu in root.iter("cpu"):
        near = [net.get("name", "") for net in cpu.iter("net")]
        for branch in cpu:
            nics = [net.get("name", "") for net in branch.iter("net")]
            for gpu in branch.iter("gpu"):
                found[f"gpu{gpu.get('dev')}"] = nics or near
    return found
