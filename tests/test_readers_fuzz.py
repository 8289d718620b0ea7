"""Mutated files of every reader: read, or refused in one line; none takes 10 s or 2 GB.

A reader is added by one line of READERS: what reads a file, and good files to begin from.
"""

import contextlib
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.calibration.table_file import read_frame
from netsim.errors import NetsimError
from netsim.specs import TopologySpec, WorkloadSpec, catalog, load
from netsim.specs.case import parse_overrides, sort_overrides
from netsim.specs.faults import read_faults
from netsim.specs.huggingface import model_tables
from netsim.topologies.edge_list import read_edges
from netsim.training.placement import _from_file

Reader = Callable[[Path], Any]

CABLES = (
    b"a,b,rate,cables\nhost0/nic0,leaf0,400 Gb/s,1\nhost0/nic1,leaf0,400 Gb/s,1\nleaf0,spine0,800 Gb/s,4\n"
)
CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256,
    }
).encode()  # fmt: skip
TABLE = b"kernel,dtype,m,n,k,time_us\ngemm,fp8_block,4096,7168,2112,123.4\ngemm,fp8_block,64,64,64,5\n"
FAULTS = b'[[faults]]\npart = "nic host12.3"\neffect = "degraded"\namount = "50%"\nat = "1 s"\n'


def text_of(path: Path) -> str:
    return path.read_text("utf-8", "surrogateescape")


def shipped(kind: str, *names: str) -> list[bytes]:
    return [(catalog.folder(kind) / f"{name}.toml").read_bytes() for name in names]


def as_fault(path: Path) -> None:
    read_faults([text_of(path)])


def as_setting(path: Path) -> None:
    sort_overrides(parse_overrides([text_of(path)]))


#: reader -> (what reads, suffix of the file, good files)
READERS: dict[str, tuple[Reader, str, list[bytes]]] = {
    "topology": (
        lambda p: load(TopologySpec, "topology", str(p)),
        ".toml",
        shipped("topology", "mpft", "ft3"),
    ),
    "workload": (
        lambda p: load(WorkloadSpec, "workload", str(p)),
        ".toml",
        shipped("workload", "deepseek-v3"),
    ),
    "cables": (read_edges, ".csv", [CABLES]),
    "faults": (lambda p: read_faults([str(p)]), ".toml", [FAULTS]),
    "fault line": (
        as_fault,
        ".txt",
        [b"nic host12.3 degraded to 50% at 1s for 200ms", b"plane 3 down at 40%"],
    ),
    "setting": (as_setting, ".txt", [b"switch.radix=128", b'variation.slow={"3": 1.5}']),
    "placement": (lambda p: _from_file(p, 2, 2), ".csv", [b"rank,host,gpu\n0,0,1\n1,0,0\n"]),
    "config.json": (model_tables, ".json", [CONFIG]),
    "table": (lambda p: read_frame(p, {}), ".csv", [TABLE]),
}
#: what breaks readers: numbers without end, nesting, signs of other alphabets, control characters, markup
_BAD = [
    b"", b"\x00", b"\xff", b"\x1b[31m", b"1" * 5000, b"1e400", b"-1", b"nan", b"inf", b"[" * 3000, b"{" * 3000,
    "\u0663".encode(), "\u00b2".encode(), b"99999999999999999999", b'"', b"'", b",", b"\n", b"=", b"[[", b"true",
    b"null", b"~nosuchuser/x", b"$x_{$", b"[/b]", b"0x10", b"1_0", b"-0", b".", b"a" * 140_000,
]  # fmt: skip
#: (where, how many bytes go, what comes instead, and whether as many bytes are said again)
_CHANGE = st.tuples(
    st.floats(0, 1), st.integers(0, 12), st.sampled_from(_BAD) | st.binary(max_size=4), st.booleans()
)


def mutated(data: bytes, changes: list[tuple[float, int, bytes, bool]]) -> bytes:
    for where, gone, instead, again in changes:
        at = int(where * len(data))
        data = data[:at] + instead + data[at if again else at + gone :]
    return data


def attack(name: str, path: Path, files: int) -> None:
    """Let a reader read this many mutants of its files."""
    read, _, corpus = READERS[name]

    @settings(
        max_examples=files, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(corpus), st.lists(_CHANGE, min_size=1, max_size=3))
    def one(good: bytes, changes: list[tuple[float, int, bytes, bool]]) -> None:
        path.write_bytes(mutated(good, changes))
        began = time.monotonic()
        with contextlib.suppress(NetsimError):
            read(path)
        assert time.monotonic() - began < 10

    one()


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_read_and_some_mutants(name: str, tmp_path: Path) -> None:
    read, suffix, corpus = READERS[name]
    path = tmp_path / f"a{suffix}"
    for good in corpus:
        path.write_bytes(good)
        read(path)
    attack(name, path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_two_thousand_mutants_of_each_reader(name: str, tmp_path: Path) -> None:
    attack(name, tmp_path / f"a{READERS[name][1]}", 2000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2e6
