"""Compute of a training step takes as much longer as the profile says a GPU does at its power limit."""

from pathlib import Path

import pytest

from netsim.errors import SpecError
from netsim.specs.case import make_case
from netsim.specs.catalog import find
from netsim.training.simulate import simulate
from netsim.training.timing import sustained_factor

SMALL = {"batch.microbatches": 32}


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A profile that does not know its speed under load."""
    text = find("profile", "h200").read_text("utf-8")
    head, _, tail = text.partition("[sustained]")
    path = tmp_path / "bare.toml"
    path.write_text(
        head.replace('name = "h200"', 'name = "bare"') + "[sources]" + tail.partition("[sources]")[2]
    )
    return str(path)


def test_a_profile_that_knows_its_speed_under_load_uses_it_unless_told_otherwise(bare: str) -> None:
    factor = make_case().profile.sustained.factor
    assert sustained_factor(make_case()) == factor
    assert sustained_factor(make_case(overrides={"compute.sustained": True})) == factor
    assert sustained_factor(make_case(overrides={"compute.sustained": False})) == 1.0
    assert sustained_factor(make_case(profile=bare)) == 1.0
    assert sustained_factor(make_case(profile="h200", overrides={"compute.clock": "1.5 GHz"})) == 1.0


def test_kernels_take_longer_and_the_gaps_between_them_do_not() -> None:
    known = make_case().profile.sustained.factor
    load, rest = (
        simulate(make_case(overrides={**SMALL, "compute.sustained": on}), 1024).timing.blocks
        for on in (True, False)
    )
    assert load.keys() == rest.keys()
    for work, block in load.items():
        slower = 1.0 if work.name == "optimizer" else known  # it streams
        assert block.busy_s == pytest.approx(slower * rest[work].busy_s, rel=1e-12)
        assert block.gap_s == rest[work].gap_s
        assert sum(block.by_origin.values()) == pytest.approx(block.seconds, rel=1e-12)


def test_it_is_refused_where_it_would_have_no_effect(bare: str) -> None:
    with pytest.raises(SpecError, match=r"compute.sustained.*profile bare knows no speed under load"):
        sustained_factor(make_case(profile=bare, overrides={"compute.sustained": True}))
    assert (
        sustained_factor(make_case(profile=bare, overrides={"compute.sustained": False})) == 1.0
    )  # as it is
    with pytest.raises(SpecError, match="has no effect beside clock"):
        make_case(profile="h200", overrides={"compute.sustained": True, "compute.clock": "1.5 GHz"})
