"""Memory against the most that real Megatron runs allocated: nothing here was used to set a constant.

Eight GPUs of one host, sequences of 4,096, micro-batches of one, eight of them, 1F1B, BF16 with FP32 gradients,
distributed optimizer (ZeRO-1), sequence parallelism, nothing recomputed.
Source: MooreThreads/SimuMax at 4dcaae5, docs/b200/b200_release_v1.2_summary.md, column "real alloc GiB" (the most of
torch's max_memory_allocated over ranks).
"""

from typing import Any

import pytest

from netsim.specs.case import make_case
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.moe import routing_statistics
from netsim.workloads.plan import make_plan
from netsim.workloads.stages import job_order, job_stages

#: hidden, FFN width, heads, heads of keys as those runs had them
LLAMA = {"llama3-70b": (8192, 28672, 64, 8), "llama3-405b": (16384, 53248, 128, 16)}
DEEPSEEK_BF16 = {
    "storage.weights": "bf16", "storage.master": "fp32", "storage.moments": "fp32", "storage.stash": "bf16",
    "storage.attention_bits": 16, "compute.products": "bf16", "communication.dispatch": "bf16", "model.mtp_depth": 0,
}  # fmt: skip


def worst(name: str, layers: int, dense: int, tensor: int, pipeline: int, expert: int, **more: Any) -> Memory:
    keys: dict[str, Any] = {
        "schedule.name": "1f1b", "batch.sequence_length": 4096, "batch.microbatches": 8,
        "batch.microbatch_sequences": 1, "storage.recompute": [], "storage.buffers": "0 GB", "parallelism.zero": 1,
        "model.layers": layers, "model.dense_layers": dense, "parallelism.pipeline": pipeline,
        "parallelism.tensor": tensor, "parallelism.stage_layers": [layers // pipeline] * pipeline,
    }  # fmt: skip
    if name in LLAMA:
        hidden, width, heads, kv_heads = LLAMA[name]
        keys |= {
            "model.hidden": hidden, "model.dense_width": width, "model.attention.heads": heads,
            "model.attention.kv_heads": kv_heads, "model.attention.qkv_bias": False, "model.vocabulary": 128256,
        }  # fmt: skip
    else:
        keys |= {"parallelism.expert": expert, **DEEPSEEK_BF16}
    case = make_case(workload="qwen2.5-72b" if name in LLAMA else name, overrides=keys | more)
    job = case.workload
    plan = make_plan(job, 8)
    order = job_order(job, plan)
    devices = routing_statistics(job.model.moe, plan.expert, case.hardware.gpus_per_host).devices
    return max(memory_by_rank(job, plan, order, job_stages(job, order), devices), key=lambda rank: rank.total)


@pytest.mark.parametrize(
    ("name", "layers", "dense", "tensor", "pipeline", "expert", "gib"),
    [
        ("llama3-70b", 12, 12, 2, 1, 1, 60.68),
        ("llama3-70b", 12, 12, 4, 1, 1, 39.07),
        ("llama3-70b", 12, 12, 8, 1, 1, 28.29),
        ("llama3-405b", 4, 4, 1, 2, 1, 87.08),
        ("llama3-405b", 4, 4, 2, 1, 1, 81.59),
        ("deepseek-v2", 4, 1, 1, 1, 8, 45.63),
        ("deepseek-v3", 4, 1, 1, 1, 8, 104.30),
    ],
)
def test_peaks_of_megatron_within_three_percent(
    name: str, layers: int, dense: int, tensor: int, pipeline: int, expert: int, gib: float
) -> None:
    found = worst(name, layers, dense, tensor, pipeline, expert)
    assert found.total == pytest.approx(gib * 2**30, rel=0.03)


def test_each_word_drops_its_own_part() -> None:
    def kept(*words: str, name: str = "deepseek-v3") -> float:
        return worst(
            name, 4, 1 if name == "deepseek-v3" else 4, 1, 1, 8, **{"storage.recompute": list(words)}
        ).activations

    # t = 4096, BF16; one dense layer of 18432, three with nine experts of 2048 a token, h = 7168
    t, h, all_kept = 4096, 7168, kept()
    assert all_kept - kept("norm") == pytest.approx(4 * t * 2 * h * 2)
    assert all_kept - kept("act") == pytest.approx(t * (18432 + 3 * 9 * 2048) * 2)
    assert all_kept - kept("mlp") == pytest.approx(t * 3 * 18432 * 2)
    assert all_kept - kept("shared_experts") == pytest.approx(3 * t * 3 * 2048 * 2)
    assert all_kept - kept("moe") == pytest.approx(3 * t * (9 * 3 * 2048 + 8 * h) * 2)
    assert all_kept - kept("core") == pytest.approx(4 * t * 128 * 4)
    up = 128 * (192 + 192 + 128) + 1536 + 512
    assert all_kept - kept("mla_up") == pytest.approx(4 * t * up * 2)
    # whole layers keep their input; embedding and head stay
    ends = 4 * t + 2 * t * (h + 129280)
    assert kept("layer") == pytest.approx(4 * t * h * 2 + ends)


def test_megatrons_names_are_the_same_words() -> None:
    pairs = [("layernorm", "norm"), ("mla_up_proj", "mla_up"), ("moe_act", "act"), ("selective", "core")]
    for theirs, ours in pairs:
        case = make_case(overrides={"storage.recompute": [theirs]})
        assert case.workload.storage.recompute == (ours,)


def test_whole_layers_need_one_of_them_at_once() -> None:
    run = ("llama3-405b", 4, 4, 2, 1, 1)
    kept = worst(*run, **{"batch.microbatch_sequences": 4})
    full = worst(*run, **{"batch.microbatch_sequences": 4, "storage.recompute": ["layer"]})
    t, h = 4 * 4096 / 2, 16384
    head = 2 * t * (h + 128256) + 4 * t
    layer = (kept.activations - head) / 4
    assert full.activations == pytest.approx(4 * 2 * t * h + head)
    # work space: logits in FP32; or that layer but for its input, and gradients of its FFN: 3 widths, 2 of hidden
    logits, again = 4 * t * 128256, layer - 2 * t * h + 2 * t * (3 * 53248 + 2 * h)
    assert again > logits
    assert full.buffers - kept.buffers == pytest.approx(again - logits)
