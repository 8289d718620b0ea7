"""The kinds of files that can be read: a new one is one module and one entry here.

A file whose kind nobody names is tried in this order; the first that recognises it, reads it.
"""

from __future__ import annotations

import gzip
import importlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from netsim.errors import NetsimError, did_you_mean
from netsim.importers.report import Imported, Wanted
from netsim.importers.source import Source, open_source


class Kind(NamedTuple):
    """A kind of file: what it is, its module, how it is recognised and read there (functions by name)."""

    words: str
    module: str
    recognise: str
    read: str

    def known(self, source: Source) -> bool:
        """Whether the file looks like one."""
        test: Callable[[Source], bool] = getattr(_module(self.module), self.recognise)
        return test(source)

    def reader(self) -> Callable[[Source, Wanted], Imported]:
        """What reads it."""
        found: Callable[[Source, Wanted], Imported] = getattr(_module(self.module), self.read)
        return found


KINDS: dict[str, Kind] = {
    "nccl-tests": Kind("nccl-tests log: network profile", "nccl_tests", "is_text", "read_text"),
    "nccl-tests-json": Kind("nccl-tests -J: network profile", "nccl_tests", "is_json", "read_json"),
    "nccl-inspector": Kind("NCCL Inspector JSON lines: network profile", "nccl_inspector", "is_kind", "read"),
    "deepep": Kind("DeepEP test log: network profile", "deepep", "is_kind", "read"),
    "mlperf-log": Kind(":::MLLOG lines: job, with its measured step", "mlperf", "is_log", "read_log"),
    "megatron-log": Kind("Megatron-LM log: job, with its measured step", "megatron_log", "is_kind", "read"),
    "mlperf-config": Kind("MLPerf Training config_*.sh: job", "mlperf", "is_config", "read_config"),
    "megatron-bridge": Kind("Megatron-Bridge or NeMo YAML: job", "job_files", "is_bridge", "read_bridge"),
    "torchtitan": Kind("torchtitan TOML: job", "job_files", "is_titan", "read_titan"),
    "deepspeed": Kind("DeepSpeed JSON: job", "job_files", "is_deepspeed", "read_deepspeed"),
    "ibnetdiscover": Kind("ibnetdiscover output: fabric", "infiniband", "is_discover", "read_discover"),
    "iblinkinfo": Kind("iblinkinfo output, also -l: fabric", "infiniband", "is_linkinfo", "read_linkinfo"),
    "slurm-conf": Kind("Slurm topology.conf: placement", "slurm", "is_conf", "read_conf"),
    "slurm-yaml": Kind("Slurm topology.yaml: placement", "slurm", "is_yaml", "read_yaml"),
    "nccl-topology": Kind("NCCL topology XML: host", "host_xml", "is_kind", "read"),
    "infragraph": Kind("InfraGraph YAML: fabric", "infragraph", "is_kind", "read"),
    "netbox": Kind("NetBox cable CSV: fabric", "cable_files", "is_netbox", "read_netbox"),
    "lldp": Kind("lldpctl -f json of one or many nodes: fabric", "cable_files", "is_lldp", "read_lldp"),
    "simai-topology": Kind("SimAI or ns-3 topology text: fabric", "cable_files", "is_simai", "read_simai"),
    "graph": Kind("GraphML or node-link JSON: fabric", "cable_files", "is_graph", "read_graph"),
}


#: all kinds with a line each; traces are read as streams, however large
WORDS = {name: kind.words for name, kind in KINDS.items()} | {
    "kineto": "PyTorch profiler trace, also .gz: its collectives beside netsim's"
}


def is_trace(path: Path) -> bool:
    """Whether a file begins as a trace of the PyTorch profiler does, packed or not."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(1 << 16)
    except (OSError, EOFError, zlib.error):
        return False
    return any(word in head for word in (b'"traceEvents"', b'"deviceProperties"'))


def _module(name: str) -> object:
    return importlib.import_module(f"netsim.importers.{name}")


def read(path: Path, kind: str | None = None, wanted: Wanted | None = None) -> Imported:
    """Read a file of a kind, or of the kind that it looks like.

    Raises NetsimError for an unknown kind, a file that is none of them, and whatever is wrong in the file.
    """
    if kind is not None and kind not in WORDS:
        raise NetsimError(f"no kind of file {kind!r}: {did_you_mean(kind, WORDS)}")
    if kind == "kineto" or (kind is None and is_trace(path)):
        from netsim.importers import kineto

        return kineto.read(path, wanted or Wanted())
    source = open_source(path)
    chosen = kind or next((name for name, each in KINDS.items() if each.known(source)), None)
    if chosen is None:
        raise NetsimError(f"{source.place}: no kind of file that is known: netsim import list shows them")
    return KINDS[chosen].reader()(source, wanted or Wanted())


def print_kinds(as_json: bool) -> str:
    """The kinds with a line each, as text or JSON."""
    if as_json:
        return json.dumps(WORDS, indent=1) + "\n"
    return "".join(f"{name:<20} {words}\n" for name, words in WORDS.items())
