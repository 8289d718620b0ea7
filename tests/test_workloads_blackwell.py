"""Presets of MLPerf's jobs on NVL72: experts stay inside a domain, plans fit, steps stand near the published ones."""

from __future__ import annotations

import pytest

from netsim.specs.case import make_case
from netsim.training.simulate import simulate
from netsim.training.step_record import contract


@pytest.mark.parametrize("name", ["deepseek-v3-gb200", "deepseek-v3-gb300"])
def test_experts_stay_inside_a_domain(name: str) -> None:
    case = make_case("mrft", name, overrides={"batch.microbatches": 8})
    step = simulate(case, 256)
    result = contract(step)
    exchange = [row for row in result["collectives"] if row["kind"] in ("dispatch", "combine")]
    assert {row["kind"] for row in exchange} == {"dispatch", "combine"}
    assert all(row["wire_bytes_per_gpu"] == 0.0 and row["bottleneck"] == "nvlink" for row in exchange)
    assert result["memory"]["fits"]


@pytest.mark.parametrize(
    ("gpus", "changes", "published_s"),
    [(512, {}, 17.259), (1024, {"batch.microbatches": 48, "compute.products": "fp8_tensor"}, 8.448)],
    ids=["5.1-nvfp4", "5.0-fp8"],
)
def test_llama_on_gb200_is_near_mlperf(gpus: int, changes: dict[str, object], published_s: float) -> None:
    """MLPerf Training 5.1 (NVIDIA tyche) and 5.0 (carina): medians of three runs, not used by profile gb200."""
    step = simulate(make_case("mrft", "llama-3.1-405b-gb200", overrides=changes), gpus)
    assert contract(step)["step"]["time_s"] == pytest.approx(published_s, rel=0.12)
