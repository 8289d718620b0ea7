"""Every preset of a job runs on a small cluster, and its choices reach the step."""

from typing import Any

import pytest

from netsim.specs import catalog
from netsim.specs.case import make_case
from netsim.training.simulate import simulate
from netsim.training.step_record import contract
from netsim.workloads.model import flops_per_token

#: preset -> fewest GPUs of its plan, and micro-batches that its schedule takes
SMALL = {
    "deepseek-v2": (128, 4),
    "deepseek-v3": (1024, 32),
    "gpt-oss-120b": (64, 8),
    "gpt-oss-20b": (16, 4),
    "gpt3-175b": (64, 16),
    "kimi-k2": (256, 16),
    "deepseek-v3-gb200": (128, 8),
    "deepseek-v3-gb300": (128, 8),
    "llama-3.1-405b": (128, 16),
    "llama-3.1-405b-gb200": (128, 8),
    "llama-3.1-70b": (64, 1),
    "llama-3.1-8b": (16, 1),
    "llama2-70b": (16, 2),
    "mixtral-8x22b": (64, 8),
    "mixtral-8x7b": (32, 8),
    "qwen2.5-72b": (32, 4),
    "qwen3-235b-a22b": (256, 16),
    "qwen3-30b-a3b": (16, 4),
}


def small(name: str, **overrides: Any) -> dict[str, Any]:
    gpus, microbatches = SMALL[name]
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    case = make_case(workload=name, overrides={"batch.microbatches": microbatches} | given)
    return contract(simulate(case, gpus))


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[str, Any]]:
    return {name: small(name) for name in SMALL if name != "deepseek-v3"}


def test_every_preset_is_run_somewhere() -> None:
    assert set(SMALL) == set(catalog.names("workload"))


@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"deepseek-v3"}))
def test_a_preset_runs_and_is_slower_than_its_peak(runs: dict[str, dict[str, Any]], name: str) -> None:
    made, case = runs[name], make_case(workload=name)
    model, gpu = case.workload.model, case.hardware.gpu
    flops = flops_per_token(model, case.workload.batch.sequence_length) * made["workload"]["tokens_per_step"]
    # products in FP4 run at more than the BF16 peak, of which utilisation is the share
    peak = gpu.fp4_peak if case.workload.compute.products == "nvfp4" else gpu.bf16_peak
    assert peak is not None
    assert made["step"]["time_s"] > flops / (SMALL[name][0] * peak)
    assert 0.0 < made["step"]["mfu_causal"] < peak / gpu.bf16_peak
    assert sum(made["provenance"]["compute_origin"].values()) == pytest.approx(1.0)


def test_kinds_of_exchange_follow_the_plan(runs: dict[str, dict[str, Any]]) -> None:
    experts = {"dispatch", "cached_dispatch", "combine", "combine_backward"}
    tensor = {"tensor_gather", "tensor_scatter"}
    for name, made in runs.items():
        kinds = {row["kind"] for row in made["collectives"]}
        spec = make_case(workload=name).workload
        assert (experts <= kinds) == (spec.model.moe is not None), name
        assert not (experts & kinds) or spec.model.moe, name
        assert (tensor <= kinds) == (spec.parallelism.tensor > 1), name


def test_experts_of_a_host_stay_off_the_network(runs: dict[str, dict[str, Any]]) -> None:
    # DeepSeek-V2: 8-way expert parallelism inside a host; Kimi K2: 16-way over two
    wire = {
        name: sum(row["wire_bytes_per_gpu"] for row in runs[name]["collectives"] if "comb" in row["kind"])
        for name in ("deepseek-v2", "kimi-k2")
    }
    assert wire["deepseek-v2"] == 0.0
    assert wire["kimi-k2"] > 0.0


def test_bf16_products_take_longer_and_move_the_same() -> None:
    fp8, bf16 = (small("deepseek-v2", compute__products=products) for products in ("fp8", "bf16"))
    assert bf16["step"]["time_s"] > fp8["step"]["time_s"]
    moved = [
        [(r["kind"], r["count"], r["wire_bytes_per_gpu"]) for r in run["collectives"]] for run in (fp8, bf16)
    ]
    assert moved[0] == moved[1]
    # inputs of products are kept in their format
    assert fp8["memory"]["activations_gb"] < bf16["memory"]["activations_gb"]
    assert fp8["memory"]["parameters_gb"] == bf16["memory"]["parameters_gb"]
