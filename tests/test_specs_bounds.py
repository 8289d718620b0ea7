"""What would hang, fill the memory or end in a traceback is one line and exit status 2."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netsim.cli.app import run_app

SMALL = ["run", "-n", "64", "--set", "parallelism.pipeline=2", "--set", "parallelism.expert=8",
         "--set", "batch.microbatches=4"]  # fmt: skip


def setting(text: str) -> list[str]:
    return [*SMALL, "--set", text]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (setting("model.layers=100000"), "less than or equal to 4096"),
        (setting("model.layers=1000000000"), "less than or equal to 4096"),
        (setting("model.layers=" + "9" * 5000), "model.layers"),
        (setting("model.moe.experts=1000000000"), "less than or equal to 65536"),
        (setting("batch=" + "[" * 5000 + "]" * 5000), "nested too deeply"),
        (setting("workload.model=~nosuchuser/config.json"), "no such config.json"),
        (["run", "-t", "~nosuchuser/x.toml"], "no such topology file"),
        (["sweep", "~nosuchuser/x.toml"], "no such study file"),
        (["calibrate", "--table", "~nosuchuser/x.csv"], "no such"),
        ([*SMALL, "--fault", "~nosuchuser/x.toml"], "no such file"),
        ([*SMALL, "--fault-rate", "inf"], "--fault-rate inf: must be at least 0, and finite"),
        ([*SMALL, "--fault", "nic host\u0663.0 down"], "no NIC"),
        ([*SMALL, "--fault", "nic host0.0 down at \u0663 s"], "must be written"),
        ([*SMALL, "--fault", "nic host" + "9" * 5000 + ".0 down"], "no NIC"),
        (["goodput", "--checkpoint-time", "1e300 h"], "must be at most 100000000 h"),
        (["topology", "ft3", "-n", "1000000000", "--set", "switch.radix=4096"], "at most 1,048,576"),
        (["topology", "torus", "--set", "torus.sides=[100000,100000]"], "more than 1,048,576 switches"),
        (["topology", "torus", "--set", "torus.longest=5000"], "less than or equal to 4096"),
        (["topology", "torus", "--set", "torus.longest=4000"], "give the sides"),
        (
            ["topology", "torus", "--set", "torus.dimensions=5", "--set", "torus.longest=100"],
            "give the sides",
        ),
        (["topology", "mpft", "--years", "inf", "--json"], "years = inf: must be from 0"),
        (
            ["collective", "deepep", "--load", "uniform", "--redundant", "6400000000"],
            "--redundant 6400000000: must be",
        ),
        (
            ["infer", "--phase", "prefill", "--set", "prefill.prompt=1" + "0" * 20],
            "less than or equal to 16777216",
        ),
        (
            ["infer", "--phase", "decode", "--set", "decode.context=1" + "0" * 20],
            "less than or equal to 16777216",
        ),
    ],
    ids=lambda value: " ".join(value[-3:])[:60] if isinstance(value, list) else None,
)
def test_one_line_and_exit_2(words: list[str], rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert run_app(words) == 2
    error = capsys.readouterr().err
    assert rule in error
    assert error.count("\n") == 1
    assert len(error) < 1000
    assert time.monotonic() - began < 10.0


def _placement(text: str) -> Callable[[Path], list[str]]:
    def make(path: Path) -> list[str]:
        path.with_suffix(".csv").write_text(text)
        return [*SMALL, "--placement", str(path.with_suffix(".csv"))]

    return make


def _cables(path: Path) -> list[str]:
    path.with_suffix(".csv").write_text("a,b,rate,cables\nhost0/nic0," + "x" * 140_000 + ",400 Gb/s,1\n")
    return ["topology", str(path.with_suffix(".csv")), "--gpus", "8"]


def _load(path: Path) -> list[str]:
    path.write_text("1e308 " * 256)
    return setting(f"variation.expert_load={path}")


def _toml(path: Path) -> list[str]:
    path.with_suffix(".toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    return ["run", "-t", str(path.with_suffix(".toml"))]


def _json(path: Path) -> list[str]:
    path.with_suffix(".json").write_text("[" * 100_000 + "]" * 100_000)
    return setting(f"workload.model={path.with_suffix('.json')}")


def _jobs(path: Path) -> list[str]:
    job = '[[jobs]]\nname = "a"\nworkload = "deepseek-v3"\ngpus = 64\nhosts = "0-99999999999"\n'
    path.with_suffix(".toml").write_text(job)
    return ["share", str(path.with_suffix(".toml")), "--gpus", "64"]


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (_placement("rank,host,gpu\n0,0,\0000\n"), "three whole numbers"),
        (_placement("rank,host,gpu\n0," + "9" * 5000 + ",0\n"), "three whole numbers"),
        (_placement('rank,host,gpu\n0,"' + "9" * 140_000 + '",0\n'), "not a CSV"),
        (_placement("rank,host,gpu\n\u0663,0,0\n"), "three whole numbers"),
        (_cables, "line 2: not a CSV"),
        (_load, "each from 1e-30 to 1e30"),
        (_toml, "nested too deeply"),
        (_json, "not valid JSON"),
        (_jobs, "must name different hosts from 0 to 7"),
    ],
)
def test_a_file_is_one_line_and_exit_2(
    make: Callable[[Path], list[str]], rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_one_line_and_exit_2(make(tmp_path / "file"), rule, capsys)


def test_a_chain_of_3000_switches_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"host{h}/nic{n},s{s},400 Gb/s,1" for h, s in ((0, 0), (1, 2999)) for n in range(8)]
    rows += [f"s{n},s{n + 1},400 Gb/s,1" for n in range(2999)]
    path = tmp_path / "chain.csv"
    path.write_text("\n".join(["a,b,rate,cables", *rows]) + "\n")
    assert run_app(["topology", str(path), "--gpus", "16"]) == 0
    assert "3000 switches at most" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_closed_standard_output_is_one_line(more: list[str]) -> None:
    words = [sys.executable, "-m", "netsim", *SMALL, *more]
    script = 'exec "$@" >&-'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words], stderr=subprocess.PIPE, text=True, timeout=300, check=False
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert errors == ["netsim: cannot write the output: standard output is closed"]
