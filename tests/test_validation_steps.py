"""Measured steps as rows of validate: what a row asks, and how close compiled steps of one GPU come."""

import statistics

import pytest

from netsim.errors import NetsimError
from netsim.measure.step_table import read_rows
from netsim.specs import load
from netsim.specs.catalog import root
from netsim.specs.published import PublishedSpec
from netsim.validation.experiments_steps import FOLDER, measured_steps

CUT = {"table": "h200_steps.csv", "cut": "llama-3.1-8b_l4_s8192x1x1_bf16_one1"}


@pytest.mark.parametrize("name", ["h200_steps", "h200_phases"])
def test_rows_are_the_tables(name: str) -> None:
    for row in load(PublishedSpec, "published", name).rows:
        cuts = {r["name"]: r for r in read_rows(root() / FOLDER / str(row.where["table"]))}
        assert row.value == pytest.approx(float(cuts[str(row.where["cut"])][f"{row.where['part']}_ms"]))


def test_steps_with_torch_compile_on_one_gpu_are_within_eight_percent() -> None:
    spec = load(PublishedSpec, "published", "h200_steps")
    mine = [r for r in spec.rows if r.where["table"] == "h200_steps.csv" and r.kind is None]
    mine = [r for r in mine if "eager" not in str(r.where["cut"])]
    values = measured_steps([r.where for r in mine])
    errors = [abs(v / r.value - 1.0) for v, r in zip(values, mine, strict=True) if v and r.value]
    assert len(errors) == 14
    assert statistics.median(errors) < 0.04
    assert max(errors) < 0.08


def test_phases_add_up_to_the_step_of_one_gpu() -> None:
    found = measured_steps([{**CUT, "part": part} for part in ("fwd", "bwd", "opt", "step")])
    times = [ms for ms in found if ms is not None]
    assert sum(times[:3]) == pytest.approx(times[3], rel=0.02)


def test_an_unknown_part_or_cut_is_refused() -> None:
    with pytest.raises(NetsimError, match="'forward'"):
        measured_steps([{**CUT, "part": "forward"}])
    with pytest.raises(NetsimError, match="no cut"):
        measured_steps([{**CUT, "cut": "llama", "part": "fwd"}])
