"""`netsim examples`, the examples in the help of each command, and `netsim doctor`."""

import json
import shlex
from pathlib import Path

import pytest

from command import netsim
from netsim.api import doctor as doctor_module
from netsim.cli.app import COMMANDS
from netsim.cli.examples import Example, examples_by_question


def _mark(example: Example) -> object:
    marks = [pytest.mark.slow] if example.slow else []
    return pytest.param(example, marks=marks, id=example.command.removeprefix("netsim "))


@pytest.mark.parametrize("example", [_mark(e) for e in examples_by_question() if not e.elsewhere])
def test_example_runs(example: Example, tmp_path: Path) -> None:
    done = netsim(*shlex.split(example.command)[1:], cwd=tmp_path)
    # validate exits with 1 when a published number is missed, which is a finding and not a failure
    assert done.returncode in ((0, 1) if example.verb == "validate" else (0,)), done.stderr
    assert done.stdout


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_shows_an_example(verb: str) -> None:
    done = netsim(verb, "--help")
    assert "Example" in done.stdout
    mine = [example.command for example in examples_by_question() if example.verb == verb]
    assert mine
    assert all(command in done.stdout for command in mine)


def test_doctor_is_content_with_the_test_environment() -> None:
    done = netsim("doctor", "--json")
    record = json.loads(done.stdout)
    assert done.returncode == (1 if record["problems"] else 0)
    assert {row["package"] for row in record["packages"]} >= {"numpy", "numba", "simpy", "typer"}
    assert all(row["installed"] for row in record["packages"])
    assert record["cores"] >= 1
    assert netsim("doctor").stdout.startswith(f"netsim {record['netsim']}, Python {record['python']}")


def test_doctor_finds_an_old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor_module.metadata, "requires", lambda _: ["numpy>=999.0", "torch>=1; extra == 'measure'"]
    )
    record = doctor_module.doctor()
    assert any("numpy" in problem and "999.0 is needed" in problem for problem in record["problems"])
    assert record["extras"][0]["extra"] == "measure"


def test_doctor_finds_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/no/such/place")
    record = doctor_module.doctor()
    assert not record["cache"]["writable"]
    assert any("/proc/no/such/place" in problem for problem in record["problems"])
