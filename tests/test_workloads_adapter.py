"""Low-rank adapters: what runs beside frozen products, and what is exchanged."""

import pytest

from netsim.specs import WorkloadSpec, load
from netsim.specs.adapter import AdapterSpec
from netsim.specs.framework import OverlapSpec
from netsim.workloads.adapter import exchanged, over_frozen
from netsim.workloads.graph import Division
from netsim.workloads.operators import Operator, block_operators
from netsim.workloads.schedules import schedule
from netsim.workloads.tasks import build_tasks

MODEL = load(WorkloadSpec, "workload", "llama2-70b").model
ENDS = ("embedding", "head")
LORA = AdapterSpec(rank=16, dropout=0.1, transposed="made")


def block(phase: str, adapter: AdapterSpec = LORA, tensor: int = 4) -> dict[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for op in block_operators(
        MODEL, "dense", "attn", phase, 8192, 8192, products="fp8_tensor", recompute=(), attention_bits=16,
        tensor=tensor, adapter=adapter,
    ):  # fmt: skip
        found.setdefault(op.name, []).append(op)
    return found


def test_the_second_adapter_makes_a_rank_its_columns() -> None:
    # 64 heads of 128 and 8 of keys and values over four ranks: 2,048 + 2 x 256 columns; then 8192 / 4 of the output
    ops = block("F")
    assert [op.shape for op in ops["lora_b_fwd"]] == [(8192, 2560, 16), (8192, 2048, 16)]
    assert [op.shape for op in ops["lora_a_fwd"]] == [(8192, 4, 8192), (8192, 16, 2048)]


def test_dropout_runs_forward_and_backward_or_not_at_all() -> None:
    # a value is read and written, a byte of mask beside it
    assert [op.bytes for op in block("F")["lora_dropout_fwd"]] == [8192 * 8192 * 5.0, 8192 * 2048 * 5.0]
    assert len(block("B")["lora_dropout_bwd"]) == 2
    assert "lora_dropout_fwd" not in block("F", AdapterSpec(rank=16))


def test_frozen_weights_are_transposed_in_each_backward_where_no_copy_is_kept() -> None:
    # a byte read and written for each weight of the output projection, 8192 x 2048 on a rank
    assert block("B")["o_proj_dgrad_transpose_w"][0].bytes == pytest.approx(2.0 * 8192 * 2048)
    assert "o_proj_dgrad_transpose_w" not in block("B", AdapterSpec(rank=16))
    assert not over_frozen((), "bf16", LORA)


def test_what_is_added_changes_from_columns_to_tokens_under_tensor_parallelism() -> None:
    assert exchanged(LORA)
    assert not exchanged(AdapterSpec(rank=4, targets=("ffn",)))
    assert "lora_exchange_copy" not in block("F", tensor=1)


def transfers(apart: tuple[str, ...]) -> list[tuple[str, str, str]]:
    overlap = OverlapSpec.model_validate({"tensor": True, "streams": "each", "tensor_apart": list(apart)})
    graph = build_tasks(
        schedule("1f1b", 1, 1),
        [("embedding", "dense", "head")],
        Division(True, overlap=overlap, adapted=True),
    )
    beside = {tie.other for ties in graph.late.values() for tie in ties} | set(graph.early)
    works = [graph.works[work] for work in graph.work]
    return [
        (work.name, work.block, work.phase)
        for task, work in enumerate(works)
        if work.name.startswith("tensor")
        and task not in beside
        and work.phase in "FB"
        and work.block not in ENDS
    ]


def test_exchanges_apart_stay_in_line() -> None:
    adapters = {("tensor_gather", "adapter", phase) for phase in "FB"}
    assert set(transfers(())) == adapters
    qkv = {("tensor_gather", "attn", "F"), ("tensor_scatter", "attn", "B")}
    assert set(transfers(("qkv",))) == adapters | qkv
    assert set(transfers(("qkv", "dgrad"))) == adapters | qkv | {("tensor_scatter", "mlp", "B")}
