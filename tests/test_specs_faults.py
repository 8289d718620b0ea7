"""Faults as text and as TOML: what is understood, and one clear line for what is not."""

from pathlib import Path

import pytest

from netsim.errors import NetsimError
from netsim.specs.faults import parse_fault, read_faults


@pytest.mark.parametrize(
    ("text", "part", "effect", "amount", "span"),
    [
        ("plane 3 down at 40%", "plane 3", "down", None, (8, float("inf"))),
        ("plane 3 down", "plane 3", "down", None, (0, float("inf"))),
        ("link leaf0.1-spine0.3 down from 2s to 5s", "link leaf0.1-spine0.3", "down", None, (2, 5)),
        ("nic host12.3 degraded to 50% at 1 s", "nic host12.3", "degraded", 0.5, (1, float("inf"))),
        ("switch spine 0.1 down at 3s for 200ms", "switch spine 0.1", "down", None, (3, 3.2)),
        ("gpu host3.2 slow 20% at 25%", "gpu host3.2", "slow", 0.2, (5, float("inf"))),
        ("nvlink host3 degraded to 50% from 10% to 1 min", "nvlink host3", "degraded", 0.5, (2, 60)),
        ("congestion 30% on switch leaf0.1 at 0.1s for 5%", "switch leaf0.1", "congestion", 0.3, (0.1, 1.1)),
        ("host 5 down", "host 5", "down", None, (0, float("inf"))),
    ],
)  # fmt: skip
def test_lines(text: str, part: str, effect: str, amount: float | None, span: tuple[float, float]) -> None:
    fault = parse_fault(text)
    assert (fault.part, fault.effect, fault.amount) == (part, effect, amount)
    assert fault.span_s(20.0) == pytest.approx(span)
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "must be written PART down"),
        ("plane 3", "must be written PART down"),
        ("plane 3 dwn at 4s", "must be written PART down"),
        ("plane 3 down at 4", "must be written PART down"),
        ("plane 3 down at 4 furlongs", "must be written PART down"),
        ("plane 3 down from 4s", "must be written PART down"),
        ("plane 3 degraded", "must be written PART down"),
        ("plan 3 down", "did you mean 'plane'?"),
        ("gpu host3.2 degraded to 5%", "a gpu can be down, slow"),
        ("link a-b slow 5%", "a link can be down, degraded, congestion"),
        ("plane 3 degraded to 100%", "must be above 0% and below 100%: what is all gone is down"),
        ("plane 3 degraded to 0%", "must be above 0% and below 100%"),
    ],
)
def test_a_line_that_is_not_understood(text: str, line: str) -> None:
    with pytest.raises(NetsimError) as error:
        parse_fault(text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_an_end_before_the_start() -> None:
    with pytest.raises(NetsimError, match="ends at 2 s, must end after its start at 8 s"):
        parse_fault("plane 3 down from 40% to 2s").span_s(20.0)


def test_a_toml_of_faults_beside_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[faults]]\npart = "plane 3"\neffect = "down"\nat = "40%"\n\n'
        '[[faults]]\npart = "nic host0.1"\neffect = "degraded"\namount = "50%"\nat = "1 s"\nduration = "200 ms"\n'
    )
    lines = ["plane 3 down at 40%", "nic host0.1 degraded to 50% at 1 s for 200 ms", "host 1 down"]
    assert read_faults([str(path), "host 1 down"]) == tuple(parse_fault(text) for text in lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "holds no [[faults]] table"),
        ("[[faults]", "not valid TOML"),
        ('faults = ["plane 3 down"]', "fault 1: must be a table"),
        ('[[faults]]\npart = "plane 3"\neffect = "dwn"', "effect"),
        ('[[faults]]\npart = "plane 3"', "effect is missing"),
        ('[[faults]]\npart = "plane 3"\nefect = "x"\neffect = "down"', "did you mean 'effect'?"),
        ('[[faults]]\npart = "plane 3"\neffect = "down"\namount = "5%"', "has no amount"),
        ('[[faults]]\npart = "plane 3"\neffect = "degraded"', "needs an amount"),
        (
            '[[faults]]\npart = "plane 3"\neffect = "degraded"\namount = 0.5',
            "must be a percentage such as '50%'",
        ),
        ('[[faults]]\npart = "plane 3"\neffect = "down"\nat = 3', "must be a time with its unit"),
        (
            '[[faults]]\npart = "plane 3"\neffect = "down"\nuntil = "3 s"\nduration = "1 s"',
            "give one of them",
        ),
        ('seed = 3\n[[faults]]\npart = "plane 3"\neffect = "down"', "seed = 3, unknown key"),
    ],
)
def test_a_toml_that_is_wrong(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(NetsimError) as error:
        read_faults([str(path)])
    assert line in str(error.value)
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(NetsimError, match=r"--fault none\.toml: no such file"):
        read_faults(["none.toml"])
