"""A training layer from rest to the power limit: what would run, what its samples say, and the shipped measurement."""

from pathlib import Path

import pytest

from netsim.errors import NetsimError
from netsim.measure.soak import BLOCKS, Sample, layer_blocks, read_samples, slowdown, write_samples
from netsim.specs import WorkloadSpec, load
from netsim.specs.catalog import root
from netsim.specs.profile import ProfileSpec
from netsim.workloads.model import flops_per_token

NAMES = [f"{block}({phase})" for block, phase in BLOCKS]


def made(window: str, run: int, layer: int, began_s: float, ms: float) -> list[Sample]:
    """A layer whose blocks take `ms` each."""
    return [Sample(window, run, layer, began_s, name, ms, 1.5) for name in NAMES]


def test_the_factor_is_the_steady_half_over_the_first_four_layers_after_rest() -> None:
    samples = made("cold", 0, 0, 0.0, 1.0) + made("cold", 0, 1, 0.1, 3.0) + made("cold", 0, 4, 0.4, 99.0)
    samples += made("long", 0, 0, 0.0, 50.0) + made("long", 0, 1, 6.0, 3.0) + made("long", 0, 2, 10.0, 5.0)
    found = slowdown(samples)
    assert found.cold_ms == pytest.approx(6 * 2.0)
    assert found.steady_ms == pytest.approx(6 * 4.0)
    assert found.factor == pytest.approx(2.0)


def test_a_pause_of_the_host_in_one_window_does_not_count() -> None:
    samples = [s for run, ms in enumerate((1.0, 1.1, 50.0)) for s in made("cold", run, 0, 0.0, ms)]
    found = slowdown(samples + made("long", 0, 0, 0.0, 2.0))
    assert (found.cold_ms, found.cold_deviation_ms) == pytest.approx((6.6, 0.6))
    assert found.factor == pytest.approx(2.0 / 1.1)


def test_half_a_layer_is_no_layer() -> None:
    with pytest.raises(NetsimError, match="no whole layer"):
        slowdown(made("cold", 0, 0, 0.0, 1.0)[:3] + made("long", 0, 0, 0.0, 1.0))


def test_a_layer_of_other_blocks_is_none_and_a_time_that_is_none_is_refused() -> None:
    good = made("cold", 0, 0, 0.0, 1.0) + made("long", 0, 0, 0.0, 1.0)
    assert slowdown(good + made("cold", 1, 0, 0.0, 9.0)[::-1]) == slowdown(good)
    for ms in (-1.0, 0.0, float("nan"), float("inf")):
        with pytest.raises(NetsimError, match="must be positive numbers"):
            slowdown(good + made("cold", 1, 0, 0.0, ms))


def test_samples_survive_the_file(tmp_path: Path) -> None:
    samples = made("cold", 0, 0, 0.25, 1.5)
    write_samples(tmp_path / "a" / "soak.csv", samples)
    assert read_samples(tmp_path / "a" / "soak.csv") == samples


def test_another_table_and_a_broken_line_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "soak.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(NetsimError, match="the columns differ"):
        read_samples(path)
    write_samples(path, made("cold", 0, 0, 0.0, 1.0))
    path.write_text(path.read_text() + "cold,0,1,0.1,attn(F),soon,1.5\n")
    with pytest.raises(NetsimError, match="line 8: could not convert string to float: 'soon'"):
        read_samples(path)


def test_a_layer_does_the_work_of_the_model() -> None:
    """Forward, input and weight gradient of one layer: its share of the model's operations, routed experts included."""
    job = load(WorkloadSpec, "workload", "deepseek-v3")
    blocks = layer_blocks(job, 0)
    assert [block.name for block in blocks] == NAMES
    done = sum(shape.flops for block in blocks for shape in block.shapes)
    tokens = job.batch.sequence_length
    model = flops_per_token(job.model, tokens, causal=True) * tokens / job.model.layers
    # more by the recomputed up-projections and the backward of attention, less by the head
    assert 0.95 < done / model < 1.15
    assert all("scale" in name or "gate" in name or "norm_bwd" in name or "topk" in name
               for block in blocks for name in block.left_out)  # fmt: skip


def test_a_dense_model_is_refused() -> None:
    with pytest.raises(NetsimError, match="has no MoE layer"):
        layer_blocks(load(WorkloadSpec, "workload", "qwen2.5-72b"), 0)


@pytest.mark.parametrize(("profile", "table"), [("h800", "h100"), ("h100", "h100"), ("h200", "h200")])
def test_a_shipped_factor_is_that_of_the_shipped_measurement(profile: str, table: str) -> None:
    samples = read_samples(root() / f"workloads/compute/measured/{table}_soak.csv")
    known = load(ProfileSpec, "profile", profile).sustained
    assert known is not None
    assert known.factor == round(slowdown(samples).factor, 3)
