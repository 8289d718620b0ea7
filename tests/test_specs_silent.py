"""Values that look like others: each is refused with its rule, on the command line and in Python."""

from collections.abc import Callable

import pytest

import netsim
from netsim.cli.app import run_app
from netsim.units import parse

SMALL = [
    "run",
    "-n",
    "64",
    "--set",
    "parallelism.pipeline=1",
    "--schedule",
    "1f1b",
    "--set",
    "batch.microbatches=1",
]


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        ('variation.slow={"00": 2, "0": 3}', "without leading zeros"),
        ('variation.slow={"\u0663": 2}', "must be the number of a GPU"),
        ("communication.slowdown=1e-320", "greater than or equal to 0.000001"),
        ("nic.line_rate=1__0 Gb/s", "must be a quantity"),
        ("nic.line_rate=_10 Gb/s", "must be a quantity"),
        ("nic.line_rate=10_ Gb/s", "must be a quantity"),
        ("nic.line_rate=\u0663 Gb/s", "must be a quantity"),
        ("parallelism.zero=true", "must be one of 0, 1, 2, 3"),
    ],
)
def test_a_setting_is_refused(setting: str, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app([*SMALL, "--set", setting]) == 2
    error = capsys.readouterr().err
    assert rule in error
    assert error.count("\n") == 1


def test_underscores_between_digits_are_digits() -> None:
    assert parse("1_000 GB", "bytes") == 1e12


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a" * 101])
def test_a_study_has_a_name_that_a_folder_may_have(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:  # type: ignore[no-untyped-def]
    study = tmp_path / "study.toml"
    study.write_text(f'name = "{name}"\n[vary]\ngpus = [64]\n')
    assert run_app(["sweep", str(study)]) == 2
    assert "name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ask", "rule"),
    [
        (lambda: netsim.collective("deepep", tokens=-5), "--tokens -5: must be from 1"),
        (lambda: netsim.collective("dispatch", tokens=True), "--tokens True: must be from 1"),
        (lambda: netsim.packets("dispatch", tokens=-4), "tokens = -4, must be at least 1"),
        (lambda: netsim.topology("mpft", years=-1), "years = -1: must be from 0"),
        (lambda: netsim.topology("mpft", years=float("inf")), "years = inf: must be from 0"),
        (lambda: netsim.topology("mpft", run_days=float("nan")), "run_days = nan: must be from 0"),
        (
            lambda: netsim.infer(gpus=8, phase="decode", overrides={"decode.expert": 1}, ideal=True),
            "exchanges nothing",
        ),
    ],
)
def test_python_refuses_what_the_command_line_refuses(ask: Callable[[], object], rule: str) -> None:
    with pytest.raises(netsim.NetsimError, match=rule):
        ask()


@pytest.mark.parametrize(("gpus", "switches"), [(8, 1), (16, 2), (24, 2), (128, 3)])
def test_a_slim_fly_is_as_wide_as_its_endpoints_lie(gpus: int, switches: int) -> None:
    """One NIC per host: endpoints on one switch, on neighbours, and on switches that are not all neighbours."""
    fabric = netsim.topology("slim_fly", gpus=gpus, overrides={"nics_per_host": 1})
    assert fabric.record["properties"]["diameter_switches"] == switches
