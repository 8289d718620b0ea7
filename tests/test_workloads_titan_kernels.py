"""torchtitan's kernels: products apart, complex rotary embedding, what FSDP2 copies."""

import pytest

from netsim.specs import WorkloadSpec, load
from netsim.specs.framework import Kernels
from netsim.workloads.operators import Operator, block_operators
from netsim.workloads.plan import make_plan
from netsim.workloads.titan_kernels import fsdp_copies

MODEL = load(WorkloadSpec, "workload", "llama-3.1-8b").model


def block(kernels: Kernels, name: str, phase: str, **more: object) -> dict[str, Operator]:
    ops = block_operators(
        MODEL, "dense", name, phase, 8192, 8192, products="bf16", recompute=(), attention_bits=16,
        kernels=kernels, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return {op.name: op for op in ops}


@pytest.mark.parametrize(("name", "product"), [("attn", "qkv"), ("mlp", "dense_gateup")])
@pytest.mark.parametrize("phase", ["F", "B", "W"])
def test_separate_products_have_the_operations_of_the_fused_one(name: str, product: str, phase: str) -> None:
    fused, apart = block("torch", name, phase), block("torchtitan", name, phase)
    whole = [op.flops for op in fused.values() if op.name.startswith(product)]
    parts = [op for op in apart.values() if op.name.startswith(product) and op.flops]
    assert len(parts) == {"attn": 3, "mlp": 2}[name]
    assert sum(op.flops for op in parts) == pytest.approx(sum(whole))


def test_gradients_of_separate_products_are_added() -> None:
    # three gradients of 8192 x 4096 read and one written, 2 bytes each
    assert block("torchtitan", "attn", "B")["qkv_dgrad_sum"].bytes == 4 * 2 * 8192 * 4096


def test_the_input_is_read_by_each_product() -> None:
    # two products of 14336 columns: the input of 8192 x 4096 twice, weights and outputs once
    ops = block("torchtitan", "mlp", "F")
    each = 2 * (8192 * 4096 + 14336 * 4096 + 8192 * 14336)
    assert [op.bytes for op in ops.values() if "gateup" in op.name] == [pytest.approx(each)] * 2


def test_rotary_embedding_is_a_complex_product() -> None:
    assert block("torchtitan", "attn", "F")["rope_qk_fwd"].bytes == pytest.approx(
        5 * block("torch", "attn", "F")["rope_qk_fwd"].bytes
    )


def test_partial_sums_are_added_beside_products_alone() -> None:
    # a buffer of 8192 x 4096 read, an eighth of it written
    ops = block("torchtitan", "mlp", "F", tensor=8, scattered_beside=True)
    assert ops["scattered_sum"].bytes == pytest.approx(2 * 8192 * 4096 * 9 / 8)
    assert "scattered_sum" not in block("torchtitan", "mlp", "F", tensor=8)
    assert "scattered_sum" not in block("torchtitan", "mlp", "W", tensor=8, scattered_beside=True)


def test_eager_kernels_move_more() -> None:
    assert block("torchtitan_eager", "attn", "F")["attn_norm_fwd"].bytes == pytest.approx(
        42 / 8 * block("torchtitan", "attn", "F")["attn_norm_fwd"].bytes
    )


def test_flash_attention_2_has_its_own_class() -> None:
    ops = block("torchtitan", "attn", "F", core_kernel="flash2")
    assert ops["flash_attn_fwd"].kind == "attention_fwd_flash2"


def test_fsdp_copies_a_layer_out_twice_and_in_once() -> None:
    changed = {"parallelism.zero": 3, "framework": "torchtitan", "communication.gradient": "fp32"}
    job = load(WorkloadSpec, "workload", "llama-3.1-8b", changed)
    job = job.model_copy(update={"compute": job.compute.model_copy(update={"kernels": "torchtitan"})})
    plan = make_plan(job, 64)
    copies = {phase: fsdp_copies(job, plan, "dense", "attn", phase) for phase in "FBW"}
    layer = 218_112_000  # 4096 x (4096 + 2 x 1024 + 4096) + 3 x 4096 x 14336 + 2 x 4096
    assert [copies[phase][0].bytes / layer for phase in "FBW"] == pytest.approx([4.0, 4.0, 6.0], rel=1e-2)
    assert not fsdp_copies(job, plan, "dense", "mlp", "F")
