"""Cuts of workloads: what can be run, what the simulator is asked, and how close it comes to what was measured."""

import dataclasses
import statistics

import pytest

from netsim.errors import NetsimError
from netsim.measure.step_cut import Cut, as_workload, cells_of, checked, cut_of, from_cells, tiny
from netsim.measure.step_pipeline import order
from netsim.measure.step_predict import predict
from netsim.measure.step_table import read_rows
from netsim.specs import WorkloadSpec, load
from netsim.specs.catalog import root

LLAMA = load(WorkloadSpec, "workload", "llama-3.1-405b")
MIXTRAL = load(WorkloadSpec, "workload", "mixtral-8x22b")
MEASURED = root() / "workloads/compute/measured"
#: its optimizer set the power of kernels that SMs bind; its twin without torch.compile is bound by the host
SET = "llama-3.1-8b_l8_s512x1x1_bf16_one1"


def test_a_cut_survives_its_cells() -> None:
    cut = cut_of(MIXTRAL, "ep", 2, 2)
    assert from_cells(cells_of(cut)) == cut


def test_a_cut_is_the_workload_with_fewer_layers() -> None:
    cut = cut_of(LLAMA, "tp", 2, 3)
    asked = as_workload(cut, MIXTRAL)  # whatever it is made from
    assert (asked.model.layers, asked.model.hidden, asked.model.dense_width) == (3, 16384, 53248)
    assert asked.parallelism.tensor == 2
    assert asked.model.moe is None
    assert asked.compute.kernels == "torch"


@pytest.mark.parametrize(
    ("way", "gpus", "layers", "words"),
    [
        ("ep", 2, 2, "has no experts"),
        ("one", 2, 2, "does not go with --gpus 2"),
        ("tp", 1, 2, "does not go with --gpus 1"),
        ("pp", 2, 3, "--layers must divide"),
        ("tpp", 2, 2, "did you mean 'tp'"),
    ],
)
def test_what_gpus_cannot_divide_is_refused(way: str, gpus: int, layers: int, words: str) -> None:
    with pytest.raises(NetsimError, match=words):
        cut_of(LLAMA, way, gpus, layers)


def test_latent_attention_and_other_formats_are_refused() -> None:
    with pytest.raises(NetsimError, match="latent attention"):
        cut_of(load(WorkloadSpec, "workload", "deepseek-v3"), "one", 1, 1)
    other = LLAMA.model_copy(update={"compute": LLAMA.compute.model_copy(update={"products": "nvfp4"})})
    with pytest.raises(NetsimError, match="a cut runs bf16 and fp8_tensor"):
        cut_of(other, "one", 1, 1)


def test_a_tiny_cut_divides_as_the_cut_does() -> None:
    for cut in (cut_of(LLAMA, "tp_sp", 4, 2), cut_of(MIXTRAL, "ep", 4, 2)):
        assert checked(tiny(cut)).way == cut.way


@pytest.mark.parametrize(("stages", "microbatches"), [(2, 4), (4, 4), (4, 9)])
def test_a_stage_computes_each_micro_batch_once_and_backward_after_forward(
    stages: int, microbatches: int
) -> None:
    for stage in range(stages):
        done = order(stage, stages, microbatches)
        assert sorted(done) == sorted((p, i) for p in ("fwd", "bwd") for i in range(microbatches))
        assert all(done.index(("fwd", i)) < done.index(("bwd", i)) for i in range(microbatches))


def errors(table: str) -> dict[str, float]:
    """Simulated over measured step of each cut, less one."""
    found = {}
    for row in read_rows(MEASURED / table):
        cut: Cut = from_cells(row)
        if row["name"] != SET and cut.compiled:
            found[row["name"]] = predict(cut).step_ms / float(row["step_ms"]) - 1.0
    return found


def test_steps_of_one_gpu_are_predicted() -> None:
    found = errors("h200_steps.csv")
    assert len(found) == 14
    assert statistics.median(map(abs, found.values())) < 0.04
    assert max(map(abs, found.values())) < 0.08


def test_a_cut_without_a_field_is_refused() -> None:
    cells = cells_of(dataclasses.replace(cut_of(LLAMA, "one", 1, 1)))
    del cells["hidden"]
    with pytest.raises(NetsimError, match="hidden"):
        from_cells(cells)
