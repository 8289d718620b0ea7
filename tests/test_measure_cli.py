"""`netsim measure` on a machine without a CUDA GPU: the plan can be read, and anything more is one clear line."""

import json
from pathlib import Path

import pytest

from command import netsim


def test_list_needs_no_gpu_and_no_torch() -> None:
    done = netsim("measure", "--list", "--only", "attn_fwd:bf16:4096x128x192:workload:*")
    assert done.returncode == 0
    assert done.stdout.split() == [
        f"attn_fwd:bf16:4096x128x192:workload:{how}" for how in ("cool", "cool+spin20", "cool+copy20", "hot")
    ]
    names = json.loads(netsim("measure", "--list", "--quick", "--side-sms", "0", "--json").stdout)[
        "measurements"
    ]
    assert names
    assert not any("+" in name for name in names)


def has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.mark.skipif(has_gpu(), reason="here there is a GPU")
def test_without_torch_or_gpu_it_says_so(tmp_path: Path) -> None:
    done = netsim("measure", "--quick", "-o", str(tmp_path / "t.csv"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("netsim: measure needs ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "measure needs -o FILE.csv to write to, or --list"),
        (["--list", "--only", "gem"], "--only gem: no such measurement; did you mean 'gemm'?"),
        (["--list", "--workload", "deepseek-v4"], "did you mean 'deepseek-v3'?"),
        (["--soak", "10"], "measure --soak needs -o FILE.csv to write to"),
        (["--soak", "10", "-o", "x.csv", "--workload", "qwen2.5-72b"], "qwen2.5-72b has no MoE layer"),
        (["--soak", "10", "--only", "gemm"], "--only: has no effect with --soak"),
        (["--soak", "10", "--gpus", "2"], "--gpus: has an effect only with --collectives"),
        (["--soak", "10", "--collectives"], "--collectives and --soak: choose one"),
        (["--soak", "10", "-o", "x.csv", "--side", "spinn"], "--side spinn: did you mean 'spin'?"),
        (["--side", "copy", "-o", "x.csv"], "--side: has an effect only with --soak"),
        (["--collectives", "--side", "copy", "-o", "x.csv"], "--side: has an effect only with --soak"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], line: str) -> None:
    done = netsim("measure", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
