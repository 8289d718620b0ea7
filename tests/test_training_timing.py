"""The clock that the GPUs of a job hold reaches the compute model, and nothing else."""

from dataclasses import replace

import pytest

from netsim.errors import SpecError
from netsim.specs.case import Case, make_case
from netsim.training.timing import sustained_clock_hz


def llama(**overrides: object) -> Case:
    return make_case("ft3", "llama-3.1-405b", overrides={f"compute.{k}": v for k, v in overrides.items()})


def test_the_clock_of_the_job_is_used() -> None:
    assert sustained_clock_hz(llama()) == pytest.approx(1.32e9)
    assert sustained_clock_hz(llama(clock="1.5 GHz")) == pytest.approx(1.5e9)
    assert sustained_clock_hz(make_case()) is None  # each class at the clock it was measured at


def test_a_clock_above_the_boost_limit_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"compute\.clock = '3 GHz', must not exceed the boost clock of NVIDIA H100"
    ):
        sustained_clock_hz(llama(clock="3 GHz"))


def test_a_profile_that_does_not_know_its_clock_cannot_answer() -> None:
    case = replace(llama(), profile=make_case().profile)
    with pytest.raises(SpecError, match="profile h800 does not say at which clock it was measured"):
        sustained_clock_hz(case)
