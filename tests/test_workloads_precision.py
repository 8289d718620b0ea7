"""Formats of products: bytes of operators, sequences of casts, and what answers for a class that a profile lacks."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from command import netsim
from netsim.compute import ComputeModel
from netsim.compute.stand_in import stand_in
from netsim.errors import DomainError, SpecError
from netsim.specs import load
from netsim.specs.case import make_case
from netsim.specs.formats import FORMATS, PRODUCTS, Products, format_of, role_of
from netsim.specs.profile import KINDS, REQUIRED_KINDS
from netsim.specs.workload import WorkloadSpec
from netsim.workloads import kernels
from netsim.workloads.moe import token_bytes, value_bytes
from netsim.workloads.operators import Operator, block_operators

V3 = load(WorkloadSpec, "workload", "deepseek-v3").model
TOKENS = 4096


def ops(phase: str, block: str, kind: str = "moe", **asked: object) -> tuple[Operator, ...]:
    found: tuple[Operator, ...] = block_operators(
        V3,
        kind,
        block,
        phase,
        TOKENS,
        TOKENS,
        8 * TOKENS,
        4,
        **asked,  # type: ignore[arg-type]
    )
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_is_a_role_and_a_format(kind: str) -> None:
    word = format_of(kind)
    assert word == "bf16" or kind == f"{role_of(kind)}_{word}"


@pytest.mark.parametrize("products", PRODUCTS)
def test_operations_of_every_format_are_equal(products: Products) -> None:
    for kind, block in (("moe", "attn"), ("moe", "mlp"), ("dense", "mlp")):
        for phase in "FBW":
            work = [sum(op.flops for op in ops(phase, block, kind, products=p)) for p in ("fp8", products)]
            assert work[0] == pytest.approx(work[1], rel=1e-12)


@pytest.mark.parametrize("products", ["fp8_tensor", "mxfp8", "nvfp4"])
@pytest.mark.parametrize(("kind", "block"), [("moe", "attn"), ("dense", "mlp"), ("moe", "mlp")])
def test_each_input_is_cast_once(products: Products, kind: str, block: str) -> None:
    """A linear layer has two inputs to cast over forward and backward, X and dY, both to both layouts: so a layer's
    casts are as many as its products, forward and input gradient, less those that share an input."""
    done = [op for phase in "FBW" for op in ops(phase, block, kind, products=products, recompute=())]
    casts = [op for op in done if op.kind in ("quant", "cast_transpose") and "e5m6" not in op.name]
    both = 2.0 + 2 * FORMATS[products].activation_bytes
    assert all(op.bytes == pytest.approx(both * op.shape[0] * op.shape[1]) for op in casts)
    # attention: q_a, q_b, kv_a, kv_b, o; dense: gate-up and down; MoE: the same routed and shared
    assert len(casts) == {"attn": 10, "mlp": 4 if kind == "dense" else 8}[block]


def test_bytes_of_a_product_in_mxfp8() -> None:
    # activations and weights: a byte and 1/32 of scales; out: BF16
    made = kernels.gemm("x", 100, 200, 320, "mxfp8")
    assert made.bytes == (100 + 200) * 320 * (1 + 1 / 32) + 2 * 100 * 200
    assert (value_bytes("nvfp4"), value_bytes("mxfp8")) == (0.5625, 1.03125)
    assert token_bytes("dispatch", 7168, 8, "mxfp8") == 7168 * (1 + 1 / 32) + 16 + 64


def test_head_and_core_have_formats_of_their_own() -> None:
    head = Counter(op.kind for phase in "FBW" for op in ops(phase, "head", "head", head="mxfp8"))
    assert (head["gemm_mxfp8"], head["wgrad_mxfp8"], head["quant"], head["gemm_bf16"]) == (2, 1, 2, 0)
    core = {op.kind for phase in "FB" for op in ops(phase, "attn", core="fp8")}
    assert {"attention_fwd_fp8", "attention_bwd_fp8", "gemm_fp8"} <= core
    assert not core & {"attention_fwd", "attention_bwd"}


def test_a_missing_class_is_answered_by_its_nearest() -> None:
    has = dict.fromkeys(REQUIRED_KINDS)
    assert {kind: stand_in(kind, has) for kind in KINDS if kind not in has} == {
        "wgrad_bf16": "gemm_bf16", "grouped_gemm_bf16": None, "grouped_wgrad_bf16": None,
        "act_bwd": "act", "embedding_bwd": "elementwise", "loss_fwd": "elementwise", "loss_bwd": "elementwise",
        "optimizer_bf16": "optimizer", "sort": "index", "dropout": "elementwise",
        **{f"{role}_{word}": f"{role}_fp8" for role in ("gemm", "wgrad", "grouped_gemm", "grouped_wgrad")
           for word in ("fp8_tensor", "mxfp8", "nvfp4")},
        **{f"attention_{way}_{word}": f"attention_{way}" for way in ("fwd", "bwd")
           for word in ("fp8", "mxfp8", "flash2")},
    }  # fmt: skip


def test_a_missing_class_is_said_and_refused_under_strict() -> None:
    asked = ["run", "--gpus", "128", "--set", "compute.products=fp8_tensor", "--set", "batch.microbatches=32",
             "--set", "parallelism.pipeline=2", "--set", "workload.schedule.name=1f1b"]  # fmt: skip
    result = json.loads(netsim(*asked, "--json").stdout)
    lines = [line for line in result["warnings"] if "no kernel class" in line]
    assert len(lines) == 1
    assert "gemm_fp8_tensor (answered by gemm_fp8)" in lines[0]
    assert result["provenance"]["compute_origin"]["extrapolated"] > 0.3
    strict = netsim(*asked, "--strict")
    assert strict.returncode == 3
    assert "--strict: profile h800 has no kernel class gemm_fp8_tensor" in strict.stderr


def test_a_stand_in_takes_the_same_share_of_its_own_peak() -> None:
    case = make_case(overrides={"hardware.gpu.fp4_peak": "3958 TFLOPS", "profile.fp4_peak": "3958 TFLOPS"})
    model = ComputeModel(case.profile, case.hardware)
    # deep enough that tiles and steps do not count, and large enough that memory does not
    fp8, fp4 = (kernels.gemm("x", 16384, 16384, 1 << 17, word) for word in ("fp8", "nvfp4"))
    ratio = model.model_time(fp8, False).seconds / model.model_time(fp4, False).seconds
    assert 1.0 < ratio <= 2.0
    with pytest.raises(DomainError, match="no class gemm_nvfp4, class gemm_fp8 answers for it"):
        model.require_known([fp4])


def test_grouped_products_in_bf16_run_an_expert_at_a_time_where_no_class_has_them() -> None:
    case = make_case()
    model = ComputeModel(case.profile, case.hardware)
    grouped = kernels.grouped_gemm("x", 4096, 2048, 7168, 4, "bf16")
    one = kernels.gemm_bf16("x", 1024, 2048, 7168)
    assert model.model_time(grouped, False).seconds == 4 * model.model_time(one, False).seconds


@pytest.mark.parametrize("key", ["products", "head", "attention"])
def test_a_gpu_without_microscaling_is_refused(key: str) -> None:
    with pytest.raises(SpecError, match=rf"compute\.{key} = 'mxfp8', needs a GPU with scales"):
        make_case(overrides={f"workload.compute.{key}": "mxfp8"})
